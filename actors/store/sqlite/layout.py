"""Laying a store out in parts: a new store, or an existing one for another number of hosts.

The rule: an existing store is read and not changed. The new files are complete and
checked before they get their names (`making` in actors/store/sqlite/files.py).

`daemon/hosts/processes.py` calls `make_ready` before it starts hosts, and `cli/store.py` calls `spread`.
Both are synchronous: no host uses the store meanwhile.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from ...address import shard_of
from ...instruments import SYSTEM
from ..errors import StoreDivided, StoreFailed
from ..part import Part, check_parts, part_of
from ..tables.checksums import (
    Unsealed,
    seal_entry,
    seal_item,
    seal_record,
    unseal_entry,
    unseal_item,
    unseal_record,
)
from . import schema
from .files import (
    Stamp,
    holding,
    locked,
    making,
    new_layout,
    parts_of,
    paths_of,
    reading,
    refuse_existing,
    require_store,
    stamp_of,
)
from .identity import make_private
from .lists import spreading
from .maintenance import check, faults_in

# The cache of all new files together. Pages that do not fit are written out before the end.
CACHE_KIB = 128 * 1024

# The statements that copy each table, in this order. For each table, the first reads the rows of an old file in the
# order in which they are written, and the second writes a row to a new file. Rows have names instead of keys, because
# the keys of two parts collide: an actor gets a new key in its new file, in the order of the old keys, and its other
# rows find the key by its name. Rows of deleted actors are not copied, so their keys may be used again: the new files
# begin without a retired key. Checksums include keys and positions, so records and entries are unsealed and sealed
# anew.
COPIED = (
    (
        "SELECT unseal_record(key, type, id, record), type, id FROM actors ORDER BY key",
        "INSERT INTO actors (key, record, type, id)"
        " SELECT key, seal_record(key, ?2, ?3, ?1), ?2, ?3 FROM (SELECT coalesce(max(key), 0) + 1 AS key FROM actors)",
    ),
    (
        "SELECT type, id FROM active CROSS JOIN actors USING (key) ORDER BY active.key",
        "INSERT INTO active (key) SELECT key FROM actors WHERE type = ? AND id = ?",
    ),
    (
        "SELECT at_us, unseal_entry(log.key, position, at_us, entry), type, id"
        " FROM log CROSS JOIN actors USING (key) ORDER BY position",
        "INSERT INTO log (position, at_us, entry, key) SELECT position, ?1, seal_entry(key, position, ?1, ?2), key"
        " FROM actors, (SELECT coalesce(max(position), 0) + 1 AS position FROM log) WHERE type = ?3 AND id = ?4",
    ),
    (
        "SELECT due_us, name, type, id FROM reminders CROSS JOIN actors USING (key) ORDER BY due_us, key, name",
        "INSERT INTO reminders (due_us, name, key) SELECT ?, ?, key FROM actors WHERE type = ? AND id = ?",
    ),
)
COPIED_ITEMS = (
    (
        "SELECT name, version, expires_us, unseal_item(items.key, name, version, expires_us, value), type, id"
        " FROM items CROSS JOIN actors USING (key) ORDER BY number",
        "INSERT INTO items (name, version, expires_us, value, key)"
        " SELECT ?1, ?2, ?3, seal_item(key, ?1, ?2, ?3, ?4), key FROM actors WHERE type = ?5 AND id = ?6",
    ),
)
COUNTED = ("actors", "active", "log", "reminders")
COUNTED_ITEMS = ("items",)


def make_ready(path: str | os.PathLike[str], *, parts: int, shards: int = 64) -> None:
    """Check that a store of `parts` parts is complete; make a new store if there is no file.

    To be called before the hosts start. A host alone cannot distinguish a new store from
    a store that has lost the host's part, and would begin with an empty part.

    Raises:
        ValueError: There are more parts than shards.
        StoreDivided: The store has another number of parts.
        StoreFailed: A part is missing, or belongs to another store, or cannot be written.
    """
    check_parts(parts, shards=shards)
    data = os.fspath(path)
    paths = paths_of(data, parts)
    there = [path for path in paths if os.path.lexists(path)]
    if not there:
        stamp = Stamp(part=Part(0, parts), shards=shards, layout=new_layout(), created_us=SYSTEM.time_ns() // 1000)
        with locked(paths), making(paths) as unfinished, created(unfinished, stamp):
            pass
        return
    if data not in there:
        raise StoreFailed(f"{there[0]} is there, and {data}, the first part of the store, is not")
    if (found := stamp_of(data).part) != Part(0, parts):
        raise StoreDivided(data, found=found, asked=Part(0, parts))
    parts_of(data)


def spread(path: str | os.PathLike[str], target: str | os.PathLike[str], *, parts: int) -> None:
    """Lay a store out anew at `target`, for another number of hosts. The old store is not changed.

    It reads each old file once, and takes as much memory for a large store as for a small one.

    Raises:
        StoreLocked: A daemon has the store, or has files of the new store.
        StoreFailed: The store is not sound, or a part of it is missing; it has fewer shards than
            `parts`; a file of a new name exists, or a new file cannot be written.
        StoreTooNew: A newer release wrote the store.
    """
    data = os.fspath(path)
    with holding(data) as old:
        stamp = stamp_for(old, parts=parts)
        paths = paths_of(os.fspath(target), parts)
        refuse_existing(paths, "exists already")  # `making` does so too, but much later
        if wrong := check(data):
            raise StoreFailed(f"{data} is not sound: {'; '.join(wrong)}")
        # Locked until the last file has its name: a daemon that starts on some files would make the others itself.
        with locked(paths), making(paths) as unfinished:
            with created(unfinished, stamp) as new:
                for file in old:
                    with reading(file) as connection:
                        pour(connection, new, shards=stamp.shards, path=file)
            compare(old, unfinished)


def stamp_for(old: Sequence[str], *, parts: int) -> Stamp:
    """Make the stamp of the first of `parts` parts of a store that is made from these files.

    Raises:
        StoreFailed: The store cannot have this number of parts.
    """
    stamps = [stamp_of(file) for file in old]
    shards = stamps[0].shards
    try:
        check_parts(parts, shards=shards)
    except ValueError as error:
        raise StoreFailed(f"{old[0]} cannot be laid out so: {error}") from None
    created_us = min(stamp.created_us for stamp in stamps)
    return Stamp(part=Part(0, parts), shards=shards, layout=new_layout(), created_us=created_us)


@contextmanager
def created(paths: Sequence[str], stamp: Stamp) -> Iterator[list[sqlite3.Connection]]:
    """Create all parts of a store, each in one transaction, which is committed at the end."""
    with ExitStack() as stack:
        connections: list[sqlite3.Connection] = []
        for index, path in enumerate(paths):
            make_private(path)
            connection = stack.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
            # An unfinished file may be lost in a crash. It is flushed before it gets its name.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB // len(paths)}")
            connection.execute("BEGIN")
            schema.create(
                connection,
                shards=stamp.shards,
                created_us=stamp.created_us,
                part=Part(index, len(paths)),
                layout=stamp.layout,
            )
            functions_of_new(connection)
            connections.append(connection)
        yield connections
        for connection in connections:
            connection.execute("COMMIT")


def functions_of_old(connection: sqlite3.Connection, unsealed: Unsealed) -> None:
    """Register the functions for reading by `COPIED` on an old file. A damaged row ends the copying."""
    connection.create_function("unseal_record", 4, partial(unseal_record, unsealed=unsealed))
    connection.create_function("unseal_entry", 4, partial(unseal_entry, unsealed=unsealed))
    connection.create_function("unseal_item", 5, unseal_item)


def functions_of_new(connection: sqlite3.Connection) -> None:
    """Register the functions for writing by `COPIED` on a new file."""
    connection.create_function("seal_record", 4, seal_record)
    connection.create_function("seal_entry", 4, seal_entry)
    connection.create_function("seal_item", 5, seal_item)


def pour(old: sqlite3.Connection, new: Sequence[sqlite3.Connection], *, shards: int, path: str) -> None:
    """Copy all rows of an old file, each to the new file of its actor."""
    version = require_store(old, path)
    functions_of_old(old, schema.unsealed_in(old, path, version=version))
    copied = [*COPIED]
    if version >= schema.VERSION_OF_LISTS:
        spreading.copy_kinds(old, new)
        copied += spreading.COPIED
    if version >= schema.VERSION_OF_ITEMS:
        copied += COPIED_ITEMS
    for select, insert in copied:
        for row in old.execute(select):
            new[part_of(shard_of(row[-1], shards), len(new))].execute(insert, row)
    for connection in new:
        schema.write_apps(schema.read_apps(old), connection)
    for shard, host, epoch in old.execute("SELECT shard, host, epoch FROM shards"):
        # The highest epoch, so that a late commit of a host that has ended is still refused.
        new[part_of(shard, len(new))].execute(
            "UPDATE shards SET host = ?, epoch = ? WHERE shard = ? AND epoch <= ?", (host, epoch, shard, epoch)
        )
    if not spreading.is_filled(old, path, version=version):
        for connection in new:
            spreading.fill_again(connection)


def compare(old: Sequence[str], new: Sequence[str]) -> None:
    """Check that the new files are sound, and have the same number of rows as the old files.

    Raises:
        StoreFailed: A new file is not sound, or rows are missing.
    """
    for path in new:
        if wrong := faults_in(path):
            raise StoreFailed(f"{path} has not become sound: {'; '.join(wrong)}")
    if (had := counts(old)) != (has := counts(new)):
        tables = (*COUNTED, *spreading.COUNTED, *COUNTED_ITEMS)
        raise StoreFailed(f"the new store has {has} rows of {tables}, and should have {had}")


def counts(paths: Sequence[str]) -> list[int]:
    """Count the rows of each table in all files together."""
    tables = (*COUNTED, *spreading.COUNTED, *COUNTED_ITEMS)
    total = [0] * len(tables)
    for path in paths:
        with reading(path) as connection:
            version = require_store(connection, path)
            has = len(COUNTED) + (version >= schema.VERSION_OF_LISTS) * len(spreading.COUNTED)
            has += (version >= schema.VERSION_OF_ITEMS) * len(COUNTED_ITEMS)
            for i, table in enumerate(tables[:has]):
                total[i] += connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  ours
    return total
