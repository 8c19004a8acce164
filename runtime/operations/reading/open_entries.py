"""Open entries of a history: requests of an instance that have no answer, each with its time and its attempt.

The rule: it follows from the rows alone, and no code is run for it. `runtime/history/open_work.py` keeps the same for
turns, which need less; this is for readers.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...dates import END_OF_TIME_US
from ...history.event import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    Event,
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
from ...history.open_waits import OpenWait, OpenWaits
from ...history.open_work import START_TIMER
from ...history.row import Row, split


class OpenRequest(NamedTuple):
    """A call or a timer without an answer."""

    event_id: int
    since_us: int  # of the turn that requested it; Unix time, microseconds
    name: str | None  # the activity's or the workflow's; None: a plain timer
    attempt: int | None = None  # from 1; for a timer before another attempt, that attempt's
    due_us: int | None = None  # of a timer
    child_id: str | None = None
    app_id: str | None = None  # None: that of the instance


@dataclass(slots=True)
class OpenEntries:
    """The entries open after some rows. Tables are by event id."""

    tasks: dict[int, OpenRequest]
    children: dict[int, OpenRequest]
    task_retries: dict[int, OpenRequest]  # timers before another attempt
    child_retries: dict[int, OpenRequest]
    timers: dict[int, OpenRequest]
    waits: list[OpenWait]  # oldest first
    start_due_us: int | None = None  # when the start is due; None: no wait for it
    start_since_us: int = 0
    held: int = 0  # arrivals that were not fed, stalls apart
    held_since_us: int = 0  # of the oldest
    suspended_us: int | None = None  # None: it is not suspended
    stalled_us: int | None = None  # when it stalled last, and why; None: never
    stall_reason: int = StallReason.PATCH_MISMATCH
    turns: int = 0
    events: int = 0


def open_entries(rows: Iterable[Row]) -> OpenEntries:
    """Find the entries that are open after the rows of a generation."""
    walk = Walk()
    for row in rows:
        walk.add(row)
    return walk.found


class Walk:
    """Goes through the rows of one generation, oldest first."""

    def __init__(self) -> None:
        self.found = OpenEntries({}, {}, {}, {}, {}, [])
        self._held: list[tuple[int, Event]] = []  # arrivals that were not fed, each with the time of its row
        self._waits = OpenWaits()
        self._attempts: Counter[str] = Counter()  # of calls, by the name that all attempts of a call share
        self._names: dict[str, str] = {}  # of calls, by the same

    def add(self, row: Row) -> None:
        """Take the next row into account."""
        found = self.found
        found.events += len(row.turn or ()) + len(row.held)
        if row.turn is not None:
            found.turns += 1
            arrivals, commands = split(row.turn)
            consumed = len(self._held) if row.consumed is None else row.consumed
            del self._held[:consumed]
            for event in (*arrivals, *commands):
                self._take(event, row.at_us)
        for event in row.held:
            self._held.append((row.at_us, event))
            self._take(event, row.at_us)
        self._waits.add(row)
        found.waits = self._waits.waits
        left = [at_us for at_us, event in self._held if not isinstance(event, ExecutionStalled)]
        found.held = len(left)
        found.held_since_us = left[0] if left else 0

    def _take(self, event: Event, at_us: int) -> None:
        take = _TAKERS.get(type(event))
        if take is not None:
            take(self, event, at_us)

    def _asked(self, task: TaskScheduled, at_us: int) -> None:
        self._attempts[task.task_execution_id] += 1
        self._names[task.task_execution_id] = task.name
        attempt = self._attempts[task.task_execution_id]
        self.found.tasks[task.event_id] = OpenRequest(task.event_id, at_us, task.name, attempt, app_id=task.target_app)

    def _child_asked(self, child: ChildCreated, at_us: int) -> None:
        first = child.retry_of or child.instance_id
        self._attempts[first] += 1
        self._names[first] = child.name
        self.found.children[child.event_id] = OpenRequest(
            child.event_id,
            at_us,
            child.name,
            self._attempts[first],
            child_id=child.instance_id,
            app_id=child.target_app,
        )

    def _timer_set(self, timer: TimerCreated, at_us: int) -> None:
        due_us = timer.fire_at_us if timer.fire_at_us < END_OF_TIME_US else None
        of = timer.reference or ""
        if timer.origin == TimerOrigin.EXTERNAL_EVENT:
            return  # it belongs to a wait
        if timer.origin in (TimerOrigin.ACTIVITY_RETRY, TimerOrigin.CHILD_RETRY):
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
