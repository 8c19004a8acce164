"""Reading a store on PostgreSQL from start to end, for a copy and for a check.

The rule: all rows are of one snapshot, even if a daemon uses the store meanwhile, and a damaged row ends the reading.
It takes as much memory for a large store as for a small one.

`actors/store/copying/copying.py` and `actors/store/postgres/checking.py` read with it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ...address import Address
from ..audit import AuditRow
from ..contract import Item
from ..copying.copying import CopiedActor, CopiedAudit, CopiedItem, CopyPlace
from ..errors import StoreFailed
from ..presence.apps import apps_in
from ..tables.auditing import AUDIT_COLUMNS, unseal_audit
from ..tables.checksums import ALL_SEALED, Damaged, unseal_entry, unseal_item, unseal_record
from ..tables.facets import facets_in
from .driver import AsyncpgDriver, DatabaseDriver, DatabaseSession, Lost, Refused, Row, Statement
from .kinds import KindNumbers
from .reading import POSITION
from .schema import CREATED_US, OLDEST, SCHEMA_VERSION, read_meta
from .settings import require_settings, session_settings
from .statements import BEGIN_READING, END_READING, FACETS, KINDS
from .url import DatabaseUrl

ACTORS_AT_ONCE = 200
ROWS_AT_ONCE = 2_000

PAGE = Statement(
    "page",
    f"SELECT key, type, id, record, active, {FACETS} FROM actors WHERE key > $1 ORDER BY key LIMIT $2",
)
LOGS = Statement(
    "logs",
    "SELECT key, position, at_us, entry FROM log WHERE key = ANY($1::bigint[])",
)
TIMERS = Statement(
    "timers",
    "DECLARE timers NO SCROLL CURSOR FOR SELECT key, name, due_us FROM reminders ORDER BY key, name, due_us",
)
NEXT_TIMERS = Statement("next timers", f"FETCH {ROWS_AT_ONCE} FROM timers")
CLOSE_TIMERS = Statement("close timers", "CLOSE ALL")
AUDIT = Statement(
    "audit page",
    f"SELECT {AUDIT_COLUMNS} FROM audit WHERE number > $1 ORDER BY number LIMIT $2",
)
ITEMS_PAGE = Statement(
    "items page",
    "SELECT i.key, i.name, i.version, i.expires_us, i.value, a.type, a.id FROM items AS i LEFT JOIN actors AS a"
    " ON a.key = i.key WHERE (i.key, i.name) > ($1::bigint, $2::bytea) ORDER BY i.key, i.name LIMIT $3",
)
ITEMS_AT_ONCE = 100  # items of up to some megabytes each


@asynccontextmanager
async def snapshot_of(url: DatabaseUrl, driver: DatabaseDriver | None = None) -> AsyncIterator["PostgresSource"]:
    """Open a snapshot of a store.

    Raises:
        StoreFailed: There is no store, or it cannot be read.
    """
    # A reader may pause between two pages for longer than a host may.
    settings = {**session_settings(url, "reader of all"), "idle_in_transaction_session_timeout": "0"}
    try:
        session = await (driver or AsyncpgDriver(url)).connect(settings)
    except (Lost, Refused) as error:
        raise StoreFailed(f"{url.shown} cannot be read: {error}") from error
    try:
        await require_settings(session, url)
        meta = await read_meta(session)
        if meta is None:
            raise StoreFailed(f"{url.name} has no store")
        if meta[OLDEST] > SCHEMA_VERSION:
            raise StoreFailed(f"{url.name} was written by a newer release")
        await session.run(BEGIN_READING)
        kinds = KindNumbers()
        kinds.learn(await session.run(KINDS))
        yield PostgresSource(session, url, kinds, made_us=meta[CREATED_US])
        await session.run(END_READING)
        await session.close()
    except (Lost, Refused) as error:
        raise StoreFailed(f"reading {url.shown} stopped: {error}") from error
    finally:
        session.terminate()


class PostgresSource:
    """A snapshot of a store."""

    def __init__(self, session: DatabaseSession, url: DatabaseUrl, kinds: KindNumbers, *, made_us: int) -> None:
        self.session = session
        self.kinds = kinds
        self._url = url
        self._made_us = made_us

    @property
    def identity(self) -> str:
        return f"{self._url.name} (made at {self._made_us})"

    async def apps(self) -> Mapping[str, int]:
        return apps_in((await read_meta(self.session) or {}).items())

    async def actors(self, behind: CopyPlace) -> AsyncIterator[tuple[CopyPlace, CopiedActor]]:
        async for row, log, reminders in self.rows(behind):
            yield CopyPlace(0, row[0]), self._actor(row, log, reminders)

    async def rows(self, behind: CopyPlace) -> AsyncIterator[tuple[Row, Sequence[Row], Sequence[tuple[str, int]]]]:
        """Yield the rows of the actors after a place: the row of `actors` (as in PAGE), of the log, and the reminders.

        Rows of the log are (position, time, entry), in order; reminders are (name, due time).
        """
        timers, after = Timers(self.session), behind.number
        await self.session.run(CLOSE_TIMERS)  # the cursor of a reader that has not come to its end
        await self.session.run(TIMERS)
        while rows := await self.session.run(PAGE, (after, ACTORS_AT_ONCE)):
            keys = [row[0] for row in rows]
            logs: dict[int, list[Row]] = {key: [] for key in keys}
            for row in sorted(await self.session.run(LOGS, (keys,)), key=POSITION):
                logs[row[0]].append(row[1:4])
            for row in rows:
                yield row, logs[row[0]], await timers.of(row[0])
            after = keys[-1]
        await self.session.run(CLOSE_TIMERS)

    async def audit(self, behind: CopyPlace) -> AsyncIterator[tuple[CopyPlace, CopiedAudit]]:
        after = behind.number
        while rows := await self.session.run(AUDIT, (after, ROWS_AT_ONCE)):
            for number, at_us, id_, action, author, blob in rows:
                body = unseal_audit(at_us, id_, action, author, blob)
                if body is None:
                    raise StoreFailed(f"row {number} of the audit of {self._url.name} is not what was written")
                yield CopyPlace(0, number), CopiedAudit(at_us, id_, AuditRow(action, author, body))
            after = rows[-1][0]

    async def items(self, behind: CopyPlace) -> AsyncIterator[tuple[CopyPlace, CopiedItem]]:
        async for key, name, version, expires_us, blob, type_, id_ in self.item_rows(behind):
            if type_ is None:
                continue  # the item belongs to no actor; `perdure store check` reports it
            try:
                value = unseal_item(key, name, version, expires_us, blob)
            except Damaged as damage:
                raise StoreFailed(f"{type_}/{id_} is damaged: {damage}. Restore a backup before the copy.") from damage
            place = CopyPlace(0, key, name.hex())
            yield place, CopiedItem(Address(type_, id_), name.decode(), Item(value, version, expires_us))

    async def item_rows(self, behind: CopyPlace) -> AsyncIterator[Row]:
        """Yield the rows of items after a place, as in ITEMS_PAGE."""
        after = behind.number, bytes.fromhex(behind.name)
        while rows := await self.session.run(ITEMS_PAGE, (*after, ITEMS_AT_ONCE)):
            for row in rows:
                yield row
            after = rows[-1][0], bytes(rows[-1][1])

    def _actor(self, row: Row, log: Sequence[Row], reminders: Sequence[tuple[str, int]]) -> CopiedActor:
        key, type_, id_, record, active, *facets = row
        address = Address(type_, id_)
        try:
            return CopiedActor(
                address,
                unseal_record(key, type_, id_, record, ALL_SEALED),
                active,
                facets_in(self.kinds, *facets),
                [(at_us, unseal_entry(key, position, at_us, entry, ALL_SEALED)) for position, at_us, entry in log],
                reminders,
            )
        except Damaged as damage:
            raise StoreFailed(
                f"{address} is damaged: {damage}. Purge it, or restore a backup, before the copy."
            ) from damage


class Timers:
    """The reminders of actors, which are read in the order of their keys."""

    def __init__(self, session: DatabaseSession) -> None:
        self._session = session
        self._rows: Sequence[Any] = ()
        self._at = 0
        self._ended = False

    async def of(self, key: int) -> Sequence[tuple[str, int]]:
        """Read the reminders of an actor: name and due time (Unix time, microseconds). Call it with ascending keys."""
        own: list[tuple[str, int]] = []
        while (row := await self._peek()) is not None and row[0] <= key:
            if row[0] == key:  # otherwise its actor was deleted
                own.append((row[1], row[2]))
            self._at += 1
        return own

    async def _peek(self) -> Row | None:
        if self._at >= len(self._rows) and not self._ended:
            self._rows, self._at = await self._session.run(NEXT_TIMERS), 0
            self._ended = not self._rows
        return self._rows[self._at] if self._at < len(self._rows) else None
