"""The store that a host uses on PostgreSQL: a schema of a database, which belongs to one host at a time.

The rule: a commit is one statement and one trip to the server, however many writes it has, and it writes nothing once
this host's row was deleted (`FENCE` in `actors/store/postgres/statements.py`). No clock of another machine is used.

    your task ──commit──> writer's session    one statement, under the lock of the host's own row
              ──load────> reader's session    sees every commit that has returned
              ──list────> lister's session    the same; from the first list on
                          beat's session      twice a second: reads the rows of the hosts, this one's included

While the database is unreachable, commits and reads wait for it, up to `patience_s`, and go on.
`actors/store/postgres/writer.py` finds the outcome of a commit whose connection breaks. docs/design/postgres.md has the
reasons and the measurements. The engine makes the store (`runtime/engine.py`), and gives it to its host.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import anyio

from ...address import Address
from ...instruments import SYSTEM, Instruments
from ...release import own_release
from ..audit import ORDER, AuditFilter, AuditPage
from ..cluster import Cluster
from ..contract import FoundItems, Inspection, Reminder, Stored, Unlisted, Write
from ..cursor import position_of
from ..errors import StoreError, StoreFailed, StoreFenced, StoreLocked, StoreTakenOver
from ..listing import Counted, Facets, ListFilter, ListPage, Order, asks_kinds_only, grouped
from ..presence.acknowledged import Acknowledged
from ..presence.apps import AppNames
from ..presence.figures import CommitDoubts
from ..tables.kinds import matching
from ..tables.paging import Asked
from .changes import Group, RowChanges, changes_of, items_of
from .driver import AsyncpgDriver, DatabaseDriver, DatabaseSession, Lost, Refused, spawn
from .kinds import KindNumbers
from .lists.reading import read_audit, read_counts, read_page, read_tallies
from .log import placed
from .presence import Presence, new_host
from .reading import (
    ReadingSession,
    learn_kinds,
    read_active,
    read_actors,
    read_ids,
    read_items,
    read_outsides,
    read_reminders,
)
from .schema import COPYING, READ_META, enter_apps, make_ready, require_whole
from .schema import SHARDS as SHARDS_OF
from .settings import replication_warning, require_settings, session_settings, why_closed
from .statements import (
    ADD_KINDS,
    ANY_ACTOR,
    FOLD_TALLIES,
    KINDS,
    SET_COPYING,
    SHARDS,
    TAKE,
    TAKE_KEYS,
    THIN_AUDIT,
    commit_of,
)
from .url import parse_url
from .writer import CommitReceipt, Pauses, Writer

logger = logging.getLogger(__name__)

SHARDS_DEFAULT = 1024  # a store keeps its number of shards, and more hosts need more shards
KEYS_AT_ONCE = 2**20  # a block of keys; the next one is taken when half of it is used
THINNED_AT_ONCE = 2_000  # rows of the audit that one statement deletes
TALLIES_MAX = 10_000  # rows are folded when there are more
PATIENCE_S = 30.0


class PostgresStore:
    """A store at an address like `postgresql://user@host/database?schema=perdure`, which is made if it does not exist.

    Needs asyncio, as asyncpg does.

    Args:
        shards: How many shards a new store gets. An existing store keeps its own number.
        patience_s: How long commits, reads and the start wait for an unreachable database.
        driver: Makes the sessions; asyncpg by default.
        copying: Open the store although it is the unfinished target of a copy (`perdure store copy`).

    Raises:
        StoreFailed: The address is malformed, or the driver is not installed.
    """

    kind = "postgresql"
    path = None
    cluster: Cluster | None = None
    commits_elsewhere = True
    rings_apart = True

    def __init__(
        self,
        data: str,
        *,
        shards: int = SHARDS_DEFAULT,
        patience_s: float = PATIENCE_S,
        driver: DatabaseDriver | None = None,
        instruments: Instruments = SYSTEM,
        copying: bool = False,
    ) -> None:
        self.url = parse_url(data)
        self._driver = driver or AsyncpgDriver(self.url)
        self._shards = shards
        self.patience_s = patience_s
        self._instruments = instruments
        self._copying = copying
        self.doubts = CommitDoubts()
        self._open: Opened | None = None
        self._opening = False

    @property
    def shards(self) -> int:
        return self._shards

    @property
    def intact(self) -> bool:
        """Whether this host still has the store."""
        presence = self._open.presence if self._open is not None else None
        return presence is None or presence.ended is None

    async def open(self) -> None:
        if self._open is not None or self._opening:
            raise StoreLocked(self.url.name)
        self._opening = True
        try:
            await self._patiently(self._enter)
        finally:
            self._opening = False

    async def _enter(self) -> None:
        session = await self._connect("opening")
        try:
            found = await require_settings(session, self.url)
            if (warning := replication_warning(found, self.url)) is not None:
                logger.warning("%s", warning)
            now_us = self._instruments.time_ns() // 1000
            meta = await make_ready(session, self.url, shards=self._shards, now_us=now_us)
            if not self._copying:
                require_whole(meta, self.url)
            self._shards = meta[SHARDS_OF]
            writer = Writer(self.url, self._connect, patience_s=self.patience_s, doubts=self.doubts)
            self._open = Opened(self.url.name, self._reader_of, writer)
            await self._take_up(self._open, session)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.close()
            raise
        finally:
            session.terminate()

    async def _take_up(self, opened: "Opened", session: DatabaseSession) -> None:
        """Enter this host as the only one."""
        presence = Presence(new_host(self._instruments), self.url, self._connect, release=own_release())
        await presence.join(session)
        await opened.begin(presence)
        presence.begin()

    async def close(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            with anyio.CancelScope(shield=True):
                await opened.close()

    async def enter_apps(self, asked: AppNames) -> Mapping[str, int]:
        self._opened()
        apps = dict[str, int]()

        async def enter() -> None:
            session = await self._connect("entering the apps")
            try:
                apps.update(await enter_apps(session, self.url, asked))
            finally:
                session.terminate()

        await self._patiently(enter)
        return apps

    async def claim(self, host: str, *, now_us: int) -> Mapping[int, int]:
        opened = self._opened()
        rows = await opened.reader.run(SHARDS, (), "claiming the shards")
        taken = await opened.take([(shard, epoch) for shard, _, epoch in rows])
        if len(taken) < len(rows):
            raise StoreLocked(self.url.name)
        return taken

    def new_key(self) -> int:
        return self._opened().new_key()

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        assert fences.keys() >= {write.shard for write in writes}, "a shard without its epoch"
        opened = self._opened()
        for shard, epoch in fences.items():
            if opened.epochs.get(shard) != epoch:
                raise StoreFenced(shard, expected=epoch, found=opened.epochs.get(shard))
        if writes:
            await opened.commit(writes)

    async def load(self, addresses: Sequence[Address]) -> Sequence[Stored | StoreError | None]:
        opened = self._opened()
        found = await read_actors(opened.reader, addresses, opened.kinds)
        opened.are_born(each.key for each in found if isinstance(each, Stored))
        return found

    async def inspect(self, addresses: Sequence[Address]) -> Sequence[Inspection | StoreError | None]:
        opened = self._opened()
        return await read_outsides(opened.reader, addresses, opened.kinds)

    async def items(self, address: Address, names: Sequence[str] = (), *, expiring: int = 0) -> FoundItems | None:
        return await read_items(self._opened().reader, address, names, expiring)

    async def ids(self, actor_type: str, *, after: str | None, limit: int) -> Sequence[str]:
        return await read_ids(self._opened().reader, actor_type, after, limit)

    async def active(self, shards: Collection[int] | None = None) -> Sequence[Address]:
        return await read_active(self._opened().reader, shards)

    async def reminders(
        self,
        *,
        after: Reminder | None,
        limit: int,
        until: Reminder | None = None,
        shards: Collection[int] | None = None,
    ) -> Sequence[Reminder]:
        return await read_reminders(self._opened().reader, after, until, shards, limit)

    async def list(
        self, actor_type: str, wanted: ListFilter, *, order: Order, cursor: str | None, limit: int
    ) -> ListPage:
        behind = None if cursor is None else position_of(cursor, order.value, numbers=order is not Order.ID)
        opened, asked = self._opened(), Asked(actor_type, wanted, order, behind)
        return await opened.lister.call(lambda session: read_page(asked, limit, opened.kinds, session), "listing")

    async def count(self, actor_type: str, wanted: ListFilter, *, by: Sequence[str]) -> Counted:
        opened, more = self._opened(), False
        if asks_kinds_only(wanted):
            counts = await opened.tallied()
        else:
            asked = Asked(actor_type, wanted)
            counts, more = await opened.lister.call(
                lambda session: read_counts(asked, opened.kinds, session), "counting"
            )
        kinds = matching(opened.kinds.all, actor_type, wanted)
        found = [(kinds[number], count) for number, count in counts.items() if number in kinds]
        return grouped(((kind.status, kind.name, kind.root, count) for kind, count in found), by, more=more)

    async def audit(self, wanted: AuditFilter, *, cursor: str | None, limit: int) -> AuditPage:
        behind = None if cursor is None else position_of(cursor, ORDER)
        return await self._opened().lister.call(
            lambda session: read_audit(wanted, behind, limit, session), "reading the audit"
        )

    async def thin_audit(self, before_us: int) -> int:
        thinned, opened = 0, self._opened()
        while gone := len(await opened.writer.run(THIN_AUDIT, (before_us, THINNED_AT_ONCE), "thinning the audit")):
            thinned += gone
        return thinned

    async def unlisted(self, *, limit: int) -> Sequence[Unlisted]:
        self._opened()
        return ()

    async def enlist(self, found: Sequence[tuple[Unlisted, Facets | None]]) -> None:
        self._opened()
        assert not found, "no release has left actors without facets on PostgreSQL"

    # For the target of a copy.

    async def begin_copy(self) -> None:
        """Mark this store as the unfinished target of a copy, if it is empty.

        Raises:
            StoreFailed: The store is neither empty nor marked.
        """
        opened = self._opened()
        meta = await opened.reader.run(READ_META, (), "looking at the store")
        if any(name == COPYING and value for name, value in meta):
            return
        if await opened.reader.run(ANY_ACTOR, (), "looking at the store"):
            raise StoreFailed(f"{self.url.name} has a store already. Name another ?schema=, or drop that one.")
        await opened.writer.run(SET_COPYING, (1,), "beginning a copy")

    async def end_copy(self) -> None:
        """Mark this store as whole."""
        await self._opened().writer.run(SET_COPYING, (0,), "ending a copy")

    # Its parts.

    def _opened(self) -> "Opened":
        if self._open is None:
            raise StoreFailed(f"{self.url.shown} is not open; nothing was done. Open it before it is used.")
        return self._open

    async def _connect(self, purpose: str) -> DatabaseSession:
        return await self._driver.connect(session_settings(self.url, purpose))

    def _reader_of(self, writer: Writer, purpose: str) -> ReadingSession:
        return ReadingSession(self.url, self._connect, writer, purpose=purpose, patience_s=self.patience_s)

    async def _patiently(self, work: Callable[[], Any]) -> None:
        """Call a function; call it again while the database is unreachable."""
        pauses = Pauses(self.patience_s)
        told = False
        while True:
            try:
                await work()
                return
            except (Lost, Refused) as error:
                if isinstance(error, Lost) and not told:
                    told = True
                    logger.warning("waiting for %s: %s", self.url.shown, error)
                if not await pauses.pause(error):
                    raise StoreFailed(why_closed(self.url.shown, error)) from error


class Opened:
    """An open store."""

    def __init__(
        self,
        name: str,
        reader_of: Callable[[Writer, str], ReadingSession],
        writer: Writer,
    ) -> None:
        self._name = name
        self.presence: Presence | None = None  # None: this host has not joined
        self.writer = writer
        self.reader = reader_of(writer, "reader")
        self.lister = reader_of(writer, "lister")
        self.kinds = KindNumbers()
        self.epochs: dict[int, int] = {}  # shard of this host -> epoch
        self.acknowledged = Acknowledged()
        self._unborn: set[int] = set()  # reserved keys of actors that no commit has created
        self._keys = range(0)
        self._number = 0  # of the next entry of the log; counted over all claims, because receipts use it too
        self._tallied = 0  # rows that commits have added since the last fold
        self._folding: Any = None

    async def begin(self, presence: Presence) -> None:
        """Begin another life. The values that a commit needs are read anew, because the server may have changed.

        Raises:
            StoreTakenOver: This host's row does not exist.
            StoreFailed: The values could not be read.
        """
        self.presence = presence
        self.epochs, self.kinds = {}, KindNumbers()
        # A promoted server may assign keys that this host has got from the server before.
        self._keys, self._unborn = range(0), set()
        self.writer.begin(presence)
        await self.writer.settle()
        self.kinds.learn(await self.writer.run(KINDS, (), "reading the kinds"))
        await self.take_keys()

    async def take(self, seen: Sequence[tuple[int, int]]) -> Mapping[int, int]:
        """Take shards, each under its next epoch, that no other host has.

        Args:
            seen: Shards, and their epochs.

        Returns:
            The shards that were taken.
        """
        presence = self.presence
        columns = [shard for shard, _ in seen], [epoch for _, epoch in seen]
        await self.writer.fenced(TAKE, columns, "taking shards")
        # The rows are read, because the statement may have been sent twice: then only the first result is right.
        rows = await self.writer.run(SHARDS, (), "taking shards")
        wanted = {shard: epoch + 1 for shard, epoch in seen}
        assert presence is not None
        taken = {shard: epoch for shard, host, epoch in rows if host == presence.host and wanted.get(shard) == epoch}
        if presence is self.presence:
            self.epochs.update(taken)
        return taken

    # Keys.

    def new_key(self) -> int:
        """Take a key of the block that this host has reserved, or raise StoreFailed if the block is used up."""
        if not self._keys:
            raise StoreFailed("no key is left of the block that was taken last; nothing was written")
        key, self._keys = self._keys[0], self._keys[1:]
        self._unborn.add(key)
        return key

    async def take_keys(self) -> None:
        """Take a block of keys, if half of the last one is used."""
        if len(self._keys) < KEYS_AT_ONCE // 2:
            ((first,),) = await self.writer.run(TAKE_KEYS, (KEYS_AT_ONCE,), "taking keys")
            # The rest of the block before is not used: keys grow with time.
            self._keys = range(first, first + KEYS_AT_ONCE)

    def are_born(self, keys: Any) -> None:
        """Take note that the store has actors with these keys, because a commit in doubt has happened."""
        if self._unborn:
            self._unborn.difference_update(keys)

    # Commits.

    async def commit(self, writes: Sequence[Write]) -> None:
        """Write a batch in one transaction; see `Store.commit`. Raises StoreTakenOver if another life has begun."""
        presence = self.presence
        changes = changes_of(writes, self._unborn)
        await self._learn(changes)
        if len(self._keys) < KEYS_AT_ONCE // 2:
            await self.take_keys()
        if presence is None or presence is not self.presence:
            raise StoreTakenOver(self._name, "another life of this host has begun", rejoins=True)
        number = self._number
        self._number += len(changes.entries) + 1
        rows = placed(changes.entries, number, self.epochs)
        group = Group(changes, rows, self._unborn, self.kinds)
        receipt = None
        if rows:
            receipt = CommitReceipt(*rows[0][:2])
        elif not group.repeatable:
            receipt = CommitReceipt(-presence.host, number)
            group.give_receipt(*receipt)
        what = f"a commit of {len(writes)} writes"
        epochs = dict(self.epochs)
        await self.writer.commit(commit_of(group.parts()), group.arguments(), receipt, what)
        entries = ((key, shard) for key, shard, *_ in changes.entries)
        forgotten = (*changes.logs_forgotten, *changes.deleted)
        self.acknowledged.note(entries, (position for _, position, *_ in rows), forgotten, epochs)
        if changes.items_put or changes.items_dropped or changes.deleted:
            self.acknowledged.note_items(items_of(writes), changes.deleted, epochs)
        self._unborn -= group.born
        self._count(group)

    async def _learn(self, changes: RowChanges) -> None:
        """Get a number for each kind that a commit needs."""
        facets = ((each.address.type, each.facets) for each in changes.actors.values() if each.facets is not None)
        if missing := self.kinds.missing(facets):
            columns = [list(column) for column in zip(*missing, strict=True)]
            await self.writer.run(ADD_KINDS, columns, "adding kinds")
            self.kinds.learn(await self.writer.run(KINDS, (), "reading the kinds"))

    def _count(self, group: Group) -> None:
        self._tallied += group.tallies
        if self._tallied > TALLIES_MAX and self._folding is None:
            self._folding = spawn(self._fold())

    async def _fold(self) -> None:
        """Fold many rows of tallies into few. The next call folds the rest."""
        try:
            await self.lister.run(FOLD_TALLIES, (), "folding the tallies")
            self._tallied = 0
        except StoreError as error:
            logger.debug("%s", error)
        finally:
            self._folding = None

    async def tallied(self) -> Mapping[int, int]:
        """Number of the kind -> number of actors."""
        counts, rows = await self.lister.call(read_tallies, "counting")
        if any(self.kinds.get(kind) is None for kind in counts):
            await learn_kinds(self.lister, self.kinds)
        if rows > TALLIES_MAX and self._folding is None:
            self._folding = spawn(self._fold())
        return counts

    async def close(self) -> None:
        """End the life of the host in order, after the statements under way, and close the sessions."""
        session = await self.writer.close()
        if self.presence is not None:
            await self.presence.leave(session)
        if session is not None:
            await session.close()
        folding = self._folding
        await self.reader.close()
        await self.lister.close()
        if folding is not None:
            folding.cancel()
