"""Reading a store's SQLite files from start to end, for a copy.

The rule: a damaged row ends the reading, and no file is changed. The caller holds the locks of the files.

`actors/store/copying/copying.py` reads it; `cli/stores/copy.py` opens it.
"""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from ...address import Address
from ..audit import AuditRow
from ..contract import Item
from ..errors import StoreFailed
from ..listing import Facets
from ..sqlite import schema
from ..sqlite.files import reading, require_store
from ..sqlite.lists.filling import Filling
from ..sqlite.rows import RowsOfKeys
from ..tables.auditing import AUDIT_COLUMNS, unseal_audit
from ..tables.checksums import Damaged, Unsealed, unseal_entry, unseal_item, unseal_record
from ..tables.facets import tags_in
from .copying import CopiedActor, CopiedAudit, CopiedItem, CopyPlace

ACTORS = """
    SELECT a.key, a.type, a.id, a.record, EXISTS (SELECT 1 FROM active WHERE active.key = a.key),
        k.name, k.status, f.created_us, f.updated_us, f.ended_us, f.parent, f.tags
    FROM actors AS a LEFT JOIN facets AS f ON f.key = a.key LEFT JOIN kinds AS k ON k.kind = f.kind
    WHERE a.key > ? ORDER BY a.key
"""
REMINDERS = "SELECT key, name, due_us FROM reminders WHERE key > ? ORDER BY key, name, due_us"
ITEMS = """
    SELECT number, key, items.name, version, expires_us, value, type, id
    FROM items CROSS JOIN actors USING (key) WHERE number > ? ORDER BY number
"""
AUDIT = f"SELECT {AUDIT_COLUMNS} FROM audit WHERE number > ? ORDER BY number"  # noqa: S608  ours


class SqliteSource:
    """The files of a store.

    Args:
        files: The paths, in the order of the parts.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self._files = files

    @property
    def identity(self) -> str:
        with reading(self._files[0]) as connection:
            version = require_store(connection, self._files[0])
            number = schema.read_meta(connection, self._files[0], schema.STORE) if version > 2 else 0
        return f"{self._files[0]} (store {number:x})"

    async def apps(self) -> Mapping[str, int]:
        with reading(self._files[0]) as connection:
            return schema.read_apps(connection)

    async def actors(self, behind: CopyPlace) -> AsyncIterator[tuple[CopyPlace, CopiedActor]]:
        for part, path in list(enumerate(self._files))[behind.part :]:
            with reading(path) as connection:
                unsealed = _require_lists(connection, path)
                begin = behind.number if part == behind.part else CopyPlace().number
                reminders = RowsOfKeys(connection.execute(REMINDERS, (begin,)))
                for row in connection.execute(ACTORS, (begin,)):
                    own = [(name, due_us) for name, due_us in reminders.of(row[0])]
                    yield CopyPlace(part, row[0]), _actor(row, own, connection, unsealed)

    async def items(self, behind: CopyPlace) -> AsyncIterator[tuple[CopyPlace, CopiedItem]]:
        for part, path in list(enumerate(self._files))[behind.part :]:
            with reading(path) as connection:
                if require_store(connection, path) < schema.VERSION_OF_ITEMS:
                    continue
                begin = behind.number if part == behind.part else CopyPlace().number
                for number, *row, type_, id_ in connection.execute(ITEMS, (begin,)):
                    yield CopyPlace(part, number), _item(Address(type_, id_), *row)

    async def audit(self, behind: CopyPlace) -> AsyncIterator[tuple[CopyPlace, CopiedAudit]]:
        for part, path in list(enumerate(self._files))[behind.part :]:
            with reading(path) as connection:
                begin = behind.number if part == behind.part else CopyPlace().number
                for number, at_us, id_, action, author, blob in connection.execute(AUDIT, (begin,)):
                    body = unseal_audit(at_us, id_, action, author, blob)
                    if body is None:
                        raise StoreFailed(f"row {number} of the audit of {path} is not what was written")
                    yield CopyPlace(part, number), CopiedAudit(at_us, id_, AuditRow(action, author, body))


def _item(address: Address, key: int, name: bytes, version: int, expires_us: int, blob: Any) -> CopiedItem:
    try:
        value = unseal_item(key, name, version, expires_us, blob)
    except Damaged as damage:
        raise StoreFailed(f"{address} is damaged: {damage}. Restore a backup before the copy.") from damage
    return CopiedItem(address, name.decode(), Item(value, version, expires_us))


def _require_lists(connection: sqlite3.Connection, path: str) -> Unsealed:
    version = require_store(connection, path)
    if version < schema.VERSION_OF_LISTS or not Filling.of(connection, path).done:
        raise StoreFailed(
            f"{path} was written by an earlier release, and does not know yet what its instances are listed by. "
            "Start it once with this release, until `perdure ls` answers, and stop it in order."
        )
    return schema.unsealed_in(connection, path, version=version)


def _actor(
    row: Sequence[Any], reminders: Sequence[tuple[str, int]], connection: sqlite3.Connection, unsealed: Unsealed
) -> CopiedActor:
    key, type_, id_, record, active, name, status, created_us, updated_us, ended_us, parent, tags = row
    log = connection.execute("SELECT position, at_us, entry FROM log WHERE key = ? ORDER BY position", (key,))
    facets = None
    if name is not None:
        facets = Facets(name, status, created_us, updated_us, ended_us, parent, tags_in(tags))
    try:
        entries = [(at_us, unseal_entry(key, position, at_us, entry, unsealed)) for position, at_us, entry in log]
        return CopiedActor(
            Address(type_, id_),
            unseal_record(key, type_, id_, record, unsealed),
            bool(active),
            facets,
            entries,
            reminders,
        )
    except Damaged as damage:
        raise StoreFailed(
            f"{type_}/{id_} is damaged: {damage}. Purge it, or restore a backup, before the copy."
        ) from damage
