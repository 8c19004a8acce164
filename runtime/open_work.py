"""What an instance has under way: activities, children and timers without an answer.

The one law: everything here follows from the history, event by event, so it is
the same after a restart.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from .event import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    Event,
    EventRaised,
    ExecutionStarted,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TimerOrigin,
)
from .history import Row

START_TIMER = -1  # the timer of a scheduled start; those of the code begin at 1, or at 0 (Go, Java, .NET)


@dataclass(slots=True)
class OpenWork:
    """Each table is by event id."""

    tasks: dict[int, TaskScheduled] = field(default_factory=dict)
    children: dict[int, ChildCreated] = field(default_factory=dict)
    timers: dict[int, int] = field(default_factory=dict)  # when each fires; Unix time, microseconds
    waits: dict[int, str] = field(default_factory=dict)  # of timers that stand for a wait: the event, without case
    last_id: int = 0

    @classmethod
    def of(cls, rows: Iterable[Row], *, remote: bool = False) -> "OpenWork":
        work = cls()
        held: list[Event] = []
        for row in rows:
            if remote and row.turn is not None:
                for timer_id in work.waits_ended_by(held[: row.consumed]):
                    del work.timers[timer_id], work.waits[timer_id]
                del held[: row.consumed]
            held += row.held
            for event in row.turn or ():
                work.note(event)
            for event in row.held:
                work.note(event)
        return work

    def keep_only(self, rows: Iterable[Row]) -> None:
        """Drop the activities that were not asked for in these rows: those from before the end are of no use now."""
        asked = {event.event_id for row in rows for event in row.turn or () if isinstance(event, TaskScheduled)}
        self.tasks = {event_id: task for event_id, task in self.tasks.items() if event_id in asked}

    def waits_ended_by(self, events: Iterable[Event]) -> list[int]:
        """The timers that stand for the waits which these events end: for each event the oldest (contract 3.10).

        Only a remote worker has a timer for every wait, so only there is this the whole truth.
        """
        ended: list[int] = []
        for event in events:
            if isinstance(event, EventRaised):
                key = event.name.casefold()
                left = (each for each, name in self.waits.items() if name == key and each not in ended)
                ended += [timer_id for timer_id in (next(left, None),) if timer_id is not None]
        return ended

    def note(self, event: Event) -> None:
        """Take one event into account."""
        match event:
            case TaskScheduled():
                self.tasks[event.event_id] = event
                self.last_id = event.event_id
            case TaskCompleted() | TaskFailed():
                self.tasks.pop(event.task_id, None)
            case TimerCreated():
                self.timers[event.event_id] = event.fire_at_us
                self.last_id = event.event_id
                if event.origin == TimerOrigin.EXTERNAL_EVENT and event.reference is not None:
                    self.waits[event.event_id] = event.reference.casefold()
            case TimerFired():
                self.timers.pop(event.timer_id, None)
                self.waits.pop(event.timer_id, None)
            case ChildCreated():
                self.children[event.event_id] = event
                self.last_id = event.event_id
            case ChildCompleted() | ChildFailed():
                self.children.pop(event.task_id, None)
            case ExecutionStarted(scheduled_start_us=int(start_us)):
                self.timers[START_TIMER] = start_us
            case _:
                pass
