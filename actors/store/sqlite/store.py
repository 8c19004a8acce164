"""The store that a host uses: one SQLite file, which holds a whole store or a part of one.

The rule: a commit is one transaction and one trip to the writer's thread,
however many writes it has. The file belongs to one process, which has two
connections to it: one writes, and the other reads at the same time and never
waits for a flush.

    your task ──commit──> writer's thread    BEGIN, a few statements, COMMIT
              ──load────> reader's thread    sees every commit that has returned

Statements are computed before the trip, because a thread beside a busy event
loop waits for the interpreter lock (the GIL) each time it comes back from SQLite;
see `Connection` (`actors/store/sqlite/connection.py`) and `rows_of` (`actors/store/sqlite/rows.py`).

The engine makes one (`runtime/engine.py`), and gives it to its host.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from itertools import count
from typing import TypeVar

import anyio

from ...address import Address
from ..contract import Inspection, Reminder, Stored, Write
from ..durability import Durability
from ..errors import StoreDivided, StoreFailed
from ..part import WHOLE, Part, check_parts
from . import schema
from .connection import Connection, take_lock
from .reading import read_active, read_actors, read_ids, read_outsides, read_reminders
from .writing import Fences, changes_of, claim_shards, execute, statements_of, transact

T = TypeVar("T")

# SQLite checkpoints when the WAL has so many pages (16 MiB). At its default of
# 1000 the same pages of the index are copied home again and again: 10 % fewer
# rows a second.
CHECKPOINT_PAGES = 4000
WAL_BYTES_KEPT = 64 * 1024 * 1024  # a WAL that grew beyond it is cut back by the next checkpoint
CACHE_KIB = 32 * 1024  # per connection, taken as it is needed


class SqliteStore:
    """A store in the file at `path`, which is created if need be.

    Needs asyncio, as aiosqlite does.

    Args:
        shards: How many, for a file that is created. A file that exists keeps its own
            number, which the property `shards` has once the store is open.
        part: Which part of its store the file at `path` is, or becomes. A file
            that exists and is another part is refused.
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
        self.path = self._path = os.fspath(path)
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
        # Shielded, as closing is: a store that is half open would keep its threads.
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
        # The file belongs to one process, so every shard in it can be claimed, and no lease ends.
        return await self._call(self._writer, partial(claim_shards, self._fences, host), "claiming the shards")

    def new_key(self) -> int:
        assert self._writer is not None, "the store is not open"
        return next(self._keys)

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        assert fences.keys() >= {write.shard for write in writes}, "a shard without its epoch"
        work = partial(execute, list(statements_of(changes_of(writes))), self._fences, dict(fences))
        # A commit that is under way cannot be taken back. A caller that is cancelled meanwhile
        # waits for its end first, and then knows what the store holds.
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

    async def _connect(self, stack: AsyncExitStack, path: str) -> Connection:
        try:
            connection = await Connection.to(path)
        except sqlite3.Error as error:
            raise StoreFailed(f"{self._path} cannot be opened: {error}. May this user write there?") from error
        stack.push_async_callback(connection.close)
        return connection

    async def _call(self, connection: Connection | None, function: Callable[[sqlite3.Connection], T], what: str) -> T:
        if connection is None:
            raise StoreFailed(f"{self._path} is not open")
        try:
            return await connection.call(function)
        except sqlite3.Error as error:
            raise StoreFailed(f"{what} failed in {self._path}: {error}") from error


# Opening.


def prepare(
    path: str, durability: Durability, shards: int, part: Part, connection: sqlite3.Connection
) -> tuple[int, int]:
    """Make a file ready for writing: check its version and part, then create it or migrate it.

    Returns:
        How many shards its store has, and the highest key that was ever used.

    Raises:
        StoreTooNew: A newer release wrote it.
        StoreDivided: It is another part of a store than `part`.
        StoreFailed: It is no store, or is damaged, or its file system has no shared memory.
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
    # Some distributions overwrite deleted rows with zeros; FAST does so only on pages that are written anyhow.
    connection.execute("PRAGMA secure_delete = FAST")
    if version is None:
        transact(partial(schema.create, shards=shards, created_us=time.time_ns() // 1000, part=part), connection)
    elif version < schema.SCHEMA_VERSION:
        transact(partial(schema.migrate, found=version), connection)
    (key_max,) = connection.execute("SELECT coalesce(max(key), 0) FROM actors").fetchone()
    retired = schema.read_meta(connection, path, schema.RETIRED_KEY)
    return schema.read_meta(connection, path, schema.SHARDS), max(key_max, retired)


def prepare_reader(connection: sqlite3.Connection) -> None:
    """Make a connection read only."""
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")


def empty_wal(connection: sqlite3.Connection) -> None:
    """Copy all pages of the WAL into the database file, so that a stopped store is one file."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
