"""Writing to a store's SQLite file.

The rule: a commit is one transaction of few statements, and leaves no changes
if it fails. `changes_of` and `statements_of` are computed in the event loop, before the
trip to the writer's thread; `transact`, `execute` and `claim_shards` run on that thread.
`actors/store/sqlite/store.py` uses this module.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from ..contract import Write
from ..errors import StoreFenced
from ..tables.auditing import AuditValues
from ..tables.batch import EntryRow, ReminderRow, sorted_batch
from ..tables.checksums import seal_record, sealed_entries
from ..tables.items import ItemRow
from . import schema
from .lists.auditing import INSERT_AUDIT
from .lists.changes import Before, ListChanges
from .lists.kinds import Kinds
from .rows import Statement, flat, rows_of

T = TypeVar("T")

PUT_ITEM = (
    " ON CONFLICT (key, name) DO UPDATE"
    " SET version = excluded.version, expires_us = excluded.expires_us, value = excluded.value"
)


def transact(work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    """Run `work` inside a transaction, and commit it.

    Raises:
        sqlite3.Error: The transaction failed, and was rolled back.
        Exception: `work` raised it, and the transaction was rolled back.
    """
    roll_back(connection)  # an earlier transaction that could not be rolled back when it failed
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
    except BaseException:
        roll_back(connection)
        raise
    try:
        connection.execute("COMMIT")
    except sqlite3.Error:
        roll_back(connection)
        # If the flush failed, the whole commit is in the WAL. No connection reads it, but if the
        # process dies before the next commit overwrites it, SQLite's recovery would apply it.
        # The caller gets an error, so the commit is overwritten now.
        with suppress(sqlite3.Error):
            connection.execute("UPDATE meta SET value = value + 1 WHERE name = ?", (schema.FAILED_COMMITS,))
        raise
    return result


def roll_back(connection: sqlite3.Connection) -> None:
    """Roll an open transaction back. An error of SQLite is ignored: the transaction has ended then."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


class Fences:
    """The epochs of the shards in the file, without a read for each commit.

    No other process should write the file, but a lock file may be deleted.
    SQLite counts the commits of other connections (`data_version`), and the
    table is read again only when that count has changed. Used on the writer's
    thread, inside the transaction.
    """

    def __init__(self) -> None:
        self._version: int | None = None
        self._epochs: Mapping[int, int] = {}

    def forget(self) -> None:
        """Read the table again at the next check, because this connection has changed it."""
        self._version = None

    def check(self, expected: Mapping[int, int], connection: sqlite3.Connection) -> None:
        """Compare the epochs in the file with the host's epochs.

        Args:
            expected: Shard -> the epoch that the host knows.

        Raises:
            StoreFenced: The file has another epoch for a shard.
        """
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._epochs = dict(connection.execute("SELECT shard, epoch FROM shards").fetchall())
            self._version = version
        for shard, epoch in expected.items():
            if self._epochs.get(shard) != epoch:
                raise StoreFenced(shard, expected=epoch, found=self._epochs.get(shard))


def execute(
    statements: Sequence[Statement],
    lists: ListChanges,
    fences: Fences,
    expected: Mapping[int, int],
    connection: sqlite3.Connection,
) -> Mapping[int, Before]:
    """Check the epochs (shard to epoch), and execute the statements. Runs inside `transact`.

    Returns:
        The facets and tags before this commit, of actors whose writes do not contain them.
    """
    fences.check(expected, connection)
    looked = lists.look(connection) if lists.unknown else {}
    cursor = connection.cursor()
    for sql, values in statements:
        cursor.execute(sql, values)
    return looked


def claim_shards(fences: Fences, host: str, connection: sqlite3.Connection) -> Mapping[int, int]:
    """Make a host the owner of every shard of the file, and return shard -> new epoch."""

    def claim(connection: sqlite3.Connection) -> Mapping[int, int]:
        connection.execute("UPDATE shards SET host = ?, epoch = epoch + 1, lease_until_us = NULL", (host,))
        return dict(connection.execute("SELECT shard, epoch FROM shards").fetchall())

    epochs = transact(claim, connection)
    fences.forget()
    return epochs


@dataclass(slots=True)
class Changes:
    """The changes of a batch of writes, ordered by table instead of by write.

    Deletions are executed before insertions. `actors/store/tables/batch.py` says which change of a row wins.
    """

    logs_forgotten: Sequence[int] = ()  # keys
    deleted: dict[int, None] = field(default_factory=dict)  # keys
    records: dict[int, tuple[int, str, str, bytearray]] = field(default_factory=dict)  # with checksums
    entries: Sequence[EntryRow] = ()  # without checksums: they get their positions later
    marks: dict[int, bool] = field(default_factory=dict)
    reminders_cleared: Sequence[ReminderRow] = ()
    reminders_set: Sequence[ReminderRow] = ()
    audit: Sequence[AuditValues] = ()  # with checksums
    items_put: Sequence[ItemRow] = ()  # with checksums
    items_dropped: Sequence[tuple[int, bytes]] = ()
    lists: ListChanges = field(default_factory=ListChanges)


def changes_of(writes: Sequence[Write], kinds: Kinds, known_max: int) -> Changes:
    """Sort a batch of writes by table.

    Args:
        kinds: The kinds of the store; new kinds get their numbers.
        known_max: No actor with a higher key was in an earlier batch.
    """
    changes = Changes()
    records, marks, lists = changes.records, changes.marks, changes.lists
    for write in writes:
        key = write.key
        if write.delete:
            changes.deleted[key] = None
            records.pop(key, None)
            lists.delete(write, kinds)
            marks[key] = False
            continue
        if write.record is not None:
            type_, id_ = write.address
            # A bytearray for the reason in `sealed_entries`.
            records[key] = key, type_, id_, bytearray(seal_record(key, type_, id_, write.record))
        if write.facets is not None:
            lists.add(write, kinds)
        if write.active is not None:
            marks[key] = write.active
    batch = sorted_batch(writes)
    changes.logs_forgotten, changes.entries = batch.logs_forgotten, batch.entries
    changes.reminders_cleared = batch.reminders_cleared
    changes.reminders_set = [row[:3] for row in batch.reminders_set]
    changes.audit = batch.audit
    changes.items_put, changes.items_dropped = batch.items_put, batch.items_dropped
    lists.finish(changes.deleted, kinds, known_max)
    return changes


def statements_of(changes: Changes, position: int) -> Iterator[Statement]:
    """Yield the statements that bring the file to these changes, in the order in which they must run.

    Args:
        position: The position of the first entry that is added to the log. The store counts, and not SQLite, because
            the checksum of an entry includes its position.
    """
    yield from rows_of("DELETE FROM log WHERE key IN (VALUES ", 1, changes.logs_forgotten, ")")
    if changes.deleted:
        yield from rows_of("DELETE FROM actors WHERE key IN (VALUES ", 1, list(changes.deleted), ")")
        yield "UPDATE meta SET value = max(value, ?) WHERE name = ?", (max(changes.deleted), schema.RETIRED_KEY)
    insert = "INSERT INTO actors (key, type, id, record) VALUES "
    update = " ON CONFLICT (key) DO UPDATE SET record = excluded.record"
    yield from rows_of(insert, 4, flat(changes.records.values()), update)
    entries = sealed_entries([(key, at_us, entry) for key, _, at_us, entry in changes.entries], position)
    yield from rows_of("INSERT INTO log (position, key, at_us, entry) VALUES ", 4, entries)

    unmarked = [key for key, mark in changes.marks.items() if not mark]
    marked = [key for key, mark in changes.marks.items() if mark]
    yield from rows_of("DELETE FROM active WHERE key IN (VALUES ", 1, unmarked, ")")
    yield from rows_of("INSERT OR IGNORE INTO active (key) VALUES ", 1, marked)

    # Not `IN (VALUES ...)`: SQLite would read the whole table for it.
    delete = "DELETE FROM reminders WHERE (due_us, key, name) IN (SELECT * FROM (VALUES "
    yield from rows_of(delete, 3, flat(changes.reminders_cleared), "))")
    insert = "INSERT OR IGNORE INTO reminders (due_us, key, name) VALUES "
    yield from rows_of(insert, 3, flat(changes.reminders_set))
    yield from changes.lists.statements()
    yield from rows_of(INSERT_AUDIT, 5, flat(changes.audit))

    delete = "DELETE FROM items WHERE (key, name) IN (SELECT * FROM (VALUES "
    yield from rows_of(delete, 2, flat(changes.items_dropped), "))")
    insert = "INSERT INTO items (key, name, version, expires_us, value) VALUES "
    yield from rows_of(insert, 5, flat(changes.items_put), PUT_ITEM)
