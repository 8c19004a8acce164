"""The timeline: the history of an instance as one sequence of events, for workers and callers.

The rule: a prefix of the sequence never changes. Workers keep the events that
they were sent and get the rest (contract 3.20), so no event may be inserted.

Remote turns are sent from it, and the doors show histories with it. Source:
contract 3.6, 3.12.
"""

from collections.abc import Iterable, Sequence

from .event import (
    Arrival,
    Command,
    ExecutionResumed,
    ExecutionStalled,
    ExecutionSuspended,
    PatchesApplied,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from .row import Row, split
from .timed_event import TimedEvent, TurnStarted

ARRIVED = -1  # the event id of everything that comes from outside


class Timeline:
    """The history of one generation, as it grows.

    Arrivals that were not fed yet are not part of it: a worker that requests the
    history would feed them to its code too early. A stall is never fed, and
    stands where it happened.
    """

    __slots__ = ("_tasks", "events", "has_run", "held", "timers", "version")

    def __init__(self) -> None:
        self.events: list[TimedEvent] = []
        self.held: list[Arrival] = []  # arrived and not fed, oldest first
        self.has_run = False  # whether the code of this generation has had a turn
        self.version: str | None = None  # the named version of the code, as the last turn has it
        self._tasks: dict[int, str] = {}
        self.timers: set[int] = set()  # ids of the timers that the code has set

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Timeline":
        """Make the history of the rows of a generation."""
        timeline = cls()
        for row in rows:
            timeline.add(row)
        return timeline

    def add(self, row: Row) -> None:
        """Add the next row: the head of its turn, the arrivals that were fed, and the commands."""
        if row.turn is not None:
            arrivals, commands = split(row.turn)
            self.has_run = True
            self.events.append(TimedEvent(ARRIVED, row.at_us, self._head(commands)))
            self.events += self.fed([*row.taken_from(self.held), *arrivals], row.at_us)
            self.events += self._asked(commands, row.at_us)
        for event in row.held:
            self.held.append(event)  # type: ignore[arg-type]  # only arrivals are ever held
            if isinstance(event, ExecutionStalled):
                self.events.append(TimedEvent(ARRIVED, row.at_us, event))

    def fed(self, arrivals: Sequence[Arrival], at_us: int) -> list[TimedEvent]:
        """The arrivals of a turn as events, in the order that suits every SDK: suspensions and resumptions come first.

        Args:
            arrivals: The arrivals that the turn feeds, oldest first.
            at_us: When the turn began; Unix time, microseconds.
        """
        events: list[TimedEvent] = []
        for arrival in sorted(arrivals, key=_rank):
            if isinstance(arrival, ExecutionStalled):
                continue  # it is in the history already
            if isinstance(arrival, TimerFired) and arrival.timer_id not in self.timers:
                continue  # the scheduled start, for which no SDK has a timer
            if isinstance(arrival, TaskCompleted | TaskFailed) and arrival.task_execution_id is None:
                arrival = arrival._replace(task_execution_id=self._tasks.get(arrival.task_id))  # noqa: PLW2901
            events.append(TimedEvent(ARRIVED, at_us, arrival))
        return events

    def _head(self, commands: Iterable[Command]) -> TurnStarted:
        """Make the head of a turn. Each has the version that was settled last (contract 3.19)."""
        applied = next((command for command in commands if isinstance(command, PatchesApplied)), None)
        if applied is None:
            return TurnStarted(version=self.version)
        if applied.version is not None:
            self.version = applied.version
        return TurnStarted(applied.names, self.version)

    def _asked(self, commands: Sequence[Command], at_us: int) -> list[TimedEvent]:
        events: list[TimedEvent] = []
        for command in commands:
            if isinstance(command, PatchesApplied):
                continue
            if isinstance(command, TaskScheduled):
                self._tasks[command.event_id] = command.task_execution_id
            elif isinstance(command, TimerCreated):
                self.timers.add(command.event_id)
            events.append(TimedEvent(command.event_id, at_us, command))
        return events


def _rank(arrival: Arrival) -> int:
    return 0 if isinstance(arrival, ExecutionSuspended | ExecutionResumed) else 1
