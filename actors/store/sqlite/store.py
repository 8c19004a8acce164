"""The store that a host uses: one SQLite file, which holds a whole store or a part of one.

The rule: a commit is one transaction and one trip to the writer's thread,
however many writes it has. The file belongs to one process, which has three
connections to it: one writes, one reads at the same time and never waits for a
flush, and one lists, so that a load does not wait for a page of a long list.

    your task ──commit──> writer's thread    BEGIN, a few statements, COMMIT
              ──load────> reader's thread    sees every commit that has returned
              ──list────> lister's thread    the same; from the first list on

Statements are computed before the trip, because a thread beside a busy event
loop waits for the interpreter lock (the GIL) each time it comes back from SQLite;
see `Connection` (`actors/store/sqlite/connection.py`) and `rows_of` (`actors/store/sqlite/rows.py`).

The engine makes the store (`runtime/engine.py`), and gives it to its host.
"""

import logging
import os
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from itertools import count
from typing import NamedTuple, TypeVar

import anyio

from ...address import Address
from ...instruments import SYSTEM, Chance, Instruments
from ..audit import ORDER, AuditFilter, AuditPage
from ..contract import FoundItems, Inspection, Reminder, Stored, Unlisted, Write
from ..cursor import position_of
from ..durability import Durability
from ..errors import StoreDivided, StoreError, StoreFailed, StoreGone
from ..listing import Counted, Facets, ListFilter, ListPage, Order, asks_kinds_only, grouped
from ..part import WHOLE, Part, check_parts
from ..presence.apps import AppNames, with_apps
from ..tables.checksums import Unsealed
from ..tables.paging import Asked
from . import reading, schema
from .connection import STATEMENTS_CACHED, Carrier, Connect, Connection, set_flushes
from .identity import Hold
from .in_use import UNKNOWN, InUse, refuse_missing
from .lists.auditing import read_audit, thin_audit
from .lists.filling import Filling, read_unlisted
from .lists.kinds import Kinds, take_kinds
from .lists.mending import are_damaged, begin_anew
from .lists.reading import read_counts, read_page
from .reading import Wanted, in_shards, read_active, read_actors, read_ids, read_outsides, read_reminders
from .salvage import damaged_in, derive, derived_damaged_in, highest_position, replace, rescue, tidy
from .wal.checkpoints import BEGIN_PAGES, Checkpoints, connect_for_checkpoints, leave_checkpoints
from .wal.shared_index import within
from .writing import Fences, changes_of, claim_shards, execute, statements_of, transact

T = TypeVar("T")

logger = logging.getLogger(__name__)

WAL_BYTES_KEPT = 64 * 1024 * 1024  # the next checkpoint cuts a larger WAL back to this size
CACHE_KIB = 32 * 1024  # per connection, allocated as needed
LISTS_CACHED = 32  # compiled statements of lists: each set of kinds has its own, and some are large


class SqliteStore:
    """A store in the file at `path`, which is created if need be.

    Needs asyncio, as aiosqlite does.

    Args:
        shards: How many shards a new file gets. An existing file keeps its own number,
            which the property `shards` has once the store is open.
        part: The part of its store that the file at `path` is, or becomes. An existing
            file that is another part is refused.
        connect: Makes the connections, each with a thread of its own by default.
        instruments: The instruments of the machine, for the number and the date of a new file, and for the time
            since the last look at the files.
    """

    LOOK_S = 1.0  # between two looks of `intact` at the files
    kind = "sqlite"
    cluster = None
    commits_elsewhere = False
    rings_apart = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = Durability.FULL,
        shards: int = 64,
        part: Part = WHOLE,
        connect: Connect = Connection.to,
        instruments: Instruments = SYSTEM,
    ) -> None:
        check_parts(part.of, shards=shards)
        self._connect_to = connect
        self._own_threads = connect == Connection.to
        self._instruments = instruments
        self.path = self._path = os.fspath(path)
        self._durability = durability
        self._shards = shards
        self._part = part
        self._fences = Fences()
        self._keys = count(1)
        self._writer: Carrier | None = None
        self._reader: Carrier | None = None
        self._lister: Carrier | None = None  # made for the first list
        self._lister_lock = anyio.Lock()
        self._resources = AsyncExitStack()
        self._kinds = Kinds()
        self._filling = Filling()
        self._key_max = 0  # the highest key in a commit
        self._unsealed = Unsealed()
        self._position = 0  # the highest position of an entry
        self._hold: Hold | None = None
        self._in_use: InUse | None = None
        self._checkpoints: Checkpoints | None = None
        self._gone: StoreGone | None = None  # set once the opened files were replaced or moved
        self._look_at_s = 0.0  # when `intact` looks again; the stopwatch's time

    @property
    def shards(self) -> int:
        return self._shards

    @property
    def intact(self) -> bool:
        """Whether the opened files are still at their paths. It looks at most once a second; each commit looks too."""
        if self._hold is not None and (now_s := self._instruments.stopwatch()) >= self._look_at_s:
            self._look_at_s = now_s + self.LOOK_S
            self._look(self._hold)
            if self._gone is None and self._in_use is not None:
                self._in_use.mend()
        return self._gone is None

    async def open(self) -> None:
        # Shielded, as closing is: a half-opened store would keep its threads.
        with anyio.CancelScope(shield=True):
            async with AsyncExitStack() as stack:
                # The real path, because a symbolic link would have another lock.
                path = os.path.realpath(self._path)  # noqa: ASYNC240  a few microseconds, once
                refuse_missing(path)
                hold = Hold.take(path, create=True)
                stack.callback(hold.release)
                # Before SQLite opens the file, because it folds any -wal beside the file.
                trusted, chance = self._durability is Durability.FULL, self._instruments.chance
                in_use = InUse(hold, trusted=trusted, chance=chance)
                stack.callback(in_use.close)
                writer = await self._connect(stack, path)
                new = NewFile(self._shards, self._part, self._instruments.time_ns() // 1000, chance)
                ready = await self._call(writer, partial(prepare, self._path, self._durability, new, in_use), "opening")
                reader = await self._connect(stack, path)
                await self._call(reader, prepare_reader, "opening")
                hold.watch(in_use.number)
                checkpoints = await self._begin_checkpoints(hold, writer)
                self._resources = stack.pop_all()
        self._shards, self._unsealed = ready.shards, ready.unsealed
        self._kinds, self._filling = ready.kinds, ready.filling
        self._key_max = ready.key_max
        self._keys = count(ready.key_max + 1)
        self._position = ready.position_max
        self._fences = Fences()
        self._hold, self._in_use, self._gone, self._checkpoints = hold, in_use, None, checkpoints
        self._writer, self._reader = writer, reader

    async def close(self) -> None:
        writer, self._writer, self._reader, self._lister = self._writer, None, None, None
        hold, self._hold = self._hold, None
        checkpoints, self._checkpoints = self._checkpoints, None
        with anyio.CancelScope(shield=True):
            if checkpoints is not None:
                await checkpoints.close()
            if writer is not None and hold is not None:
                in_use = self._in_use
                assert in_use is not None
                self._look(hold)
                if self._gone is not None:
                    hold.keep_wal()
                else:
                    # At the end of the queue, after commits under way.
                    with suppress(sqlite3.Error, StoreFailed):
                        await writer.call(partial(within, hold.index, partial(come_to_rest, in_use)))
            async with self._lister_lock:  # otherwise a connection that is being made now would never be closed
                await self._resources.aclose()

    async def enter_apps(self, asked: AppNames) -> Mapping[str, int]:
        known = await self._call(self._reader, schema.read_apps, "reading the apps")
        apps = with_apps(known, asked, alone=self._part == WHOLE)
        if apps != known:
            with anyio.CancelScope(shield=True):
                write = partial(self._commit, partial(schema.write_apps, apps), None)
                await self._call(self._writer, write, "entering the apps")
        return apps

    async def claim(self, host: str, *, now_us: int) -> Mapping[int, int]:
        # The file belongs to one process, so every shard in it can be claimed, and leases do not end.
        return await self._call(self._writer, partial(claim_shards, self._fences, host), "claiming the shards")

    def new_key(self) -> int:
        if self._writer is None:
            raise StoreFailed("the store is not open; nothing was written. Open it before it is used.")
        return next(self._keys)

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        assert fences.keys() >= {write.shard for write in writes}, "a shard without its epoch"
        if self._gone is not None:
            raise self._gone.with_traceback(None)
        changes = changes_of(writes, self._kinds, self._key_max)
        lists = changes.lists
        self._key_max = max(self._key_max, max(lists.facets, default=0))
        # In the order of the commits, because no other task runs between this and the queue of the writer's thread.
        statements = list(statements_of(changes, self._position + 1))
        self._position += len(changes.entries)
        # None for a batch without entries, because the commit of the last entries may have failed.
        position = self._position if changes.entries else None
        work = partial(execute, statements, lists, self._fences, dict(fences))
        if changes.logs_forgotten and position is None:
            work = partial(self._lower, work)
        # A commit that is under way cannot be undone. A caller that is cancelled meanwhile
        # waits for the end of the commit first, and then knows its outcome.
        with anyio.CancelScope(shield=True):
            looked = await self._call(
                self._writer, partial(self._commit, work, position), f"a commit of {len(writes)} writes"
            )
        if lists.facets or lists.deleted:
            self._kinds.committed(lists.kinds, lists.delta(looked))

    async def load(self, addresses: Sequence[Address]) -> Sequence[Stored | StoreError | None]:
        read = partial(read_actors, addresses, self._unsealed, self._kinds)
        return _there(await self._call(self._reader, read, "loading"), self._require_files)

    async def inspect(self, addresses: Sequence[Address]) -> Sequence[Inspection | StoreError | None]:
        read = partial(read_outsides, addresses, self._unsealed, self._kinds)
        return _there(await self._call(self._reader, read, "reading"), self._require_files)

    async def items(self, address: Address, names: Sequence[str] = (), *, expiring: int = 0) -> FoundItems | None:
        read = partial(reading.read_items, address, names, expiring, self._unsealed)
        return await self._call(self._reader, read, "reading")

    async def ids(self, actor_type: str, *, after: str | None, limit: int) -> Sequence[str]:
        return await self._call(self._reader, partial(read_ids, actor_type, after, limit), "listing ids")

    async def active(self, shards: Collection[int] | None = None) -> Sequence[Address]:
        marked = await self._call(self._reader, read_active, "listing active actors")
        return marked if shards is None else in_shards(marked, shards, of=self.shards)

    async def reminders(
        self,
        *,
        after: Reminder | None,
        limit: int,
        until: Reminder | None = None,
        shards: Collection[int] | None = None,
    ) -> Sequence[Reminder]:
        wanted = Wanted(after, until, None if shards is None else frozenset(shards), self.shards)
        return await self._call(self._reader, partial(read_reminders, wanted, limit), "reading reminders")

    async def list(
        self, actor_type: str, wanted: ListFilter, *, order: Order, cursor: str | None, limit: int
    ) -> ListPage:
        behind = None if cursor is None else position_of(cursor, order.value, numbers=order is not Order.ID)
        self._filling.require()
        read = partial(read_page, Asked(actor_type, wanted, order, behind), limit, self._kinds, self._unsealed)
        return await self._call(await self._lists(), read, "listing")

    async def count(self, actor_type: str, wanted: ListFilter, *, by: Sequence[str]) -> Counted:
        self._filling.require()
        counts, more = self._kinds.counts(actor_type, wanted), False
        if not asks_kinds_only(wanted):
            read = partial(read_counts, Asked(actor_type, wanted), self._kinds)
            counts, more = await self._call(await self._lists(), read, "counting")
        kinds = [(self._kinds[number], count) for number, count in counts.items()]
        return grouped(((kind.status, kind.name, kind.root, count) for kind, count in kinds), by, more=more)

    async def audit(self, wanted: AuditFilter, *, cursor: str | None, limit: int) -> AuditPage:
        behind = None if cursor is None else position_of(cursor, ORDER)
        return await self._call(await self._lists(), partial(read_audit, wanted, behind, limit), "reading the audit")

    async def thin_audit(self, before_us: int) -> int:
        thinned = 0
        while gone := await self._call(
            self._writer, partial(self._commit, partial(thin_audit, before_us), None), "thinning the audit"
        ):
            thinned += gone
        return thinned

    async def unlisted(self, *, limit: int) -> Sequence[Unlisted]:
        if self._filling.done:
            return ()
        read = partial(read_unlisted, self._filling, limit, self._unsealed)
        return await self._call(await self._lists(), read, "reading unlisted actors")

    async def enlist(self, found: Sequence[tuple[Unlisted, Facets | None]]) -> None:
        rows = self._filling.rows_of(found, self._kinds)
        with anyio.CancelScope(shield=True):
            delta = await self._call(self._writer, partial(self._commit, rows.apply, None), "filling the lists")
        self._filling.done_to(rows.listed_key)
        self._kinds.committed(rows.kinds, delta)

    async def _lists(self) -> Carrier | None:
        """The connection for lists, which is made for the first list."""
        async with self._lister_lock:
            if self._lister is None and self._reader is not None:
                path = os.path.realpath(self._path)  # noqa: ASYNC240  as in `open`
                lister = await self._connect(self._resources, path, statements=LISTS_CACHED)
                await self._call(lister, prepare_reader, "opening")
                if self._reader is not None:  # otherwise the store is closing, and the connection is closed too
                    self._lister = lister
            return self._lister

    # On the writer's thread.

    def _commit(
        self, work: Callable[[sqlite3.Connection], T], position: int | None, connection: sqlite3.Connection
    ) -> T:
        """Commit, and check that the files are still at their paths.

        Args:
            position: The position of the last entry that the commit adds; None if it adds no entry.
        """
        in_use, hold = self._in_use, self._hold
        assert in_use is not None
        result = transact(work, connection)
        if hold is not None:
            self._look(hold)
        if self._gone is not None:
            raise self._gone.with_traceback(None)
        if position is not None:
            in_use.acknowledge(position)
        if self._checkpoints is not None:
            self._checkpoints.after_commit(connection)
        return result

    def _lower(self, work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
        """Do `work`, which deletes entries and adds none, and lower the acknowledged position.

        Before the commit, because after a kill the id must not have a position that the log does not reach.
        """
        result = work(connection)
        assert self._in_use is not None
        self._in_use.acknowledge(highest_position(connection))
        return result

    def _require_files(self) -> None:
        if self._hold is not None:
            self._look(self._hold)
        if self._gone is not None:
            raise self._gone.with_traceback(None)

    def _look(self, hold: Hold) -> None:
        """Compare the files with the opened ones. Once they differ, all later writes are refused."""
        if self._gone is None and (how := hold.moved()) is not None:
            self._gone = StoreGone(self._path, how)
            logger.error("%s", self._gone)

    async def _begin_checkpoints(self, hold: Hold, writer: Carrier) -> Checkpoints | None:
        """Make checkpoints in a thread of their own, and not within commits; None: SQLite makes them within commits."""
        if hold.index is None:
            return None
        await self._call(writer, leave_checkpoints, "opening")
        connect_ = partial(connect_for_checkpoints, hold.path, self._durability)
        return Checkpoints(connect_, hold.index, beside=self._own_threads)

    async def _connect(self, stack: AsyncExitStack, path: str, *, statements: int = STATEMENTS_CACHED) -> Carrier:
        try:
            connection = await self._connect_to(path, statements=statements)
        except sqlite3.Error as error:
            raise StoreFailed(f"{self._path} cannot be opened: {error}. May this user write there?") from error
        stack.push_async_callback(connection.close)
        return connection

    async def _call(self, connection: Carrier | None, function: Callable[[sqlite3.Connection], T], what: str) -> T:
        if connection is None:
            raise StoreFailed(f"{self._path} is not open")
        try:
            index = self._hold.index if self._hold is not None else None
            return await connection.call(partial(within, index, function))
        except (sqlite3.Error, OSError) as error:
            self._require_files()
            raise StoreFailed(f"{what} failed in {self._path}: {error}") from error


# Opening.


class NewFile(NamedTuple):
    """The facts about a file, if it has to be made."""

    shards: int  # of the whole store
    part: Part
    created_us: int  # Unix time, microseconds
    chance: Chance


class Prepared(NamedTuple):
    """The facts about a file that is ready for writing."""

    shards: int  # of the whole store
    key_max: int  # the highest key that was ever used
    position_max: int  # the highest position of the log
    unsealed: Unsealed
    kinds: Kinds
    filling: Filling


def prepare(path: str, durability: Durability, new: NewFile, in_use: InUse, connection: sqlite3.Connection) -> Prepared:
    """Make a file ready for writing: check its version and part, then create it or migrate it, and mark it in use.

    Raises:
        StoreTooNew: A newer release wrote it.
        StoreDivided: It is not the expected part of a store.
        StoreFailed: It is not a store, or is damaged, or is not the file that was last in use, or its file system has
            no shared memory.
    """
    version = schema.version_of(connection, path)
    if version is not None:
        found = schema.part_in(connection, path, version=version)
        if found != new.part:
            raise StoreDivided(path, found=found, asked=new.part)
        number = schema.read_meta(connection, path, schema.STORE) if version > 2 else UNKNOWN
        in_use.check(number, highest_position(connection))
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreFailed(f"{path} is on a file system without shared memory; the store needs a local disk")
    set_flushes(connection, durability)
    connection.execute(f"PRAGMA wal_autocheckpoint = {BEGIN_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    # Some distributions overwrite deleted rows with zeros; FAST does so only on pages that are written in any case.
    connection.execute("PRAGMA secure_delete = FAST")

    def begin(connection: sqlite3.Connection) -> Kinds:
        for table in damaged:
            replace(connection, table)
        if underived is not None:
            derive(connection, underived)
        if lists_damaged:
            begin_anew(connection)
        if version is None:
            schema.create(connection, shards=new.shards, created_us=new.created_us, part=new.part, chance=new.chance)
        elif version < schema.SCHEMA_VERSION:
            schema.migrate(connection, found=version)
        kinds = take_kinds(connection)
        connection.execute(f"PRAGMA user_version = {in_use.number}")
        return kinds

    fold(connection)  # the header in the -wal may have another number than the file
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    damaged = damaged_in(connection, version) if version is not None else []
    underived = derived_damaged_in(connection, path) if version is not None else None
    lists_damaged = version is not None and version >= schema.VERSION_OF_LISTS and are_damaged(connection, path)
    if damaged:
        rescue(connection, in_use.hold, damaged)
    in_use.announce(number)
    kinds = transact(begin, connection)
    if damaged or underived is not None or lists_damaged:
        tidy(connection, path)
    position_max = highest_position(connection)
    in_use.begin(schema.read_meta(connection, path, schema.STORE), position_max, folded=fold(connection))
    (key_max,) = connection.execute("SELECT coalesce(max(key), 0) FROM actors").fetchone()
    return Prepared(
        shards=schema.read_meta(connection, path, schema.SHARDS),
        key_max=max(key_max, schema.read_meta(connection, path, schema.RETIRED_KEY)),
        position_max=position_max,
        unsealed=schema.unsealed_in(connection, path, version=schema.SCHEMA_VERSION),
        kinds=kinds,
        filling=Filling.of(connection, path),
    )


def prepare_reader(connection: sqlite3.Connection) -> None:
    """Make a connection read-only."""
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")


def fold(connection: sqlite3.Connection) -> bool:
    """Copy all pages of the -wal into the file; False if a reader of another process has prevented that for some."""
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def come_to_rest(in_use: InUse, connection: sqlite3.Connection) -> None:
    """Do the last step of an orderly stop: make the file whole without its -wal, and mark it as not in use."""
    if fold(connection):
        in_use.end(partial(rest, connection), highest_position(connection))


def rest(connection: sqlite3.Connection) -> bool:
    """Write into the header that the file is not in use; False if only the -wal has this."""
    connection.execute("PRAGMA user_version = 0")
    return fold(connection)


def _there(found: Sequence[T | StoreError | None], require: Callable[[], None]) -> Sequence[T | StoreError | None]:
    """The rows that were read. Damage counts only if the opened files are still in place, which `require` checks."""
    if any(isinstance(row, StoreError) for row in found):
        require()
    return found
