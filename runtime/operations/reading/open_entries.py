"""Open entries of a history: what an instance has asked for and has no answer to, with since when and which attempt.

The rule: it follows from the rows alone, and no code is run for it. `runtime/history/open_work.py` keeps the same for
turns, which need less; this is for readers.

An event ends the oldest wait of its name, when it is fed. Of the app's own code the rows name the waits that are left
(`Row.waits`), which settles what the events alone do not tell: an event that came before its wait ends none.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...dates import END_OF_TIME_US
from ...execution.pending import NAMED_MAX
from ...history.event import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    Event,
    EventRaised,
    ExecutionResumed,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    StallReason,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TimerOrigin,
)
from ...history.open_work import START_TIMER
from ...history.row import Row, split


class OpenRequest(NamedTuple):
    """A call or a timer without an answer."""

    event_id: int
    since_us: int  # of the turn that asked for it; Unix time, microseconds
    name: str | None  # the activity's or the workflow's; None: a plain timer
    attempt: int | None = None  # from 1; of a timer before another attempt the number of that
    due_us: int | None = None  # of a timer
    child_id: str | None = None


class Awaited(NamedTuple):
    """A wait for an external event."""

    name: str  # as the code spells it
    since_us: int
    event_id: int | None = None  # of the timer that ends it, where it has one
    due_us: int | None = None  # when that fires; None: never


@dataclass(slots=True)
class OpenEntries:
    """What is open after some rows. Tables are by event id."""

    tasks: dict[int, OpenRequest]
    children: dict[int, OpenRequest]
    task_retries: dict[int, OpenRequest]  # timers before another attempt
    child_retries: dict[int, OpenRequest]
    timers: dict[int, OpenRequest]
    waits: list[Awaited]  # oldest first
    start_due_us: int | None = None  # the start is due then; None: it is not waited for
    start_since_us: int = 0
    held: int = 0  # arrivals that were not fed, stalls apart
    held_since_us: int = 0  # of the oldest
    suspended_us: int | None = None  # None: it is not suspended
    stalled_us: int | None = None  # when it stalled last, and why; None: never
    stall_reason: int = StallReason.PATCH_MISMATCH
    turns: int = 0
    events: int = 0


def open_entries(rows: Iterable[Row]) -> OpenEntries:
    """Find what is open after the rows of a generation."""
    walk = Walk()
    for row in rows:
        walk.add(row)
    return walk.found


class Walk:
    """Goes through the rows of one generation, oldest first."""

    def __init__(self) -> None:
        self.found = OpenEntries({}, {}, {}, {}, {}, [])
        self._held: list[tuple[int, Event]] = []  # arrivals that were not fed, each with the time of its row
        self._attempts: Counter[str] = Counter()  # of calls, by what names all attempts of a call
        self._names: dict[str, str] = {}  # of calls, by the same

    def add(self, row: Row) -> None:
        """Take the next row into account."""
        found = self.found
        found.events += len(row.turn or ()) + len(row.held)
        if row.turn is not None:
            found.turns += 1
            arrivals, commands = split(row.turn)
            consumed = len(self._held) if row.consumed is None else row.consumed
            for _, event in self._held[:consumed]:
                self._feed(event)
            del self._held[:consumed]
            for event in arrivals:
                self._take(event, row.at_us)
                self._feed(event)
            for command in commands:
                self._take(command, row.at_us)
        for event in row.held:
            self._held.append((row.at_us, event))
            self._take(event, row.at_us)
        if row.waits is not None:
            self._settle(row.waits, row.at_us)
        left = [at_us for at_us, event in self._held if not isinstance(event, ExecutionStalled)]
        found.held = len(left)
        found.held_since_us = left[0] if left else 0

    def _take(self, event: Event, at_us: int) -> None:
        take = _TAKERS.get(type(event))
        if take is not None:
            take(self, event, at_us)

    def _feed(self, event: Event) -> None:
        """End the oldest wait of an event that is fed. Waits of this very turn are not there yet."""
        if isinstance(event, EventRaised):
            key = event.name.casefold()
            position = next((n for n, wait in enumerate(self.found.waits) if wait.name.casefold() == key), None)
            if position is not None:
                del self.found.waits[position]

    def _settle(self, names: Sequence[str], at_us: int) -> None:
        """Keep of the waits those that the row names, and add those that have no timer."""
        waits = self.found.waits
        left = Counter(names)
        if len(names) < NAMED_MAX:  # else there may be more than it names
            surplus = Counter(wait.name for wait in waits) - left
            kept = []
            for wait in waits:  # the oldest go
                if surplus[wait.name] > 0:
                    surplus[wait.name] -= 1
                else:
                    kept.append(wait)
            waits[:] = kept
        missing = left - Counter(wait.name for wait in waits)
        waits += [Awaited(name, at_us) for name in missing.elements()]

    def _asked(self, task: TaskScheduled, at_us: int) -> None:
        self._attempts[task.task_execution_id] += 1
        self._names[task.task_execution_id] = task.name
        attempt = self._attempts[task.task_execution_id]
        self.found.tasks[task.event_id] = OpenRequest(task.event_id, at_us, task.name, attempt)

    def _child_asked(self, child: ChildCreated, at_us: int) -> None:
        first = child.retry_of or child.instance_id
        self._attempts[first] += 1
        self._names[first] = child.name
        self.found.children[child.event_id] = OpenRequest(
            child.event_id, at_us, child.name, self._attempts[first], child_id=child.instance_id
        )

    def _timer_set(self, timer: TimerCreated, at_us: int) -> None:
        due_us = timer.fire_at_us if timer.fire_at_us < END_OF_TIME_US else None
        of = timer.reference or ""
        if timer.origin == TimerOrigin.EXTERNAL_EVENT and timer.reference is not None:
            self.found.waits.append(Awaited(timer.reference, at_us, timer.event_id, due_us))
        elif timer.origin in (TimerOrigin.ACTIVITY_RETRY, TimerOrigin.CHILD_RETRY):
            activity = timer.origin == TimerOrigin.ACTIVITY_RETRY
            retries = self.found.task_retries if activity else self.found.child_retries
            retries[timer.event_id] = OpenRequest(
                timer.event_id, at_us, self._names.get(of), self._attempts[of] + 1, timer.fire_at_us
            )
        else:
            self.found.timers[timer.event_id] = OpenRequest(timer.event_id, at_us, None, due_us=due_us)

    def _timer_fired(self, timer: TimerFired, at_us: int) -> None:
        found = self.found
        if timer.timer_id == START_TIMER:
            found.start_due_us = None
        for table in (found.timers, found.task_retries, found.child_retries):
            table.pop(timer.timer_id, None)
        found.waits[:] = [wait for wait in found.waits if wait.event_id != timer.timer_id]

    def _task_answered(self, answer: TaskCompleted | TaskFailed, at_us: int) -> None:
        self.found.tasks.pop(answer.task_id, None)

    def _child_answered(self, answer: ChildCompleted | ChildFailed, at_us: int) -> None:
        self.found.children.pop(answer.task_id, None)

    def _started(self, started: ExecutionStarted, at_us: int) -> None:
        self.found.start_due_us = started.scheduled_start_us
        self.found.start_since_us = at_us

    def _suspended(self, suspended: ExecutionSuspended, at_us: int) -> None:
        self.found.suspended_us = at_us

    def _resumed(self, resumed: ExecutionResumed, at_us: int) -> None:
        self.found.suspended_us = None

    def _stalled(self, stalled: ExecutionStalled, at_us: int) -> None:
        self.found.stalled_us = at_us
        self.found.stall_reason = stalled.reason


_TAKERS: dict[type[Any], Callable[[Walk, Any, int], None]] = {
    TaskScheduled: Walk._asked,
    TaskCompleted: Walk._task_answered,
    TaskFailed: Walk._task_answered,
    ChildCreated: Walk._child_asked,
    ChildCompleted: Walk._child_answered,
    ChildFailed: Walk._child_answered,
    TimerCreated: Walk._timer_set,
    TimerFired: Walk._timer_fired,
    ExecutionStarted: Walk._started,
    ExecutionSuspended: Walk._suspended,
    ExecutionResumed: Walk._resumed,
    ExecutionStalled: Walk._stalled,
}
