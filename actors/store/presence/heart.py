"""The heart of a host in a shared store: its beats, and the outcome of each.

The rule: the heart beats as long as the event loop of its host lives, even if that loop is busy. If the driver supports
it, the heart is a thread with an event loop and a connection of its own, so that a host whose turns block its loop for
seconds is not found dead. The host's loop calls `tick` regularly. Heart and host share numbers that only one of them
writes, and a queue; there are no locks.

A host that is alone only reads: no other host could judge it, and an idle host writes nothing.

Each store that is a `Cluster` (`actors/store/cluster.py`) has a heart for each life of its host, and
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

KEPT_MAX = 1_000  # beats that `drain` has not returned yet


class Beater(Protocol):
    """Beats for one host. All calls come from one event loop, which may differ from the store's."""

    async def beat(self, *, alone: bool) -> Beats:
        """Beat once; only read, if the host is alone.

        Raises:
            Exception: The beat has failed, or had no answer within SLOW_S.
        """
        ...

    async def close(self) -> None:
        """Stop beating."""
        ...


class BeatingHeart:
    """Beats for one life of a host.

    Args:
        now: The time by the event loop's clock at which this life begins: joining counts as a beat.
        threaded: Whether the heart is a thread. Its clock is then the system's, as is that of the host's loop.
    """

    def __init__(self, beater: Beater, now: float, *, threaded: bool) -> None:
        self.sent_at = now  # when the last beat was sent whose answer had the host's row
        self.stuck_after_s = inf  # a host whose loop has not ticked for this time stops beating
        self._ticked_at = now
        self._beater = beater
        self._threaded = threaded
        self._beats: deque[Heartbeat] = deque(maxlen=KEPT_MAX)
        self._alone = False  # the first beat writes, so that the others see it
        self._timeline = ""  # the timeline of the first beat
        self._stopped = False

    def tick(self, now: float) -> None:
        """Take note that the host's loop lives."""
        self._ticked_at = now

    def drain(self) -> Sequence[Heartbeat]:
        """The beats since the last call, in the order in which they were sent."""
        return [self._beats.popleft() for _ in range(len(self._beats))]

    def stop(self) -> None:
        """Stop beating. A beat that is under way ends by itself."""
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
        except Exception as error:  # any error means that this host has not beaten; the beater has logged it
            logger.debug("a beat has failed: %s", error)
        if self._stopped:
            return
        now = anyio.current_time()
        if beats is not None and beats.alive:
            self._alone = len(beats.seen) == 1
            # On another server the host may not answer from memory, even before its loop has looked at this beat.
            self._timeline = self._timeline or beats.timeline
            if now - began <= SLOW_S and beats.timeline == self._timeline:
                self.sent_at = began
        self._beats.append(Heartbeat(began, now, beats))
