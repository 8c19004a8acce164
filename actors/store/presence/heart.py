"""The heart of a host in a store that several share: its beats, and how each of them went.

The rule: it beats as long as the event loop of its host lives, not as long as that loop is idle. Where it can it is a
thread, with an event loop and a connection of its own: turns that hold the host's loop up for seconds do not cost the
host its life. The host's loop says now and then that it lives (`tick`). The values that pass between the two are
numbers that one of them writes, and a queue; there are no locks.

A host that is alone only reads: nobody could judge it, and an idle host writes nothing.

Each store that is a `Cluster` (`actors/store/cluster.py`) has one for each life of its host, and
`actors/cluster/leased.py` runs it.
"""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from math import inf
from typing import Protocol

import anyio

from .beats import BEAT_S, SLOW_S, Beats, Heartbeat

logger = logging.getLogger(__name__)

KEPT_MAX = 1_000  # beats that nobody has asked for


class Beater(Protocol):
    """Beats for one host. All calls come from one event loop, which need not be that of the store."""

    async def beat(self, *, alone: bool) -> Beats:
        """Beat once; only read, if the host is alone.

        Raises:
            Exception: It has failed, or had no answer within SLOW_S.
        """
        ...

    async def close(self) -> None:
        """Beat no more."""
        ...


class BeatingHeart:
    """Beats for one life of a host.

    Args:
        now: The event loop's clock. This life begins with it: to have joined is as good as a beat.
        threaded: Whether it is a thread. Its clock is then the system's, as that of the host's loop.
    """

    def __init__(self, beater: Beater, now: float, *, threaded: bool) -> None:
        self.sent_at = now  # when the last beat was sent that was answered, and found the host's row
        self.stuck_after_s = inf  # a host's loop that has not ticked for so long is dead
        self._ticked_at = now
        self._beater = beater
        self._threaded = threaded
        self._beats: deque[Heartbeat] = deque(maxlen=KEPT_MAX)
        self._alone = False  # the first beat is one that the others see
        self._timeline = ""  # that of the first beat
        self._stopped = False

    def tick(self, now: float) -> None:
        """Say that the host's loop lives."""
        self._ticked_at = now

    def drain(self) -> Sequence[Heartbeat]:
        """The beats since the last call, in the order in which they were sent."""
        return [self._beats.popleft() for _ in range(len(self._beats))]

    def stop(self) -> None:
        """Beat no more. A beat that is under way ends by itself."""
        self._stopped = True

    async def run(self) -> None:
        """Beat until it is stopped or cancelled."""
        if not self._threaded:
            await self._beat()
            return
        thread = threading.Thread(target=self._run_thread, name="perdure beat", daemon=True)
        thread.start()
        try:
            await anyio.sleep_forever()
        finally:
            self.stop()

    def _run_thread(self) -> None:
        anyio.run(self._beat, backend="asyncio")

    async def _beat(self) -> None:
        try:
            while not self._stopped:
                began = anyio.current_time()
                if began - self._ticked_at <= self.stuck_after_s:
                    await self._beat_once(began)
                await anyio.sleep(max(0.0, began + BEAT_S - anyio.current_time()))
        finally:
            self._stopped = True
            with anyio.CancelScope(shield=True):
                await self._beater.close()

    async def _beat_once(self, began: float) -> None:
        beats = None
        try:
            beats = await self._beater.beat(alone=self._alone)
        except Exception as error:  # in any case, this host has not beaten; the beater has said why
            logger.debug("a beat has failed: %s", error)
        if self._stopped:
            return
        now = anyio.current_time()
        if beats is not None and beats.alive:
            self._alone = len(beats.seen) == 1
            # On another server the host may not answer from memory, also before its loop has looked at this beat.
            self._timeline = self._timeline or beats.timeline
            if now - began <= SLOW_S and beats.timeline == self._timeline:
                self.sent_at = began
        self._beats.append(Heartbeat(began, now, beats))
