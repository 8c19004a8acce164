"""The presence of a host in a store: its row, its beat, and its right to delete the rows of others.

The rule: no clock of another machine is used. A host adds one to its number in `beats`; other hosts watch the number,
each by its own monotonic clock. If the number stands still for DEAD_S, while the queries of the watching host work, the
host is dead, and its row is deleted if its number of beats is still the one that was seen.

A host that shares the store is judged by the others (`actors/cluster/leased.py`), and a heart with a connection of its
own beats for it. A host that needs the store for itself (`perdure store copy`, for example) is refused while another
host lives, and takes over the store of a dead one. A host that is alone only reads: no other could judge it. It beats
once it sees a second row. docs/design/postgres.md has the reasons.

`actors/store/postgres/store.py` has a presence while it is open, and `actors/store/postgres/cluster_store.py` has one
for each life of its host.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import anyio

from ...instruments import Instruments
from ..cluster import FORMAT_MAX
from ..errors import StoreInUse, StoreTakenOver
from ..presence import place
from ..presence.beats import BEAT_S, SLOW_S, Beats
from ..presence.heart import BeatingHeart
from .driver import DatabaseSession, Lost, Refused, call_later, ended, spawn
from .schema import too_new
from .settings import waits_for_standbys
from .statements import BACKEND, BEAT, END_BLOCKING, HOSTS, JOIN, KILL, LEAVE, LOOK, SERVE
from .url import DatabaseUrl

logger = logging.getLogger(__name__)

SERVING, LEAVING, JOINING = 0, 1, 2

DEAD_S = 2.0  # if a host's number of beats stands still for this time, the host is dead
ASKED_EVERY = 120  # beats of a host that is alone between two queries whether its server has standbys
KILL_S = 1.0  # a kill that waits for this time ends the sessions that block it

Connect = Callable[[str], Awaitable[DatabaseSession]]


class Other(NamedTuple):
    """The row of another host."""

    host: int
    state: int
    name: str
    place: str
    address: str
    release: str
    wire_min: int
    wire_max: int
    format_max: int
    apps: Sequence[str] | None  # None: the host's release knows only the first app
    beat: int


def new_host(instruments: Instruments) -> int:
    """Make the number of a life of a host."""
    return int.from_bytes(instruments.chance(8), "big") >> 2 | 1


class Presence:
    """One life of a host in a store.

    Args:
        host: Its id: random, and new each time that it joins.
        connect: Makes a session for a purpose.
        heart: Beats for a host that shares the store. None: the host has the store alone, and the presence beats.
    """

    def __init__(
        self, host: int, url: DatabaseUrl, connect: Connect, *, release: str, heart: BeatingHeart | None = None
    ) -> None:
        self.host = host
        self.heart = heart
        self._answered_at = 0.0
        self.ended: StoreTakenOver | None = None  # set once this host is dead, or its server has changed
        self._url = url
        self._connect = connect
        self._release = release
        self._session: DatabaseSession | None = None
        self._task: Any = None
        self._alone = True
        self._told_away = False

    @property
    def answered_at(self) -> float:
        """When the last answered beat was sent; the event loop's clock."""
        return self._answered_at if self.heart is None else self.heart.sent_at

    async def join(self, session: DatabaseSession) -> None:
        """Enter this host, and wait until it is the only one.

        Raises:
            StoreInUse: Another host lives. Nothing was changed.
            StoreTooNew: Hosts write a format that this release does not read.
            Refused, Lost: As for a session.
        """
        name = place.machine_name()
        row: tuple[Any, ...] = (self.host, JOINING, name, place.own_place(), "", self._release, 0, 0, FORMAT_MAX, [])
        if not await session.run(JOIN, row):
            raise await too_new(session, self._url, FORMAT_MAX)
        try:
            await self._outwait(session)
            # In the state LEAVING, so that hosts that share the store give it no shards.
            await session.run(SERVE, (self.host, LEAVING))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await _unless_lost(session.run(LEAVE, (self.host,)))
            raise

    async def _outwait(self, session: DatabaseSession) -> None:
        """Watch the other hosts until none of them lives."""
        seen: dict[int, tuple[int, float]] = {}  # host -> its number of beats, and since when
        while True:
            began = anyio.current_time()
            others = [other for each in await session.run(HOSTS) if (other := Other(*each)).host != self.host]
            await session.run(BEAT, (self.host,))
            now = anyio.current_time()
            if now - began > SLOW_S:
                seen.clear()
            waits_for = [other for other in others if other.state != JOINING or other.host < self.host]
            if not waits_for:
                return
            for other in waits_for:
                number, since = seen.setdefault(other.host, (other.beat, now))
                if place.is_gone(other.place) or (number == other.beat and now - since >= DEAD_S):
                    await self._kill(session, other)
                elif number != other.beat and other.state != JOINING:
                    raise StoreInUse(self._url.name, name=other.name, release=other.release)
                elif number != other.beat:
                    seen[other.host] = (other.beat, now)
            await anyio.sleep(BEAT_S / 4)

    async def _kill(self, session: DatabaseSession, other: Other) -> None:
        if await kill(session, self._connect, other.host, other.beat):
            logger.warning("host %d on %s has ended without leaving %s", other.host, other.name, self._url.name)

    # The beat.

    def begin(self) -> None:
        """Begin to look at the other hosts, twice a second, on a connection of its own."""
        self._answered_at = anyio.current_time()
        self._task = spawn(self._beat())

    async def _beat(self) -> None:
        while self.ended is None:
            began = anyio.current_time()
            try:
                if self._session is None or self._session.lost:
                    self._session = await self._connect("beat")
                await self._beat_once(self._session, began)
            except (Lost, Refused) as error:
                self._tell_away(error)
                if self._session is not None:
                    self._session.terminate()
                    self._session = None
            await anyio.sleep(BEAT_S)

    async def _beat_once(self, session: DatabaseSession, began: float) -> None:
        # A beat without an answer in time means a lost connection. The connection is cut, and the beat not cancelled.
        timer = call_later(SLOW_S, session.terminate)
        try:
            rows = await session.run(LOOK if self._alone else BEAT, (self.host,))
        finally:
            timer.cancel()
        if not (rows and rows[0][2]):
            self.end("another host has taken the store over, because this one did not beat")
            return
        self._answered_at = began
        self._alone = len(rows) == 1
        if self._told_away:
            self._told_away = False
            logger.warning("%s answers again", self._url.shown)

    def _tell_away(self, error: Exception) -> None:
        if not self._told_away:
            self._told_away = True
            logger.warning("%s does not answer: %s", self._url.shown, error)

    def end(self, why: str) -> StoreTakenOver:
        """Take note that this host may not write any more, and return the error for its calls."""
        if self.ended is None:
            self.ended = self._taken_over(why)
            if self.heart is None:  # a host that shares the store joins again
                logger.error("%s", self.ended)
        return self.ended

    def finish(self, why: str) -> None:
        """End this life in order: calls of it that are still under way fail."""
        if self.ended is None:
            self.ended = self._taken_over(why)
        if self.heart is not None:
            self.heart.stop()

    def _taken_over(self, why: str) -> StoreTakenOver:
        return StoreTakenOver(self._url.name, why, rejoins=self.heart is not None)

    async def leave(self, session: DatabaseSession | None) -> None:
        """Stop beating, and delete this host's row if there is a session for it."""
        if self.heart is not None:
            self.heart.stop()
        task, self._task = self._task, None
        if self._session is not None:
            self._session.terminate()
            self._session = None
        if task is not None:
            await _cancelled(task)
        if session is not None and self.ended is None:
            timer = call_later(KILL_S, session.terminate)
            await _unless_lost(session.run(LEAVE, (self.host,)))
            timer.cancel()


async def kill(session: DatabaseSession, connect: Connect, host: int, beat: int) -> bool:
    """Delete the row of a host, unless it has beaten again. Waits for a commit of that host that is under way.

    Args:
        session: A session that is used only for this.

    Raises:
        Refused, Lost: As for a session.
    """
    ((backend,),) = await session.run(BACKEND)
    ending = spawn(_end_blocking(connect, backend))
    try:
        return bool(await session.run(KILL, (host, beat)))
    finally:
        await _cancelled(ending)


async def _end_blocking(connect: Connect, backend: int) -> None:
    """End the sessions that block a kill for too long: those of a host that froze within its commit."""
    session: DatabaseSession | None = None
    try:
        while True:
            await anyio.sleep(KILL_S)
            try:
                if session is None or session.lost:
                    session = await connect("killer")
                await session.run(END_BLOCKING, (backend,))
            except (Lost, Refused) as error:
                logger.debug("left undone: %s", error)
    finally:
        if session is not None:
            session.terminate()


class PostgresBeater:
    """Beats for one life of a host that shares the store, on a connection of its own.

    It shares only unchanging values with the store, so it may be used in another event loop.
    """

    def __init__(self, host: int, url: DatabaseUrl, connect: Connect) -> None:
        self._host = host
        self._url = url
        self._connect = connect
        self._session: DatabaseSession | None = None
        self._told_away = False
        self._synchronous = False  # whether a commit waits for a standby, as far as this host knows
        self._asks_in = 0  # beats until the next query for this

    async def beat(self, *, alone: bool) -> Beats:
        # No answer in time means a lost connection. It is cut; a beat that is cancelled has an unknown outcome.
        until = anyio.current_time() + SLOW_S
        try:
            with anyio.fail_after(SLOW_S):
                if self._session is None or self._session.lost:
                    self._session = None
                    self._session = await self._connect("beat")
            timer = call_later(max(0.0, until - anyio.current_time()), self._session.terminate)
            try:
                if alone:
                    await self._ask_for_standbys(self._session)
                # A server that has lost its standbys to another primary answers reads for ever, but no writes.
                rows = await self._session.run(LOOK if alone and not self._synchronous else BEAT, (self._host,))
            finally:
                timer.cancel()
        except (Lost, Refused, TimeoutError) as error:
            self._tell_away(error)
            self._drop()
            raise
        if self._told_away:
            self._told_away = False
            logger.warning("%s answers again", self._url.shown)
        if not rows:
            return Beats(alive=False, seen={}, version="", timeline="")
        _, _, alive, version, timeline = rows[0]
        return Beats(bool(alive), {host: beat for host, beat, *_ in rows}, version, timeline)

    async def close(self) -> None:
        self._drop()

    async def _ask_for_standbys(self, session: DatabaseSession) -> None:
        """Query once for each session, and from time to time, whether a commit waits for a standby."""
        self._asks_in -= 1
        if self._asks_in < 0:
            self._synchronous = await waits_for_standbys(session)
            self._asks_in = ASKED_EVERY

    def _drop(self) -> None:
        self._asks_in = 0
        session, self._session = self._session, None
        if session is not None:
            session.terminate()

    def _tell_away(self, error: Exception) -> None:
        if not self._told_away:
            self._told_away = True
            logger.warning("%s does not answer: %s", self._url.shown, str(error) or "it has taken too long")


async def _unless_lost(work: Awaitable[object]) -> None:
    try:
        await work
    except (Lost, Refused) as error:
        logger.debug("left undone: %s", error)


async def _cancelled(task: Any) -> None:
    """Cancel a task, and wait for its end."""
    task.cancel()
    await ended(task)
