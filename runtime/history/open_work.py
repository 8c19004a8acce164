"""Open work of an instance: activities, children and timers without an answer.

The rule: all of it follows from the history, event by event, so it is the
same after a restart.

Workflow actors keep it for native and remote code alike: it has the answers that
an instance waits for, and the requests to repeat after a crash.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .event import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    Event,
    EventRaised,
    EventSent,
    ExecutionStarted,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TimerOrigin,
)
from .open_waits import OpenWaits
from .row import Row

RETRIES = (TimerOrigin.ACTIVITY_RETRY, TimerOrigin.CHILD_RETRY)
START_TIMER = -1  # the timer of a scheduled start; those of the code begin at 1, or at 0 (Go, Java, .NET)


@dataclass(slots=True)
class OpenWork:
    """The open activities, children, timers and waits, each in a table by event id."""

    tasks: dict[int, TaskScheduled] = field(default_factory=dict)
    children: dict[int, ChildCreated] = field(default_factory=dict)
    timers: dict[int, int] = field(default_factory=dict)  # when each fires; Unix time, microseconds
    waits: dict[int, str] = field(default_factory=dict)  # for timers of waits: the event's name, case-folded
    last_id: int = 0
    retries: set[int] | None = None  # the timers between two tries of a call; None: there was none yet
    # Timers of waits of native code that may have ended: rows of earlier releases do not show it.
    doubtful: frozenset[int] = frozenset()

    @classmethod
    def of(cls, rows: Sequence[Row], *, remote: bool = False) -> "OpenWork":
        """Find the work that is open after the rows of a generation."""
        work = cls()
        held: list[Event] = []
        for row in rows:
            if remote:
                for timer_id in work.waits_ended_by(row.taken_from(held)):
                    del work.timers[timer_id], work.waits[timer_id]
            held += row.held
            for event in row.turn or ():
                work.apply(event)
            for event in row.held:
                work.apply(event)
        if work.waits and not remote:
            work._end_waits(rows)
        return work

    def keep_only(self, rows: Iterable[Row]) -> None:
        """Drop the activities that were not requested in these rows, the last ones of a finished instance."""
        if not self.tasks:
            return
        asked = {event.event_id for row in rows for event in row.turn or () if isinstance(event, TaskScheduled)}
        self.tasks = {event_id: task for event_id, task in self.tasks.items() if event_id in asked}

    def _end_waits(self, rows: Sequence[Row]) -> None:
        """Drop the timers of waits of native code that have ended, where the rows list the waits."""
        found = OpenWaits.of(rows)
        ended = (found.certain & self.waits.keys()) - {wait.event_id for wait in found.waits}
        for timer_id in ended:
            del self.timers[timer_id], self.waits[timer_id]
        self.doubtful = frozenset(self.waits.keys() - found.certain)

    def waits_ended_by(self, events: Iterable[Event]) -> list[int]:
        """The timers of the waits that these events end: for each event the oldest wait of its name (contract 3.10).

        It finds all of them for remote code only, where every wait has a timer.
        """
        ended: list[int] = []
        for event in events:
            if isinstance(event, EventRaised):
                key = event.name.casefold()
                left = (each for each, name in self.waits.items() if name == key and each not in ended)
                ended += [timer_id for timer_id in (next(left, None),) if timer_id is not None]
        return ended

    def apply(self, event: Event) -> None:
        """Take one event into account."""
        take = TAKERS.get(type(event))
        if take is not None:
            take(self, event)

    def _asked(self, task: TaskScheduled) -> None:
        self.tasks[task.event_id] = task
        self.last_id = task.event_id

    def _answered(self, answer: TaskCompleted | TaskFailed) -> None:
        self.tasks.pop(answer.task_id, None)

    def _timer_set(self, timer: TimerCreated) -> None:
        self.timers[timer.event_id] = timer.fire_at_us
        self.last_id = timer.event_id
        if timer.origin == TimerOrigin.EXTERNAL_EVENT and timer.reference is not None:
            self.waits[timer.event_id] = timer.reference.casefold()
        elif timer.origin in RETRIES:
            self.retries = self.retries or set()
            self.retries.add(timer.event_id)

    def _timer_fired(self, timer: TimerFired) -> None:
        self.timers.pop(timer.timer_id, None)
        self.waits.pop(timer.timer_id, None)

    def _child_asked(self, child: ChildCreated) -> None:
        self.children[child.event_id] = child
        self.last_id = child.event_id

    def _event_sent(self, sent: EventSent) -> None:
        self.last_id = sent.event_id

    def _child_answered(self, answer: ChildCompleted | ChildFailed) -> None:
        self.children.pop(answer.task_id, None)

    def _started(self, started: ExecutionStarted) -> None:
        if started.scheduled_start_us is not None:
            self.timers[START_TIMER] = started.scheduled_start_us


# The functions that take an event of a type into account, as `apply` does. Turns read it themselves: each step comes
# here twice.
TAKERS: dict[type[Any], Callable[[OpenWork, Any], None]] = {
    TaskScheduled: OpenWork._asked,
    TaskCompleted: OpenWork._answered,
    TaskFailed: OpenWork._answered,
    TimerCreated: OpenWork._timer_set,
    TimerFired: OpenWork._timer_fired,
    ChildCreated: OpenWork._child_asked,
    ChildCompleted: OpenWork._child_answered,
    ChildFailed: OpenWork._child_answered,
    EventSent: OpenWork._event_sent,
    ExecutionStarted: OpenWork._started,
}
