"""The database of a world: a server that outlives the hosts, and the faults of the server as a whole.

The rule: committed rows survive any fault of the server. Only a copy that was behind may lack some,
and then its timeline is another one.

    database.restart   the server crashes, and is away for a while
    database.failover  the same; a copy that has all of it takes its place, with another timeline
    database.behind    a copy follows no more; a while later the server crashes, and that copy takes its place. Only in
                       worlds whose server may lose commits
    database.frozen    it stands still, and keeps its connections
    database.away      nothing gets through between the host and the server
    database.deaf      the server hears the host, and the host not the server

These happen between two steps, at moments that do not depend on the host.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from typing import Protocol

from .....actors.instruments import Instruments
from .....actors.store.contract import Write
from .....actors.store.postgres.store import PATIENCE_S, SHARDS_DEFAULT, PostgresStore
from .....actors.store.postgres.url import parse_url
from ...choices import Choices
from ...loop import SimLoop
from ...trace import WorldTrace
from .backend import ServerCore
from .beforehand import make_tables
from .sessions import TOLD, Link, Tell, TimedServer
from .statements.registry import FUNCTIONS

URL = "postgresql://world@database/world"

# When something may happen to the server: often at first, and then more seldom, by a share of the time that has passed.
STRIKE_S, STRIKE_SHARE, STRIKE_S_MAX = 0.02, 0.05, 3_600.0
# For how long; the first is no choice.
DOWN_S = (0.0, 0.5, 0.0, 5.0, 25.0)
STARTING_S = 0.2
# Between two looks of the watchdog of a host.
WATCHED_S = 1.0
FROZEN_S = (0.0, 0.3, 3.0, 20.0)
AWAY_S = (0.0, 0.3, 6.0, 20.0)
# For how long a copy has not followed that takes the server's place, and how long the server is away then.
BEHIND_S = (0.3, 1.0, 3.0, 10.0)
BEHIND_DOWN_S = (0.0, 0.5, 5.0)


class SimDatabase:
    """A server, for one life of a host after the other, or for several hosts.

    Args:
        tell: Takes lines about faults.

    Attributes:
        may_lose: Whether a copy that was behind may take the server's place (stream `database.behind`).
        when_behind: Called when the copy begins to be behind.
        when_lost: Called when such a copy has taken the place, with the number of commits that it lacks.
        losses: How often a copy that lacks commits has taken the place.
    """

    def __init__(self, choices: Choices, tell: Tell | None = None, *, trip_s: float | None = None) -> None:
        self.core = ServerCore(FUNCTIONS)
        self.choices = choices
        self.tell: Tell = tell or _nobody
        self.server = (
            TimedServer(self.core, choices) if trip_s is None else TimedServer(self.core, choices, trip_s=trip_s)
        )
        self.links: list[Link] = []  # those of lives that are over have no sessions
        self._passed_s = 0.0
        self._strikes = False
        self.may_lose = False
        self._behind: tuple[int, int] | None = None  # what the copy has: a snapshot, and the number by which it is held
        self.when_behind: list[Callable[[], None]] = []
        self.when_lost: list[Callable[[int], None]] = []
        self.losses = 0
        self._silent_there_until_s = self._silent_back_until_s = 0.0  # for all, also later ones

    def make_tables(self, *, shards: int, now_us: int, apps: Sequence[str] = ()) -> None:
        """Have the tables of a store before the first host comes; see `make_tables` for the arguments."""
        make_tables(self.core, parse_url(URL), shards=shards, now_us=now_us, apps=apps)

    def link(self, tell: Tell | None = None) -> Link:
        """A new way to the server, which is the driver of a store too.

        Args:
            tell: Takes lines about its faults; by default the function for the server's faults.
        """
        link = Link(self.server, tell or self.tell)
        link.silent_there_until_s, link.silent_back_until_s = self._silent_there_until_s, self._silent_back_until_s
        self.links.append(link)
        return link

    # The faults.

    def restart(self, down_s: float, *, promoted: bool = False) -> None:
        """Crash, and be away for a while; with `promoted`, a complete copy takes the place."""
        server, loop = self.server, asyncio.get_running_loop()
        if server.down:
            return
        server.crash()
        if promoted:
            self.core.timeline = f"{int(self.core.timeline, 16) + 1:08X}"
        server.down = True
        loop.call_later(down_s, self._come_back, context=Context())

    def fall_behind(self, behind_s: float, down_s: float) -> None:
        """Let the copy fall behind; after a while crash, and let the copy take the place, without the commits that it
        lacks.

        A copy that is behind already stays so. Nothing happens as long as there are no tables.
        """
        if self._behind is None and self.core.schemas:
            snapshot = self.core.ledger.commits
            self._behind = snapshot, self.core.ledger.hold(snapshot)
            for told in self.when_behind:
                told()
            asyncio.get_running_loop().call_later(behind_s, self._lose, down_s, context=Context())

    def _lose(self, down_s: float) -> None:
        assert self._behind is not None
        (snapshot, held), self._behind = self._behind, None
        if not self.server.down and not self.choices.calmed:
            self.restart(down_s, promoted=True)
            lost = self.core.ledger.forget_since(snapshot, self.core.all_tables())
            self.losses += bool(lost)
            self.tell(f"crashes; a copy takes its place after {down_s} s, and has not had the last {lost} commits")
            for told in self.when_lost:
                told(lost)
        self.core.ledger.release(held)

    def _come_back(self) -> None:
        self.server.down = False
        self.server.starting_until_s = asyncio.get_running_loop().time() + STARTING_S

    def freeze(self, seconds: float) -> None:
        """Stand still for a while, with all connections."""
        now_s = asyncio.get_running_loop().time()
        self.server.frozen_until_s = max(self.server.frozen_until_s, now_s + seconds)

    def silence(self, seconds: float, *, there: bool = True) -> None:
        """Let nothing through for a while, to and from any host; or only nothing back."""
        until_s = asyncio.get_running_loop().time() + seconds
        if there:
            self._silent_there_until_s = max(self._silent_there_until_s, until_s)
        self._silent_back_until_s = max(self._silent_back_until_s, until_s)
        for link in self.links:
            link.silence(seconds, there=there)

    def heal(self) -> None:
        """Let everything through from now on, to and from any host."""
        self._silent_there_until_s = self._silent_back_until_s = 0.0
        for link in self.links:
            link.heal()

    # The weather.

    def begin(self) -> None:
        """Let faults happen, until the faults of the world are over."""
        if not self._strikes:
            self._strikes = True
            self._wait()

    def _wait(self) -> None:
        pause_s = min(max(STRIKE_S, STRIKE_SHARE * self._passed_s), STRIKE_S_MAX)
        self._passed_s += pause_s
        asyncio.get_running_loop().call_later(pause_s, self._strike, context=Context())

    def _strike(self) -> None:
        fault = self.choices.fault
        if self.choices.calmed:
            return
        self._wait()
        if down := fault("database.restart", len(DOWN_S)):
            self.tell(f"crashes, and is away for {DOWN_S[down]} s")
            self.restart(DOWN_S[down])
        if down := fault("database.failover", len(DOWN_S)):
            self.tell(f"crashes, and a copy takes its place after {DOWN_S[down]} s")
            self.restart(DOWN_S[down], promoted=True)
        if self.may_lose and (way := fault("database.behind", 1 + len(BEHIND_S) * len(BEHIND_DOWN_S))):
            behind, down = divmod(way - 1, len(BEHIND_DOWN_S))
            self.fall_behind(BEHIND_S[behind], BEHIND_DOWN_S[down])
        if frozen := fault("database.frozen", len(FROZEN_S)):
            self.tell(f"stands still for {FROZEN_S[frozen]} s")
            self.freeze(FROZEN_S[frozen])
        if self.links:
            if away := fault("database.away", len(AWAY_S)):
                self.tell(f"is out of reach for {AWAY_S[away]} s")
                self.silence(AWAY_S[away])
            if deaf := fault("database.deaf", len(AWAY_S)):
                self.tell(f"is not heard for {AWAY_S[deaf]} s")
                self.silence(AWAY_S[deaf], there=False)


def _nobody(what: str) -> None:
    """Ignore a line."""


class WorldOfDatabase(Protocol):
    """The part of a world that a database uses."""

    @property
    def choices(self) -> Choices:
        """The choices of the world."""
        ...

    @property
    def trace(self) -> WorldTrace:
        """The story of the world."""
        ...

    @property
    def loop(self) -> SimLoop:
        """The loop of the world."""
        ...

    def kill(self, why: str = ...) -> None:
        """End the running host as SIGKILL does."""
        ...


class DatabaseStores:
    """Gives each life of a world its store on one database.

    SimWorld(app, choices, store=DatabaseStores().store).run(story)

    Args:
        begins_empty: Whether the first host makes the tables; otherwise they are there.
    """

    def __init__(self, *, shards: int = 16, begins_empty: bool = True) -> None:
        self._shards = shards
        self._begins_empty = begins_empty
        self.database: SimDatabase | None = None
        self._store: LifePostgresStore | None = None

    def store(self, world: "WorldOfDatabase", instruments: Instruments) -> "LifePostgresStore":
        """The store of a new life."""
        if self.database is None:
            loop, trace = world.loop, world.trace
            self.database = SimDatabase(
                world.choices, lambda what: trace.tell(loop.time(), "database", what, fault=True)
            )
            if not self._begins_empty:
                self.database.make_tables(shards=self._shards, now_us=instruments.time_ns() // 1000)
            self._watch(world)
        self.database.begin()
        self._store = LifePostgresStore(self.database, instruments, shards=self._shards)
        return self._store

    def _watch(self, world: "WorldOfDatabase") -> None:
        """End a host that has lost its store, as the watchdog of a daemon does."""
        world.loop.call_later(WATCHED_S, self._watch, world, context=Context())
        if self._store is not None and not self._store.intact:
            world.kill("its store is not its own any more")


class LifePostgresStore(PostgresStore):
    """The store of one life."""

    def __init__(
        self,
        database: SimDatabase,
        instruments: Instruments,
        *,
        shards: int = SHARDS_DEFAULT,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.link = database.link()
        super().__init__(URL, shards=shards, patience_s=patience_s, driver=self.link, instruments=instruments)

    async def commit_telling(
        self, writes: Sequence[Write], fences: Mapping[int, int], told: Callable[[], None]
    ) -> None:
        """Commit; `told` is called once the commit is done, before any host knows of it."""
        token = TOLD.set(told)
        try:
            await self.commit(writes, fences)
        finally:
            TOLD.reset(token)

    def abandon(self) -> None:
        """Cut the connections of the process, as the operating system does when one is killed."""
        self.link.abandon()
