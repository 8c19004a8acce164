"""Retention: finished instances are forgotten when their time is over (contract 4.3, 4.5).

The one law: an instance goes when it has been finished for as long as was said,
never earlier. Nothing about it is stored: the date follows from `updated_us`,
so a restart changes nothing.
"""

import heapq
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import anyio

from ...actors.clock import Clock
from ...actors.errors import HostStopping, PerdureError
from ..errors import InstanceNotFound, InstanceStalled, InstanceUnfinished
from ..history.status import TERMINAL, Status
from .facade import Facade

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long finished instances are kept, in microseconds; None is for ever. What is said of a status beats `any`."""

    any_terminal_us: int | None = None
    completed_us: int | None = None
    failed_us: int | None = None
    terminated_us: int | None = None

    def __post_init__(self) -> None:
        for name in ("any_terminal_us", "completed_us", "failed_us", "terminated_us"):
            kept_us = getattr(self, name)
            if kept_us is not None and kept_us < 0:
                raise ValueError(f"{name} must be at least 0, not {kept_us}")

    def __bool__(self) -> bool:
        """Whether anything is ever forgotten."""
        return self.shortest_us is not None

    @property
    def shortest_us(self) -> int | None:
        """What the instance that goes first is kept for; None: all are kept for ever."""
        kept = [self.kept_us(status) for status in TERMINAL]
        return min((kept_us for kept_us in kept if kept_us is not None), default=None)

    def kept_us(self, status: Status) -> int | None:
        """How long an instance is kept once it has the status; None: for ever, or until it has another one."""
        if not status.terminal:
            return None
        named = {
            Status.COMPLETED: self.completed_us,
            Status.FAILED: self.failed_us,
            Status.TERMINATED: self.terminated_us,
        }.get(status)
        return named if named is not None else self.any_terminal_us


class RetentionLoop:
    """Forgets one finished instance after the other, each alone: its children have times of their own.

    What it costs: a look at the whole store is one read for each instance. It
    is taken at the start, and then no more often than the shortest time that
    anything is kept, because what finishes after a look cannot be due before
    that; nor, whatever that time is, more often than once a second, nor for
    more than a twentieth of the time. If no turn was taken since the last look,
    nothing can have finished, and it is left out. Between two looks the loop
    sleeps until the next instance is due, and reads that one only.

    So nothing goes too early, and what is kept for a second or more goes on
    time. What is to go at once goes within a second; in a store of hundreds of
    thousands, where a look takes long, it can be minutes.

    Args:
        turns: A count that grows when any instance takes a turn.
    """

    LOOK_EVERY_S = 1.0
    SHARE_OF_TIME = 20  # looks may take one part in so many
    SLEEP_S_MAX = 3600.0  # the wall clock may be set, and the machine may sleep
    KNOWN_MAX = 10_000  # dates in memory; for those after them there is another look
    TRY_AGAIN_S = 60.0  # when the store fails

    def __init__(self, facade: Facade, retention: Retention, *, clock: Clock, turns: Callable[[], int]) -> None:
        shortest_us = retention.shortest_us
        assert shortest_us is not None, "there is nothing to forget"
        self._facade = facade
        self._retention = retention
        self._shortest_us = shortest_us
        self._clock = clock
        self._turns = turns
        self._seen_turns = -1
        self._all_known = False  # whether `_due` has all that the last look saw
        self._look_at_us = 0
        self._due: list[tuple[int, str]] = []  # a heap

    async def run(self) -> None:
        """Work until cancelled, or until the host stops."""
        while True:
            try:
                await self._step()
            except HostStopping:
                return
            except PerdureError as error:
                # The store is in trouble. Nothing is lost by waiting: what is due stands in it.
                logger.warning("finished instances cannot be forgotten; trying again in a minute: %s", error)
                self._seen_turns = -1
                self._due = []
                self._look_at_us = self._clock.now_us() + round(self.TRY_AGAIN_S * 1e6)
            await self._sleep()

    async def _step(self) -> None:
        """Look if it is time to, and forget all that is due."""
        if self._clock.now_us() >= self._look_at_us:
            await self._look()
        while self._due and self._due[0][0] <= self._clock.now_us():
            _, instance_id = heapq.heappop(self._due)
            # It may have been purged or started again meanwhile.
            due_us = await self._due_us(instance_id)
            if due_us is not None and due_us <= self._clock.now_us():
                await self._forget(instance_id)

    async def _look(self) -> None:
        """Find out when each finished instance is due, and say when to look again."""
        began_us, turns = self._clock.now_us(), self._turns()
        took_s = 0.0
        if not self._all_known or turns != self._seen_turns:
            took_s = await self._collect()
            self._seen_turns = turns
        next_us = began_us + self._shortest_us
        if not self._all_known:
            # Up to the last date that is known, all are.
            next_us = min(next_us, max(self._due)[0])
        pause_s = max(self.LOOK_EVERY_S, took_s * (self.SHARE_OF_TIME - 1))
        self._look_at_us = max(next_us, self._clock.now_us() + round(pause_s * 1e6))

    async def _collect(self) -> float:
        """Forget what is due, note when the rest will be, and return how long the reading took, in seconds."""
        reading_s = 0.0
        self._due = []
        self._all_known = True
        after: str | None = None
        while True:
            began_s = anyio.current_time()
            page = await self._facade.list_ids(after=after)
            dates = [(due_us, id) for id in page.ids if (due_us := await self._due_us(id)) is not None]  # noqa: A001
            reading_s += anyio.current_time() - began_s
            for due_us, instance_id in dates:
                if due_us <= self._clock.now_us():
                    await self._forget(instance_id)
                else:
                    heapq.heappush(self._due, (due_us, instance_id))
            if len(self._due) > self.KNOWN_MAX:
                self._due = heapq.nsmallest(self.KNOWN_MAX, self._due)  # sorted, and so a heap
                self._all_known = False
            if page.token is None:
                return reading_s
            after = page.token

    async def _due_us(self, instance_id: str) -> int | None:
        """When an instance is to be forgotten, Unix time in microseconds; None: not as it is now."""
        state = await self._facade.inspect(instance_id)
        kept_us = self._retention.kept_us(state.status) if state is not None else None
        return state.updated_us + kept_us if state is not None and kept_us is not None else None

    async def _forget(self, instance_id: str) -> None:
        with suppress(InstanceNotFound, InstanceUnfinished, InstanceStalled):
            await self._facade.purge(instance_id, recurse=False)
            logger.debug("forgot %s, whose time was over", instance_id)

    async def _sleep(self) -> None:
        next_us = min(self._look_at_us, self._due[0][0]) if self._due else self._look_at_us
        await anyio.sleep(min(max((next_us - self._clock.now_us()) / 1e6, 0.0), self.SLEEP_S_MAX))
