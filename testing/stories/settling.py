"""Settling: all work under way ends, or the report has the waits of each instance, with their times.

The rule: an instance that waits for an activity, a child or its own code is under way; one that waits for an event,
a timer, the date of its start or a resumption is asleep. Work under way has to go on once the faults are over.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import anyio

from ...runtime.dates import from_us
from ...runtime.engine import Engine
from ...runtime.history.status import Status
from ...runtime.operations.reading.listing import InstanceFilter
from ...runtime.operations.reading.waiting import Waiting, WaitKind
from ..simulation.loop import Stuck
from ..simulation.world import SimWorld

ASLEEP = frozenset({WaitKind.EVENT, WaitKind.TIMER, WaitKind.START, WaitKind.RESUME, WaitKind.CHILD})
ENDED = frozenset(status.name for status in Status if status.terminal)
# How long until the next look: a hundredth of a second at first, then ever longer, up to an hour.
LOOK_S, LOOK_S_MAX = 0.01, 3_600.0
PAGE = 50


class Sleeper(NamedTuple):
    """An instance that has not ended."""

    id: str
    name: str
    waits: Sequence[Waiting]

    @property
    def asleep(self) -> bool:
        """Whether its next event is due later, or comes from outside.

        A child is an instance too, and stands in the list itself.
        """
        return bool(self.waits) and all(
            each.kind in ASLEEP or (each.kind is WaitKind.ACTIVITY and each.due_us is not None) for each in self.waits
        )

    def __str__(self) -> str:
        waits = "; ".join(map(_told, self.waits)) or "nothing that is known"
        return f"{self.id} ({self.name}) waits for {waits}"


async def settle(world: SimWorld, within: timedelta, *, ended: bool) -> None:
    """Let time run until all instances have ended, or until the others are asleep.

    Args:
        within: The maximum of virtual time.
        ended: Whether they have to end.

    Raises:
        Stuck: They have not.
    """
    pause_s, until_s = LOOK_S, world.loop.time() + within.total_seconds()
    while await world.ask(any_unended):
        over = world.loop.time() >= until_s
        # The waits of each are in its history; while all of them have to end, they are not needed.
        if over or not ended:
            waiting = [each for each in await world.ask(unended) if ended or not each.asleep]
            if not waiting:
                return
            if over:
                raise Stuck(told(waiting, within))
        await anyio.sleep(pause_s)
        pause_s = min(pause_s * 2, LOOK_S_MAX)


async def any_unended(engine: Engine) -> bool:
    """Whether there is an instance that has not ended."""
    return bool((await engine.views.listing.list(InstanceFilter(not_statuses=ENDED), limit=1)).items)


async def unended(engine: Engine) -> list[Sleeper]:
    """The instances that have not ended, each with its waits."""
    found: list[Sleeper] = []
    wanted, cursor = InstanceFilter(not_statuses=ENDED), None
    while True:
        page = await engine.views.listing.list(wanted, cursor=cursor, limit=PAGE, with_waiting=True)
        found += [Sleeper(item.id, item.name, page.waiting[item.id]) for item in page.items]
        cursor = page.cursor
        if cursor is None:
            return sorted(found)


def told(waiting: Sequence[Sleeper], within: timedelta) -> str:
    """The report of the instances that have not ended within this time."""
    shown = "; ".join(map(str, waiting[:5]))
    more = f"; and {len(waiting) - 5} more" if len(waiting) > 5 else ""
    return f"{len(waiting)} of the instances have not ended {within} after the last fault: {shown}{more}"


def _told(waiting: Waiting) -> str:
    name = f" {waiting.name!r}" if waiting.name is not None else ""
    due = f", due {_date(waiting.due_us)}" if waiting.due_us is not None else ""
    tries = f", attempt {waiting.attempt}" if waiting.attempt is not None and waiting.attempt > 1 else ""
    return f"{WORDS[waiting.kind]}{name} since {_date(waiting.since_us)}{tries}{due}"


def _date(at_us: int) -> str:
    return f"{from_us(at_us):%Y-%m-%d %H:%M:%S}"


WORDS = {
    WaitKind.ACTIVITY: "activity",
    WaitKind.CHILD: "child",
    WaitKind.TIMER: "a timer",
    WaitKind.EVENT: "event",
    WaitKind.START: "the date of its start",
    WaitKind.WORKER: "a worker that has",
    WaitKind.CODE: "its code to go on or to fit, that is workflow",
    WaitKind.RESUME: "its resumption",
    WaitKind.RELEASE: "its release",
}
