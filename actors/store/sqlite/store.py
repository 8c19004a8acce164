"""The store that a host uses: one SQLite file, which holds all of a store or a part of it.

The one law: a commit is one transaction and one trip to the writer's thread,
whatever it holds. The file belongs to one process, which has two connections
to it: one writes, and one reads meanwhile and never waits for a flush.

    your task ──commit──> writer's thread    BEGIN, a few statements, COMMIT
              ──load────> reader's thread    sees every commit that has returned

Whatever can be computed before the trip is computed before it, because a
thread beside a busy event loop waits for the interpreter lock (the GIL) each
time it comes back from SQLite; see `Connection` and `rows_of`.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, partial
from itertools import chain, count
from typing import Any, TypeVar

import aiosqlite
import anyio
from filelock import BaseFileLock, FileLock, Timeout

from ...address import Address
from ..contract import Inspection, Reminder, Stored, Write
from ..errors import StoreDivided, StoreFailed, StoreFenced, StoreLocked
from ..part import WHOLE, Part, check_parts
from . import schema

T = TypeVar("T")

# SQL, and what to bind to it: one value per question mark.
Statement = tuple[str, Sequence[Any]]

# SQLite checkpoints when the WAL has so many pages (16 MiB). At its default of
# 1000 the same pages of the index are copied home again and again: 10 % fewer
# rows a second.
CHECKPOINT_PAGES = 4000
WAL_BYTES_KEPT = 64 * 1024 * 1024  # a WAL that grew beyond it is cut back by the next checkpoint
CACHE_KIB = 32 * 1024  # per connection, taken as it is needed
LOCK_WAIT_S = 5.0  # for another program that has the file, such as the sqlite3 shell
STATEMENTS_CACHED = 512  # more than all that `rows_of` makes, or they would be compiled for each commit


class Durability(Enum):
    """What a commit outlives."""

    FULL = "full"  # the machine: flushed to the disk before it returns
    RELAXED = "relaxed"  # the process; a crash of the machine may take the newest commits, whole


class SqliteStore:
    """A store in the file at `path`, which is created if need be.

    Needs asyncio, as aiosqlite does.

    Args:
        shards: For a file that is created. One that is there keeps its own
            number, which `shards` says once the store is open.
        part: What the file at `path` is, or will be, of its store. One that
            is there and is something else is refused.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = Durability.FULL,
        shards: int = 64,
        part: Part = WHOLE,
    ) -> None:
        check_parts(part.of, shards=shards)
        self._path = os.fspath(path)
        self._durability = durability
        self._shards = shards
        self._part = part
        self._fences = Fences()
        self._keys = count(1)
        self._writer: Connection | None = None
        self._reader: Connection | None = None
        self._resources = AsyncExitStack()

    @property
    def shards(self) -> int:
        return self._shards

    async def open(self) -> None:
        # Shielded, as closing is: half an open store would keep its threads.
        with anyio.CancelScope(shield=True):
            async with AsyncExitStack() as stack:
                # The real path, or a symbolic link would have a lock of its own.
                path = os.path.realpath(self._path)  # noqa: ASYNC240  a few microseconds, once
                stack.callback(take_lock(path).release)
                writer = await self._connect(stack, path)
                self._shards, key_max = await self._call(
                    writer, partial(prepare, self._path, self._durability, self._shards, self._part), "opening"
                )
                reader = await self._connect(stack, path)
                await self._call(reader, prepare_reader, "opening")
                self._resources = stack.pop_all()
        self._keys = count(key_max + 1)
        self._fences = Fences()
        self._writer, self._reader = writer, reader

    async def close(self) -> None:
        writer, self._writer, self._reader = self._writer, None, None
        with anyio.CancelScope(shield=True):
            if writer is not None:
                # To the end of the queue, behind commits under way.
                with suppress(sqlite3.Error):
                    await writer.call(empty_wal)
            await self._resources.aclose()

    async def claim(self, host: str, *, now_us: int) -> Mapping[int, int]:
        # The file has one process, so every shard in it can be had, and nobody's lease runs out.
        return await self._call(self._writer, partial(claim_shards, self._fences, host), "claiming the shards")

    def new_key(self) -> int:
        assert self._writer is not None, "the store is not open"
        return next(self._keys)

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        assert fences.keys() >= {write.shard for write in writes}, "a shard without its epoch"
        work = partial(execute, list(statements_of(changes_of(writes))), self._fences, dict(fences))
        # A commit cannot be taken back once it is on its way. Who is cancelled meanwhile
        # learns its end first, and knows what is in the store.
        with anyio.CancelScope(shield=True):
            await self._call(self._writer, partial(transact, work), f"a commit of {len(writes)} writes")

    async def load(self, addresses: Sequence[Address]) -> list[Stored | None]:
        return await self._call(self._reader, partial(read_actors, addresses), "loading")

    async def inspect(self, addresses: Sequence[Address]) -> list[Inspection | None]:
        return await self._call(self._reader, partial(read_outsides, addresses), "reading")

    async def ids(self, actor_type: str, *, after: str | None, limit: int) -> list[str]:
        return await self._call(self._reader, partial(read_ids, actor_type, after, limit), "listing ids")

    async def active(self) -> list[Address]:
        return await self._call(self._reader, read_active, "listing what is active")

    async def reminders(self, *, after: Reminder | None, limit: int) -> list[Reminder]:
        return await self._call(self._reader, partial(read_reminders, after, limit), "reading reminders")

    async def _connect(self, stack: AsyncExitStack, path: str) -> "Connection":
        try:
            connection = await Connection.to(path)
        except sqlite3.Error as error:
            raise StoreFailed(f"{self._path} cannot be opened: {error}. May this user write there?") from error
        stack.push_async_callback(connection.close)
        return connection

    async def _call(self, connection: "Connection | None", function: Callable[[sqlite3.Connection], T], what: str) -> T:
        if connection is None:
            raise StoreFailed(f"{self._path} is not open")
        try:
            return await connection.call(function)
        except sqlite3.Error as error:
            raise StoreFailed(f"{what} failed in {self._path}: {error}") from error


# The way to a thread and back.


class Connection(aiosqlite.Connection):
    """A connection whose thread runs whole functions, each in one trip.

    When one takes long, the event loop rests for a wink every millisecond.
    CPython gives the lock to a thread that waits when the loop holds it for 5
    ms at a stretch, or lets go of it for longer than the thread needs to wake
    up. A busy loop does neither: it lets go for a microsecond at each `select`
    and `send`, and each time the thread's 5 ms begin anew. Measured with 100
    writes per commit beside a loop whose rounds take 30 to 400 µs: most
    commits took from 0.2 seconds to more than a minute, and a switch interval
    of 0.5 ms did not help; with the rests it is 2 to 9 ms. A loop that is idle
    now and then lets the thread through by itself, and then a rest would only
    delay others: so the first one comes late.
    """

    FIRST_REST_S = 0.003
    REST_EVERY_S = 0.001
    REST_S = 0.000_05  # longer than a thread needs to wake up; the system makes 0.1 ms of it

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._under_way = 0
        self._next_rest: asyncio.TimerHandle | None = None

    @classmethod
    async def to(cls, path: str) -> "Connection":
        """Connect to a file.

        A file that cannot be opened is found out behind aiosqlite's back: when its connector
        raises, its thread is told to end and nobody waits for that, so that it may come too
        late for the event loop.
        """
        refused: list[sqlite3.Error] = []

        def connector() -> sqlite3.Connection:
            try:
                return connect(path)
            except sqlite3.Error as error:
                refused.append(error)
                return sqlite3.connect(":memory:")

        connection = cls(connector)
        await connection
        if refused:
            await connection.close()
            raise refused[0]
        return connection

    async def call(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run `function` on the connection's thread, behind those called before it.

        If the caller is cancelled it runs all the same, and nobody learns how it ended.
        """
        if self._under_way == 0:
            loop = asyncio.get_running_loop()
            self._next_rest = loop.call_later(self.FIRST_REST_S, self._rest, loop)
        self._under_way += 1
        try:
            # Protected, but there is no other way to run more than one statement per
            # trip; tests/actors/store/sqlite/test_store.py holds that it is there.
            result: T = await self._execute(function, self._conn)  # type: ignore[no-untyped-call]
            return result
        finally:
            self._under_way -= 1
            if self._under_way == 0 and self._next_rest is not None:
                self._next_rest.cancel()

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        time.sleep(self.REST_S)
        self._next_rest = loop.call_later(self.REST_EVERY_S, self._rest, loop)


# Opening.


def take_lock(path: str) -> BaseFileLock:
    """Take the file for this process; the operating system lets go of it when the process dies.

    A file of its own: SQLite's locks on the database are dropped as soon as
    this process closes any other descriptor of it.
    """
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        raise StoreFailed(f"{path} cannot be created: there is no directory {directory}")
    lock = FileLock(f"{path}.lock", thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise StoreLocked(path) from None
    except OSError as error:
        raise StoreFailed(f"{path}.lock cannot be written: {error.strerror}. May this user write there?") from error
    return lock


def connect(path: str) -> sqlite3.Connection:
    # No implicit transactions: ours are written out.
    return sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None, cached_statements=STATEMENTS_CACHED)


def prepare(
    path: str, durability: Durability, shards: int, part: Part, connection: sqlite3.Connection
) -> tuple[int, int]:
    """Make a file ready for writing: check whose it is, then create it or bring it up to date.

    Returns:
        How many shards its store has, and the highest key that was ever used.
    """
    version = schema.version_of(connection, path)
    if version is not None:
        found = schema.part_in(connection, path, version=version)
        if found != part:
            raise StoreDivided(path, found=found, asked=part)
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreFailed(f"{path} is on a file system without shared memory; the store needs a local disk")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durability is Durability.FULL else 'NORMAL'}")
    # macOS: fsync leaves the data in the drive's cache. Elsewhere this says nothing.
    connection.execute(f"PRAGMA fullfsync = {durability is Durability.FULL:d}")
    connection.execute(f"PRAGMA checkpoint_fullfsync = {durability is Durability.FULL:d}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    # Some distributions overwrite what is deleted with zeros; FAST does so only on pages that are written anyhow.
    connection.execute("PRAGMA secure_delete = FAST")
    if version is None:
        transact(partial(schema.create, shards=shards, created_us=time.time_ns() // 1000, part=part), connection)
    elif version < schema.SCHEMA_VERSION:
        transact(partial(schema.migrate, found=version), connection)
    (key_max,) = connection.execute("SELECT coalesce(max(key), 0) FROM actors").fetchone()
    retired = schema.read_meta(connection, path, schema.RETIRED_KEY)
    return schema.read_meta(connection, path, schema.SHARDS), max(key_max, retired)


def prepare_reader(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")


def empty_wal(connection: sqlite3.Connection) -> None:
    """Copy everything into the database file, so that a stopped store is one file."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


# Writing, on the writer's thread.


def transact(work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    """Do `work` whole or not at all."""
    roll_back(connection)  # one that could not be rolled back when it failed
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
        # If it was the flush that failed, the commit stands in the WAL, whole. Nobody reads
        # it, but should the process die before the next commit overwrites it, recovery would
        # take it for one that happened. We have said that it did not: overwrite it now.
        with suppress(sqlite3.Error):
            connection.execute("UPDATE meta SET value = value + 1 WHERE name = ?", (schema.FAILED_COMMITS,))
        raise
    return result


def roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def execute(
    statements: Sequence[Statement], fences: "Fences", expected: Mapping[int, int], connection: sqlite3.Connection
) -> None:
    fences.check(expected, connection)
    cursor = connection.cursor()
    for sql, values in statements:
        cursor.execute(sql, values)


def claim_shards(fences: "Fences", host: str, connection: sqlite3.Connection) -> Mapping[int, int]:
    def claim(connection: sqlite3.Connection) -> Mapping[int, int]:
        connection.execute("UPDATE shards SET host = ?, epoch = epoch + 1, lease_until_us = NULL", (host,))
        return dict(connection.execute("SELECT shard, epoch FROM shards").fetchall())

    epochs = transact(claim, connection)
    fences.forget()
    return epochs


class Fences:
    """The epochs of the shards, as of now, without reading them for each commit.

    Only this process should write the file, but a lock file may be deleted.
    SQLite counts the commits of other connections (`data_version`), and only
    if there was one is the table read again. Used on the writer's thread,
    inside the transaction.
    """

    def __init__(self) -> None:
        self._version: int | None = None
        self._epochs: Mapping[int, int] = {}

    def forget(self) -> None:
        self._version = None

    def check(self, expected: Mapping[int, int], connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._epochs = dict(connection.execute("SELECT shard, epoch FROM shards").fetchall())
            self._version = version
        for shard, epoch in expected.items():
            if self._epochs.get(shard) != epoch:
                raise StoreFenced(shard, expected=epoch, found=self._epochs.get(shard))


@dataclass(slots=True)
class Changes:
    """What a batch of writes comes to, table by table instead of write by write.

    Where several concern the same row, the last one counts; the log keeps its
    order. What is forgotten is so before anything is added: what the batch
    itself adds and then forgets does not get this far.
    """

    logs_forgotten: list[int] = field(default_factory=list)  # keys
    deleted: dict[int, None] = field(default_factory=dict)  # keys
    records: dict[int, tuple[int, str, str, bytes]] = field(default_factory=dict)
    entries: list[tuple[int, int, bytes]] = field(default_factory=list)
    marks: dict[int, bool] = field(default_factory=dict)
    reminders: dict[tuple[int, int, str], bool] = field(default_factory=dict)


def changes_of(writes: Iterable[Write]) -> Changes:
    changes = Changes()
    records, entries, marks, reminders = changes.records, changes.entries, changes.marks, changes.reminders
    forgotten: dict[int, int] = {}  # key -> how many entries of this batch came before
    for write in writes:
        key = write.key
        if write.reset or write.delete:
            forgotten[key] = len(entries)
        for name, due_us in write.reminders_cleared:
            reminders[due_us, key, name] = False
        if write.delete:
            changes.deleted[key] = None
            records.pop(key, None)
            marks[key] = False
            continue
        if write.record is not None:
            records[key] = (key, *write.address, write.record)
        if write.entry is not None:
            entries.append((key, write.at_us, write.entry))
        if write.active is not None:
            marks[key] = write.active
        for name, due_us in write.reminders_set:
            reminders[due_us, key, name] = True
    if forgotten:
        changes.logs_forgotten = list(forgotten)
        changes.entries = [entry for i, entry in enumerate(entries) if i >= forgotten.get(entry[0], 0)]
    return changes


def statements_of(changes: Changes) -> Iterator[Statement]:
    yield from rows_of("DELETE FROM log WHERE key IN (VALUES ", 1, changes.logs_forgotten, ")")
    if changes.deleted:
        yield from rows_of("DELETE FROM actors WHERE key IN (VALUES ", 1, list(changes.deleted), ")")
        yield "UPDATE meta SET value = max(value, ?) WHERE name = ?", (max(changes.deleted), schema.RETIRED_KEY)
    insert = "INSERT INTO actors (key, type, id, record) VALUES "
    update = " ON CONFLICT (key) DO UPDATE SET record = excluded.record"
    yield from rows_of(insert, 4, flat(changes.records.values()), update)
    yield from rows_of("INSERT INTO log (key, at_us, entry) VALUES ", 3, flat(changes.entries))

    unmarked, marked = split(changes.marks.items())
    yield from rows_of("DELETE FROM active WHERE key IN (VALUES ", 1, unmarked, ")")
    yield from rows_of("INSERT OR IGNORE INTO active (key) VALUES ", 1, marked)

    cleared, added = split(changes.reminders.items())
    # Not `IN (VALUES ...)`: SQLite would read the whole table for it.
    delete = "DELETE FROM reminders WHERE (due_us, key, name) IN (SELECT * FROM (VALUES "
    yield from rows_of(delete, 3, flat(cleared), "))")
    yield from rows_of("INSERT OR IGNORE INTO reminders (due_us, key, name) VALUES ", 3, flat(added))


def flat(rows: Iterable[Iterable[Any]]) -> list[Any]:
    return list(chain.from_iterable(rows))


def split(marks: Iterable[tuple[T, bool]]) -> tuple[list[T], list[T]]:
    """Sort into those that are False and those that are True."""
    unset: list[T] = []
    are_set: list[T] = []
    for row, mark in marks:
        (are_set if mark else unset).append(row)
    return unset, are_set


# Reading, on the reader's thread.


def read_actors(addresses: Sequence[Address], connection: sqlite3.Connection) -> list[Stored | None]:
    connection.execute("BEGIN")  # one snapshot for all that follows
    with connection:
        actors: list[tuple[str, str, int, bytes, int]] = asked(
            connection,
            addresses,
            """
            SELECT type, id, key, record, EXISTS (SELECT 1 FROM active WHERE active.key = actors.key)
            FROM asked CROSS JOIN actors USING (type, id)
            """,
        )
        logs: dict[int, list[bytes]] = {key: [] for _, _, key, _, _ in actors}
        for sql, keys in rows_of(
            "SELECT key, entry FROM log WHERE key IN (VALUES ", 1, list(logs), ") ORDER BY key, position"
        ):
            for key, entry in connection.execute(sql, keys).fetchall():
                logs[key].append(entry)
    found = {
        (type_, id_): Stored(key=key, record=record, entries=tuple(logs[key]), active=bool(active))
        for type_, id_, key, record, active in actors
    }
    return [found.get(address) for address in addresses]


def read_outsides(addresses: Sequence[Address], connection: sqlite3.Connection) -> list[Inspection | None]:
    connection.execute("BEGIN")
    with connection:
        rows: list[tuple[str, str, bytes, bytes | None, bytes | None, int | None]] = asked(
            connection,
            addresses,
            """
            SELECT type, id, record, first.entry, last.entry, last.at_us
            FROM asked CROSS JOIN actors USING (type, id)
            LEFT JOIN log AS first ON first.position = (SELECT min(position) FROM log WHERE log.key = actors.key)
            LEFT JOIN log AS last ON last.position = (SELECT max(position) FROM log WHERE log.key = actors.key)
            """,
        )
    found = {
        (type_, id_): Inspection(record=record, first=first, last=last, updated_us=at_us or 0)
        for type_, id_, record, first, last, at_us in rows
    }
    return [found.get(address) for address in addresses]


def asked(connection: sqlite3.Connection, addresses: Sequence[Address], select: str) -> list[Any]:
    """Run `select` with the addresses as a table `asked (type, id)`."""
    rows: list[Any] = []
    for sql, values in rows_of("WITH asked (type, id) AS (VALUES ", 2, flat(addresses), f") {select}"):
        rows += connection.execute(sql, values).fetchall()
    return rows


def read_ids(actor_type: str, after: str | None, limit: int, connection: sqlite3.Connection) -> list[str]:
    # SQLite compares text as UTF-8, which is the order of code points.
    rows = connection.execute(
        "SELECT id FROM actors WHERE type = ? AND id > ? ORDER BY id LIMIT ?"
        if after is not None
        else "SELECT id FROM actors WHERE type = ? AND ? IS NULL ORDER BY id LIMIT ?",
        (actor_type, after, limit),
    )
    return [row[0] for row in rows.fetchall()]


def read_active(connection: sqlite3.Connection) -> list[Address]:
    rows = connection.execute("SELECT type, id FROM active CROSS JOIN actors USING (key) ORDER BY active.key")
    return [Address(*row) for row in rows.fetchall()]


def read_reminders(after: Reminder | None, limit: int, connection: sqlite3.Connection) -> list[Reminder]:
    # CROSS JOIN: in this order, reminders first, or SQLite might sort them all.
    rows = connection.execute(
        """
        SELECT due_us, key, name, type, id FROM reminders CROSS JOIN actors USING (key)
        WHERE (due_us, key, name) > (?, ?, ?) ORDER BY due_us, key, name LIMIT ?
        """,
        (*(after[:3] if after is not None else (-(2**63), 0, "")), limit),
    )
    return [Reminder(due_us, key, name, Address(type_, id_)) for due_us, key, name, type_, id_ in rows.fetchall()]


# Many rows in one statement.

# Where a statement gets longer its compiled form costs more memory than it saves time.
ROWS_PER_STATEMENT_MAX = 128


def rows_of(prefix: str, columns: int, values: Sequence[Any], suffix: str = "") -> Iterator[Statement]:
    """Put rows behind `prefix` as `(?, ?), (?, ?)`, in as few statements as will do.

    Args:
        columns: How many values make a row.
        values: Those of all rows, one after the other; none make no statement.

    Not `executemany`: it takes the interpreter lock again for each row, and
    each time may wait for it. Beside a thread that never waits, 100 writes took
    212 ms with it, 58 ms in statements of 64, 16, 4 and 1 rows, and 32 ms in as
    few as possible. So these are at most two for up to 128 rows, of 23 lengths
    in all, so that nearly all are found compiled.
    """
    begin = 0
    while left := (len(values) - begin) // columns:
        rows = left if left < 16 else min(left - left % 16, ROWS_PER_STATEMENT_MAX)
        end = begin + rows * columns
        yield sql_of(prefix, columns, rows, suffix), values[begin:end]
        begin = end


@cache
def sql_of(prefix: str, columns: int, rows: int, suffix: str) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"{prefix}{', '.join([row] * rows)}{suffix}"
