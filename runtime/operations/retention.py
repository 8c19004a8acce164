"""The loop that forgets finished instances when their time is over (contract 4.3, 4.5).

The one law: an instance is forgotten when it has been finished for the time
that `Retention` names, never earlier. Nothing about it is stored: the date
follows from `updated_us`, so a restart changes nothing.

The engine runs it if its settings name any time.
"""

import heapq
import logging
from collections.abc import Callable
from contextlib import suppress

import anyio

from ...actors.clock import Clock, read
from ...actors.errors import HostStopping, PerdureError
from ...actors.store.errors import StoreDamaged
from ...actors.text import type_name
from ...journal.journal import Journal
from ...journal.vocabulary import RETENTION_FAILED, RETENTION_SKIPS
from ..errors import InstanceNotFound, InstanceStalled, InstanceUnfinished
from .facade import Facade
from .retention_policy import Retention

logger = logging.getLogger(__name__)


class RetentionLoop:
    """Forgets finished instances one by one, without their children, which have times of their own.

    The cost: a look at the whole store is one read for each instance. The loop
    looks at the start, and then

    * no more often than the shortest time for which any instance is kept,
      because an instance that finishes after a look cannot be due before that;
    * no more often than once a second, and for no more than a twentieth of the
      time;
    * not at all if no turn was taken since the last look, because then no
      instance has finished.

    Between two looks it sleeps until the next instance is due, and reads that
    one only. While it sleeps it looks at the clock once a minute.

    So no instance goes too early, and one that is kept for a second or more
    goes on time. One that is to go at once goes within a second; in a store of
    hundreds of thousands, where a look takes long, it can be minutes.

    Args:
        facade: Lists, reads and purges the instances.
        retention: How long they are kept; not for ever.
        clock: Tells the date.
        turns: A count that grows when any instance takes a turn.
        journal: Is told, once, of each instance that cannot be read, and of a store in trouble.
    """

    LOOK_EVERY_S = 1.0
    SHARE_OF_TIME = 20  # one part in so many of the time may go into looks
    SLEEP_S_MAX = 3600.0
    SLEEP_S_MAX_IF_SET = 60.0  # the wall clock may be set, and the machine may sleep
    KNOWN_MAX = 10_000  # dates in memory; another look finds those after them
    TRY_AGAIN_S = 60.0  # after a failure of the store

    def __init__(
        self,
        facade: Facade,
        retention: Retention,
        *,
        clock: Clock,
        turns: Callable[[], int],
        journal: Journal | None = None,
    ) -> None:
        shortest_us = retention.shortest_us
        assert shortest_us is not None, "there is nothing to forget"
        self._facade = facade
        self._retention = retention
        self._shortest_us = shortest_us
        self._clock = clock
        self._turns = turns
        self._journal = (journal or Journal()).at(__name__)
        self._told: set[str] = set()  # the damaged instances that the log has been told of
        self._seen_turns = -1
        self._all_known = False  # whether `_due` has all that the last look saw
        self._look_at_us = 0
        self._seen = read(clock)
        self._due: list[tuple[int, str]] = []  # a heap

    async def run(self) -> None:
        """Work until cancelled, or until the host stops."""
        while True:
            try:
                await self._step()
            except HostStopping:
                return
            except PerdureError as error:
                # The store is in trouble. A wait loses nothing: all dates follow from the store.
                self._journal.write(RETENTION_FAILED, reason=str(error), error_type=type_name(error))
                self._seen_turns = -1
                self._due = []
                self._look_at_us = self._clock.now_us() + round(self.TRY_AGAIN_S * 1e6)
            await self._sleep()

    async def _step(self) -> None:
        """Look if a look is due, and forget all instances that are due."""
        now, seen = read(self._clock), self._seen
        self._seen = now
        # A clock that is set back puts off no look, or instances that end now would be seen that much later.
        self._look_at_us -= max(0, now.set_back_since(seen))
        if now.wall_us >= self._look_at_us:
            await self._look()
        while self._due and self._due[0][0] <= self._clock.now_us():
            _, instance_id = heapq.heappop(self._due)
            # It may have been purged or started again meanwhile.
            due_us = await self._due_us(instance_id)
            if due_us is not None and due_us <= self._clock.now_us():
                await self._forget(instance_id)

    async def _look(self) -> None:
        """Find out when each finished instance is due, and set the time of the next look."""
        began_us, turns = self._clock.now_us(), self._turns()
        took_s = 0.0
        if not self._all_known or turns != self._seen_turns:
            took_s = await self._collect()
            self._seen_turns = turns
        next_us = began_us + self._shortest_us
        if not self._all_known:
            # All dates up to the last known one are known.
            next_us = min(next_us, max(self._due)[0])
        pause_s = max(self.LOOK_EVERY_S, took_s * (self.SHARE_OF_TIME - 1))
        self._look_at_us = max(next_us, self._clock.now_us() + round(pause_s * 1e6))

    async def _collect(self) -> float:
        """Forget the instances that are due and note when the others are; return the time of reading, seconds."""
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
        """When an instance is to be forgotten, Unix time in microseconds; None: not with its present status."""
        try:
            state = await self._facade.inspect(instance_id)
        except StoreDamaged as error:
            self._tell_damaged(instance_id, error)  # and does not keep the others from being forgotten
            return None
        kept_us = self._retention.kept_us(state.status) if state is not None else None
        return state.updated_us + kept_us if state is not None and kept_us is not None else None

    def _tell_damaged(self, instance_id: str, error: StoreDamaged) -> None:
        """Have the log told of a damaged instance: once, and not at each look."""
        if instance_id not in self._told and len(self._told) < self.KNOWN_MAX:
            self._told.add(instance_id)
            self._journal.write(
                RETENTION_SKIPS, instance_id=instance_id, reason=str(error), error_type=type_name(error)
            )

    async def _forget(self, instance_id: str) -> None:
        with suppress(InstanceNotFound, InstanceUnfinished, InstanceStalled):
            await self._facade.purge(instance_id, recurse=False, by=None)
            logger.debug("forgot %s, whose time was over", instance_id)

    async def _sleep(self) -> None:
        next_us = min(self._look_at_us, self._due[0][0]) if self._due else self._look_at_us
        sleep_s_max = self.SLEEP_S_MAX_IF_SET if self._clock.may_be_set else self.SLEEP_S_MAX
        await anyio.sleep(min(max((next_us - self._clock.now_us()) / 1e6, 0.0), sleep_s_max))
