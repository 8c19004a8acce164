"""The store on PostgreSQL of a host that shares it with others.

The rule: each life of the host is a presence of its own, with its id, its heart and its fence
(`actors/store/postgres/presence.py`), so that a call of one life cannot write in another. Opening the store does not
join it: reads work then, and writes have to wait for `join`.

With asyncpg, the heart beats in a thread with a connection of its own. Another driver, such as a simulation's, need not
work in threads: then the heart beats in a task.

The engine makes the store (`runtime/engine.py`), and `actors/cluster/leased.py` joins with it.
"""

import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio

from ....journal.journal import Journal
from ....journal.vocabulary import ACKNOWLEDGED_LOST
from ...address import Address
from ...release import own_release
from ..cluster import HostCard, HostRow, HostState, ShardRow
from ..errors import StoreError, StoreFailed, StoreTakenOver, StoreUncertain
from ..presence.acknowledged import NotedItem
from ..presence.beats import SLOW_S
from ..presence.figures import ServerFigures
from ..presence.flights import FlightKey, FlightNote
from ..presence.heart import BeatingHeart
from .driver import DatabaseSession, Lost, Refused, Statement
from .presence import SERVING, Other, PostgresBeater, Presence, kill, new_host
from .schema import raise_format, too_new
from .settings import figures_within
from .statements import (
    CUT,
    CUTS,
    FLIGHTS,
    GIVE,
    HOSTS,
    JOIN,
    LEAVE,
    MAKE_SECRET,
    MISSING_ENTRIES,
    MISSING_ITEMS,
    NOTE,
    REPLACE_SECRET,
    SECRET,
    SET_STATE,
    SHARDS,
    SOME_SHARDS,
    STRIKE,
    UNCUT,
)
from .store import Opened, PostgresStore
from .url import addresses_of

logger = logging.getLogger(__name__)
T = TypeVar("T")

NOTED_COLUMNS = 11  # of a note, without its host


class NotingPostgresStore(PostgresStore):
    """A store in which a host notes its work under way."""

    @property
    def host(self) -> int:
        presence = self._presence
        return presence.host if presence is not None else 0

    @property
    def _presence(self) -> Presence | None:
        return self._open.presence if self._open is not None else None

    async def note(self, put: Sequence[FlightNote], gone: Sequence[FlightKey] = ()) -> None:
        struck = [
            [address.type for address, _ in gone],
            [address.id for address, _ in gone],
            [what for _, what in gone],
        ]
        rows = [(note.address.type, note.address.id, note.what, *note[3:]) for note in put]
        columns = [[row[at] for row in rows] for at in range(NOTED_COLUMNS)]
        await self._opened().writer.fenced(NOTE, (*struck, *columns), "noting work under way")

    async def flights(self) -> Sequence[FlightNote]:
        rows = await self._read(FLIGHTS, "reading what was under way")
        return [FlightNote(host, Address(type_, id_), *rest) for host, type_, id_, *rest in rows]

    async def strike(self, epochs: Mapping[int, int]) -> None:
        columns = list(epochs), list(epochs.values())
        await self._opened().writer.fenced(STRIKE, columns, "striking what was under way")

    async def _read(self, statement: Statement, what: str) -> Sequence[Any]:
        # If rows are damaged, the reader raises the server's refusal.
        return await self._once(lambda: self._opened().reader.run(statement, (), what), what)

    async def _once(self, work: Callable[[], Awaitable[T]], what: str) -> T:
        try:
            return await work()
        except (Lost, Refused) as error:
            raise StoreFailed(f"{what} failed in {self.url.shown}: {error}") from error


class PostgresClusterStore(NotingPostgresStore):
    """A store at an address like that of `PostgresStore`, which several hosts share; with the same arguments."""

    def __init__(self, data: str, **settings: Any) -> None:
        super().__init__(data, **settings)
        self._threaded = settings.get("driver") is None
        self._heart: BeatingHeart | None = None
        self._format = 1
        self._gifts: list[_Gift] = []  # gifts that were not sent yet
        self._giving = anyio.Lock()
        self._journal = Journal(__name__)
        self.cluster = self
        self.servers = addresses_of(self.url.dsn, os.environ)

    @property
    def intact(self) -> bool:
        """True: a host that is found dead joins again."""
        return True

    @property
    def alive(self) -> bool:
        presence = self._presence
        return presence is not None and presence.ended is None

    @property
    def heart(self) -> BeatingHeart:
        assert self._heart is not None, "this host has never joined"
        return self._heart

    async def _take_up(self, opened: Opened, session: DatabaseSession) -> None:
        """Do nothing: the host joins later."""

    async def claim(self, host: str, *, now_us: int) -> Mapping[int, int]:
        """As if one host had the store for itself."""
        if not self.alive:
            async with _Session(self, "opening") as session:
                await super()._take_up(self._opened(), session)
        return await super().claim(host, now_us=now_us)

    @property
    def format(self) -> int:
        return self._format

    async def raise_format(self, to: int) -> int:
        async def do() -> int:
            async with _Session(self, "joining") as session:
                return await raise_format(session, to)

        self._format = await self._once(do, "raising the format")
        return self._format

    # Lives.

    async def join(self, card: HostCard, named: Callable[[int], None] = lambda host: None) -> int:
        opened = self._opened()
        if opened.presence is not None:
            opened.presence.finish("it joins again")
        host = 0

        async def enter() -> None:
            nonlocal host
            host = new_host(self._instruments)  # a new id for each try, because the try before may have succeeded
            named(host)
            wire = card.wire_min, card.wire_max
            row = (card.name, card.place, card.address, card.release, *wire, card.format_max, list(card.apps))
            async with _Session(self, "joining") as session:
                joined = await session.run(JOIN, (host, SERVING, *row))
                if not joined:
                    raise await too_new(session, self.url, card.format_max)
                self._format = joined[0][0]

        while True:
            await self._patiently(enter)
            try:
                await self._begin(opened, host)
            except StoreTakenOver:
                logger.info("this host was found dead before its first beat: it joins again")
            else:
                return host

    async def resume(self) -> bool:
        opened, host = self._opened(), self.host
        acknowledged = opened.acknowledged.under(opened.epochs)
        items = opened.acknowledged.items_under(opened.epochs)
        if opened.presence is not None:
            opened.presence.finish("the server is another one")
        try:
            await self._begin(opened, host)
        except StoreTakenOver:
            return False
        await self._tell_what_is_lost(acknowledged, items)
        return True

    async def _tell_what_is_lost(self, acknowledged: Sequence[tuple[int, int]], items: Sequence[NotedItem]) -> None:
        """Log how many acknowledged entries and items the server lacks, before a host writes to it.

        Args:
            acknowledged: Entries, each as the key of its actor and its position.
        """
        found = 0
        asked: Sequence[tuple[Statement, Sequence[tuple[Any, ...]]]]
        asked = (MISSING_ENTRIES, acknowledged), (MISSING_ITEMS, items)
        try:
            for statement, rows in asked:
                if rows:
                    columns = [list(column) for column in zip(*rows, strict=True)]
                    missing = await self._opened().writer.run(statement, columns, "looking for acknowledged entries")
                    found += len(missing)
        except StoreFailed as error:
            logger.warning("it is unknown which acknowledged changes the server that took over lacks: %s", error)
            return
        if found:
            self.doubts.acknowledged_lost += found
            self._journal.write(ACKNOWLEDGED_LOST, found=found, known=len(acknowledged) + len(items))

    async def _begin(self, opened: Opened, host: int) -> None:
        beater = PostgresBeater(host, self.url, self._connect)
        self._heart = heart = BeatingHeart(beater, anyio.current_time(), threaded=self._threaded)
        presence = Presence(host, self.url, self._connect, release=own_release(), heart=heart)
        try:
            await opened.begin(presence)
        except BaseException:
            presence.finish("it has not begun")
            raise

    async def leave(self) -> None:
        opened = self._opened()
        await opened.writer.run(LEAVE, (self.host,), "leaving")
        if opened.presence is not None:
            opened.presence.finish("it has left")

    async def set_state(self, state: HostState) -> None:
        await self._opened().writer.fenced(SET_STATE, (int(state),), "telling of a state")

    # Other hosts.

    async def hosts(self) -> Sequence[HostRow]:
        rows = await self._read(HOSTS, "reading the hosts")
        return [_row(Other(*each)) for each in rows]

    async def kill(self, host: int, beat: int) -> bool:
        async def do() -> bool:
            async with _Session(self, "killer") as session:
                return await kill(session, self._connect, host, beat)

        return await self._once(do, "a kill")

    async def set_cut(self, peer: int, *, cut: bool) -> None:
        await self._opened().writer.fenced(CUT if cut else UNCUT, (peer,), "telling of a cut")

    async def cuts(self) -> Sequence[tuple[int, int]]:
        rows = await self._read(CUTS, "reading the cuts")
        return sorted((host, peer) for host, peer in rows)

    # Shards.

    async def owners(self) -> Sequence[ShardRow]:
        rows = await self._read(SHARDS, "reading the owners")
        return [ShardRow(*each) for each in rows]

    async def take(self, seen: Sequence[tuple[int, int]]) -> Mapping[int, int]:
        return await self._opened().take(seen)

    def adopt(self, epochs: Mapping[int, int]) -> None:
        if self.alive:
            self._opened().epochs.update(epochs)

    async def give(self, shard: int, to: int, epoch: int) -> int | None:
        gift = _Gift(shard, to, epoch)
        self._gifts.append(gift)
        async with self._giving:
            if gift in self._gifts:  # another call has not sent it along
                gifts, self._gifts = self._gifts, []
                await self._give(gifts)
        if gift.outcome is None:
            raise StoreUncertain(f"giving shard {shard}", "the call that has sent it was cancelled")
        if isinstance(gift.outcome, StoreError):
            raise gift.outcome.with_traceback(None)
        owner, found = gift.outcome
        return epoch + 1 if (owner, found) == (to, epoch + 1) else None

    async def _give(self, gifts: "Sequence[_Gift]") -> None:
        """Give all waiting shards with one statement."""
        opened, host = self._opened(), self.host
        shards = [gift.shard for gift in gifts]
        try:
            columns = shards, [gift.to for gift in gifts], [gift.epoch for gift in gifts]
            await opened.writer.fenced(GIVE, columns, "giving shards")
            # The rows are read, because the statement may have been sent twice: then only the first result is right.
            rows = await opened.writer.run(SOME_SHARDS, (shards,), "giving shards")
        except StoreError as error:
            for gift in gifts:
                gift.outcome = error
            return
        found = {shard: (owner, epoch) for shard, owner, epoch in rows}
        for gift in gifts:
            gift.outcome = found[gift.shard]
            if gift.outcome[0] != host:
                opened.epochs.pop(gift.shard, None)

    # Values that all hosts share.

    async def secret(self, name: str, make: Callable[[], bytes]) -> bytes:
        found = await self._run(SECRET, (name,))
        if not found:
            await self._run(MAKE_SECRET, (name, make()))
            found = await self._run(SECRET, (name,))
        value: bytes = found[0][0]
        return value

    async def replace_secret(self, name: str, value: bytes) -> None:
        await self._run(REPLACE_SECRET, (name, value))

    async def figures(self) -> ServerFigures | None:
        """Read the server's clock and its copies; None: it has not answered within SLOW_S."""
        return await figures_within(SLOW_S, self._connect, lambda: self._instruments.time_ns() // 1000)

    # Its parts.

    async def _run(self, statement: Statement, arguments: Sequence[Any]) -> Sequence[Any]:
        """Run a statement that may safely be run twice, whether this host has joined or not."""
        self._opened()
        rows: Sequence[Any] = ()

        async def work() -> None:
            nonlocal rows
            async with _Session(self, "opening") as session:
                rows = await session.run(statement, arguments)

        await self._patiently(work)
        return rows


@dataclass(eq=False, slots=True)
class _Gift:
    """A shard that is being given."""

    shard: int
    to: int
    epoch: int
    outcome: tuple[int | None, int] | StoreError | None = None  # owner and epoch in its row afterwards


class _Session:
    """A short session."""

    def __init__(self, store: PostgresClusterStore, purpose: str) -> None:
        self._store = store
        self._purpose = purpose
        self._session: DatabaseSession | None = None

    async def __aenter__(self) -> DatabaseSession:
        self._session = await self._store._connect(self._purpose)
        return self._session

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            self._session.terminate()


def _row(other: Other) -> HostRow:
    state = HostState.SERVING if other.state == SERVING else HostState.LEAVING
    wire = other.wire_min, other.wire_max
    card = HostCard(other.name, other.address, other.place, other.release, *wire, other.format_max)
    return HostRow(other.host, state, card._replace(apps=tuple(other.apps or ())))
