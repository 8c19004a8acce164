"""The loop that forgets finished instances when their time is over (contract 4.3, 4.5).

The rule: an instance is forgotten when it has been finished for the time that `Retention` names, never earlier.
Nothing about it is stored: the date follows from its facets, so a restart changes nothing, and a new policy holds for
all that has ended already.

The engine runs it if its settings name any time. Each host of a daemon forgets the instances of its own part. Of hosts
that share a store one host does it for all; when shards move, this may be another host.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

import anyio

from ....actors.clock import Clock, read
from ....actors.errors import HostStopping, PerdureError
from ....actors.store.contract import Store
from ....actors.store.errors import StoreDamaged
from ....actors.store.listing import Listed, ListFilter, Order
from ....actors.text import type_name
from ....journal.journal import Journal
from ....journal.vocabulary import RETENTION_FAILED, RETENTION_SKIPS
from ...errors import InstanceNotFound, InstanceStalled, InstanceUnfinished, NoMatch
from ...history.attribution import By
from ...history.status import TERMINAL, Status
from ...instance.condition import Condition
from ..facade import Facade
from .policy import Retention

# The audit has one row for each look that forgets instances: the row of the first one.
BY_RETENTION = By("engine", "engine", "its time was over, and perhaps that of others: retention")


class RetentionLoop:
    """Forgets finished instances one by one, without their children, which have times of their own.

    The store lists the instances of a status in the order in which they have ended, so a look reads the ones that
    are due, and the first that is not. The loop looks at the start, when the first instance that it knows of is
    due, and after the shortest time for which any instance is kept, because none that ends after a look can be due
    before that. It looks no more often than once a second, and not at all if nothing has happened since the last look
    and nothing is due. Both turns and commits count: a look may fall between a turn and its commit, and a commit that
    has failed may be in the store.

    So no instance goes too early, and each goes within a second of its date. While the loop sleeps it looks at the
    clock once a minute, if the clock may be set.

    Args:
        store: This host's part; lists the instances.
        facade: Purges them.
        retention: How long they are kept; not for ever.
        clock: Has the date.
        happened: A count that grows with each turn and each commit.
        is_mine: Whether it is this host's turn to forget.
    """

    LOOK_EVERY_S = 1.0
    TURN_EVERY_S = 5.0  # how often a host asks whether it is its turn
    SLEEP_S_MAX = 3600.0
    SLEEP_S_MAX_IF_SET = 60.0  # the wall clock may be set, and the machine may sleep
    FIRST_PAGE = 16  # most looks find only a few
    PAGE = 512
    AT_ONCE = 32  # instances that are forgotten together, so that they share commits
    LEFT_MAX = 1_000  # instances that cannot be forgotten, and are not tried again
    THIN_EVERY_S = 3600.0  # how often the audit is thinned
    TRY_AGAIN_S = 60.0  # after a failure of the store

    def __init__(
        self,
        store: Store,
        facade: Facade,
        retention: Retention,
        *,
        clock: Clock,
        happened: Callable[[], int],
        is_mine: Callable[[], bool] = lambda: True,
        journal: Journal | None = None,
    ) -> None:
        self._store = store
        self._facade = facade
        self._retention = retention
        self._clock = clock
        self._happened = happened
        self._is_mine = is_mine
        self._journal = (journal or Journal()).at(__name__)
        self._seen_happened = -1
        self._due_us: int | None = None  # when the first instance that the last look left is due
        self._look_at_us = 0
        self._thin_at_us = 0
        self._seen = read(clock)
        self._left: dict[str, None] = {}  # ids of instances that cannot be forgotten
        self._told = False  # whether this look has its row in the audit

    async def run(self) -> None:
        """Work until cancelled, or until the host stops."""
        while True:
            if not self._is_mine():
                self._seen_happened, self._look_at_us = -1, 0
                await anyio.sleep(self.TURN_EVERY_S)
                continue
            try:
                await self._step()
            except HostStopping:
                return
            except PerdureError as error:
                # The store fails. A wait loses nothing: all dates follow from the store.
                self._journal.write(RETENTION_FAILED, reason=str(error), error_type=type_name(error))
                self._seen_happened = -1
                self._look_at_us = self._clock.now_us() + round(self.TRY_AGAIN_S * 1e6)
                self._thin_at_us = max(self._thin_at_us, self._look_at_us)
            await self._sleep()

    async def _step(self) -> None:
        """Look, if a look is due, and forget all instances that are due."""
        now, seen = read(self._clock), self._seen
        self._seen = now
        # A clock that is set back delays no look; otherwise instances that end now would be found late.
        set_back_us = max(0, now.set_back_since(seen))
        self._look_at_us -= set_back_us
        self._thin_at_us -= set_back_us
        if now.wall_us >= self._look_at_us:
            await self._look(now.wall_us)
        if self._retention.audit_us is not None and now.wall_us >= self._thin_at_us:
            await self._store.thin_audit(now.wall_us - self._retention.audit_us)
            self._thin_at_us = now.wall_us + round(self.THIN_EVERY_S * 1e6)

    async def _look(self, now_us: int) -> None:
        """Forget the instances that are due, and set the time of the next look."""
        happened = self._happened()
        self._told = False
        is_due = self._due_us is not None and self._due_us <= now_us
        if happened != self._seen_happened or is_due:
            dates = [await self._forget_due(status, now_us) for status in sorted(TERMINAL)]
            self._due_us = min((due_us for due_us in dates if due_us is not None), default=None)
            self._seen_happened = happened
        shortest_us = self._retention.shortest_us
        if shortest_us is None:  # only the audit is thinned
            self._look_at_us = now_us + round(self.SLEEP_S_MAX * 1e6)
            return
        next_us = now_us + shortest_us
        if self._due_us is not None:
            next_us = min(next_us, self._due_us)
        self._look_at_us = max(next_us, now_us + round(self.LOOK_EVERY_S * 1e6))

    async def _forget_due(self, status: Status, now_us: int) -> int | None:
        """Forget the instances of a status that are due.

        Returns:
            When the first that is left is due, Unix time in microseconds; None if none is left.
        """
        kept_us = self._retention.kept_us(status)
        if kept_us is None:
            return None
        wanted = ListFilter(statuses=frozenset({status.name}))
        limit, cursor = self.FIRST_PAGE, None
        while True:
            page = await self._store.list(
                self._facade.own.workflow, wanted, order=Order.UPDATED, cursor=cursor, limit=limit
            )
            due = [each for each in page.listed if each.facets.updated_us + kept_us <= now_us]
            still = ListFilter(statuses=wanted.statuses, updated_to_us=now_us - kept_us + 1)
            await self._forget_all(due, Condition(filter=still))
            if len(due) < len(page.listed):
                return page.listed[len(due)].facets.updated_us + kept_us
            if page.cursor is None:
                return None
            limit, cursor = self.PAGE, page.cursor

    async def _forget_all(self, due: Sequence[Listed], condition: Condition) -> None:
        """Forget instances, several at once.

        Args:
            condition: Each must still meet it: it may have been started again meanwhile.

        Raises:
            PerdureError: The store fails, or the host stops.
        """
        waiting = [each.id for each in due if each.id not in self._left]
        for begin in range(0, len(waiting), self.AT_ONCE):
            errors: list[PerdureError] = []

            async def forget(instance_id: str, errors: list[PerdureError] = errors) -> None:
                try:
                    await self._forget(instance_id, condition)
                except PerdureError as error:
                    errors.append(error)

            async with anyio.create_task_group() as tasks:
                for instance_id in waiting[begin : begin + self.AT_ONCE]:
                    tasks.start_soon(forget, instance_id)
            if errors:
                raise errors[0]

    async def _forget(self, instance_id: str, condition: Condition) -> None:
        by = None if self._told else BY_RETENTION
        self._told = True
        try:
            with suppress(InstanceNotFound, InstanceUnfinished, NoMatch):
                await self._facade.purge(instance_id, recurse=False, by=by, condition=condition)
        except (StoreDamaged, InstanceStalled) as error:
            # It does not keep the others from being forgotten.
            self._journal.write(
                RETENTION_SKIPS, instance_id=instance_id, reason=str(error), error_type=type_name(error)
            )
            if len(self._left) < self.LEFT_MAX:
                self._left[instance_id] = None

    async def _sleep(self) -> None:
        next_us = self._look_at_us
        if self._retention.audit_us is not None:
            next_us = min(next_us, self._thin_at_us)
        sleep_s_max = self.SLEEP_S_MAX_IF_SET if self._clock.may_be_set else self.SLEEP_S_MAX
        await anyio.sleep(min(max((next_us - self._clock.now_us()) / 1e6, 0.0), sleep_s_max))
