"""The presence of a host in a store: its row, its beat, and what it may do to other hosts.

The rule: no clock of another machine counts. A host adds one to its number in `beats`; others watch the number, each
by its own monotonic clock. One that stands still for DEAD_S, seen by a host whose own queries worked all that time,
belongs to a host that is dead, and its row is deleted: on condition that the number is still the one that was seen.

Until hosts share a store, one host has it alone. A second one that starts while the first lives is refused; of a dead
one it takes over. A host that is alone only reads: nobody could judge it. It beats from the moment it sees a second
row. docs/design/postgres.md says why it is so.

`actors/store/postgres/store.py` has one for each time that it is open.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import anyio
import anyio.lowlevel

from ..errors import StoreInUse, StoreTakenOver
from ..presence import place
from .driver import DatabaseSession, Lost, Refused, call_later, spawn
from .statements import BACKEND, BEAT, END_BLOCKING, HOSTS, JOIN, KILL, LEAVE, LOOK, SERVE
from .url import DatabaseUrl

logger = logging.getLogger(__name__)

SERVING, LEAVING, JOINING = 0, 1, 2

BEAT_S = 0.5  # between two beats
DEAD_S = 2.0  # a number that stands still for so long is that of a dead host
SLOW_S = 1.0  # a query that takes longer proves nothing of others
KILL_S = 1.0  # a kill that waits for so long ends what it waits for

Connect = Callable[[str], Awaitable[DatabaseSession]]


class Other(NamedTuple):
    """Another host, as its row says."""

    host: int
    state: int
    name: str
    place: str
    release: str
    beat: int


class Presence:
    """One host in a store.

    Args:
        host: Its id: random, and new for each start.
        connect: Makes a session for a purpose.
    """

    def __init__(self, host: int, url: DatabaseUrl, connect: Connect, *, release: str) -> None:
        self.host = host
        self.answered_at = 0.0  # when the last beat that was answered was sent; the event loop's clock
        self.ended: StoreTakenOver | None = None  # once this host is dead, or its server is another one
        self._url = url
        self._connect = connect
        self._release = release
        self._session: DatabaseSession | None = None
        self._task: Any = None
        self._alone = True
        self._told_away = False

    async def join(self, session: DatabaseSession) -> None:
        """Enter this host, and wait until it is the only one.

        Raises:
            StoreInUse: Another host lives. Nothing was changed.
            Refused, Lost: As for a session.
        """
        name = place.machine_name()
        await session.run(JOIN, (self.host, JOINING, name, place.own_place(), self._release))
        try:
            await self._outwait(session)
            await session.run(SERVE, (self.host, SERVING))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await _unless_lost(session.run(LEAVE, (self.host,)))
            raise

    async def _outwait(self, session: DatabaseSession) -> None:
        """Watch the others until none is left that lives."""
        seen: dict[int, tuple[int, float]] = {}  # by host: its number, and since when it is that
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
        """Delete the row of a dead host, unless it has beaten once more. Waits for its commit that is under way."""
        ((backend,),) = await session.run(BACKEND)
        ending = spawn(self._end_blocking(backend))
        try:
            killed = await session.run(KILL, (other.host, other.beat))
        finally:
            await _cancelled(ending)
        if killed:
            logger.warning("host %d on %s has ended without leaving %s", other.host, other.name, self._url.name)

    async def _end_blocking(self, backend: int) -> None:
        """End the sessions that a kill waits for for too long: of a host that froze within its commit."""
        session: DatabaseSession | None = None
        try:
            while True:
                await anyio.sleep(KILL_S)
                try:
                    if session is None or session.lost:
                        session = await self._connect("killer")
                    await session.run(END_BLOCKING, (backend,))
                except (Lost, Refused) as error:
                    logger.debug("left undone: %s", error)
        finally:
            if session is not None:
                session.terminate()

    # The beat.

    def begin(self) -> None:
        """Begin to look at the others, twice a second, on a connection of its own."""
        self.answered_at = anyio.current_time()
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
        # A beat that is not answered in time is a lost connection. It is cut off, not cancelled.
        timer = call_later(SLOW_S, session.terminate)
        try:
            if self._alone:
                rows = await session.run(LOOK)
                there = any(host == self.host for host, _ in rows)
            else:
                rows = await session.run(BEAT, (self.host,))
                # The count, not the list, which may be from before a wait for a killer.
                there = bool(rows) and rows[0][2] == 1
        finally:
            timer.cancel()
        if not there:
            self.end("another host has taken the store over, because this one did not beat")
            return
        self.answered_at = began
        self._alone = len(rows) == 1
        if self._told_away:
            self._told_away = False
            logger.warning("%s answers again", self._url.shown)

    def _tell_away(self, error: Exception) -> None:
        if not self._told_away:
            self._told_away = True
            logger.warning("%s does not answer: %s", self._url.shown, error)

    def end(self, why: str) -> StoreTakenOver:
        """Take note that this host may not go on."""
        if self.ended is None:
            self.ended = StoreTakenOver(self._url.name, why)
            logger.error("%s", self.ended)
        return self.ended

    async def leave(self, session: DatabaseSession | None) -> None:
        """Stop beating, and take this host's row away if there is a session for it."""
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


async def _unless_lost(work: Awaitable[object]) -> None:
    try:
        await work
    except (Lost, Refused) as error:
        logger.debug("left undone: %s", error)


async def _cancelled(task: Any) -> None:
    """Cancel a task, and wait for its end."""
    task.cancel()
    while not task.done():
        await anyio.lowlevel.checkpoint()
