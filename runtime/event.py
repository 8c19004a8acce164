"""What happens to an instance: the events of its history.

The one law: what an event's tag and fields mean never changes, because files
hold them. A new field goes to the end and has a default; a new event gets a
new tag. `tests/test_runtime_event.py` pins both.

An event is one of two kinds. Some **arrive** from outside (an activity's
result, a timer, a raised event) and are fed to the workflow's code; the others
are **commands**, what the code asked for, recorded so that replay can compare.
The names follow durabletask's history (contract 3.2, 3.6), which every event
here can be turned into.

Named tuples, because they are packed as they stand, several for each step.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from .failure import FailureDetails


class Parent(NamedTuple):
    """The link of a child to the task of its parent that waits for it."""

    instance_id: str
    execution_id: str
    task_id: int
    name: str


class ExecutionStarted(NamedTuple):
    """The first event of a generation."""

    name: str
    input: str | None
    execution_id: str
    parent: Parent | None = None
    scheduled_start_us: int | None = None  # Unix time, microseconds
    version: str | None = None


class ExecutionCompleted(NamedTuple):
    """The last event of an instance: COMPLETED, FAILED or TERMINATED."""

    event_id: int
    status: int  # a Status
    result: str | None = None
    failure: tuple[Any, ...] | None = None  # FailureDetails.pack


class ExecutionTerminated(NamedTuple):
    output: str | None
    recurse: bool


class ExecutionSuspended(NamedTuple):
    reason: str | None


class ExecutionResumed(NamedTuple):
    reason: str | None


class ExecutionStalled(NamedTuple):
    """Code and history do not fit. Not fed to anybody; kept for who looks."""

    description: str


class PatchesApplied(NamedTuple):
    """Patches that the code asked for in this turn and found applied, in the order first asked."""

    names: tuple[str, ...]


class TaskScheduled(NamedTuple):
    """An activity was asked for."""

    event_id: int
    name: str
    input: str | None
    task_execution_id: str  # the same for every try of one call: an idempotency key


class TaskCompleted(NamedTuple):
    task_id: int
    result: str | None


class TaskFailed(NamedTuple):
    task_id: int
    failure: tuple[Any, ...]  # FailureDetails.pack


class ChildCreated(NamedTuple):
    """A child workflow was asked for."""

    event_id: int
    instance_id: str
    name: str
    input: str | None
    named: bool = False  # the id was chosen by the workflow's code, so another may hold it
    retry_of: str | None = None  # the id of the first try


class ChildCompleted(NamedTuple):
    task_id: int
    result: str | None


class ChildFailed(NamedTuple):
    task_id: int
    failure: tuple[Any, ...] | None  # None: terminated


class TimerCreated(NamedTuple):
    """A timer was asked for, by itself or on behalf of something (contract 3.10, origins)."""

    event_id: int
    fire_at_us: int  # Unix time, microseconds
    origin: int = 0  # a TimerOrigin
    reference: str | None = None  # the event's name, the task's execution id or the child's id, after the origin


class TimerFired(NamedTuple):
    timer_id: int  # 0: the scheduled start of the instance
    fire_at_us: int


class EventRaised(NamedTuple):
    name: str  # as spelled by the sender; compared without case
    input: str | None


class TimerOrigin:
    """Why a timer exists. The numbers reach the disk."""

    CREATE_TIMER = 0
    EXTERNAL_EVENT = 1
    ACTIVITY_RETRY = 2
    CHILD_RETRY = 3


Arrival: TypeAlias = (
    ExecutionStarted
    | ExecutionTerminated
    | ExecutionSuspended
    | ExecutionResumed
    | ExecutionStalled
    | TaskCompleted
    | TaskFailed
    | ChildCompleted
    | ChildFailed
    | TimerFired
    | EventRaised
)
Command: TypeAlias = PatchesApplied | TaskScheduled | ChildCreated | TimerCreated | ExecutionCompleted
Event: TypeAlias = Arrival | Command

TAGS: dict[type[Any], int] = {
    ExecutionStarted: 1,
    ExecutionCompleted: 2,
    ExecutionTerminated: 3,
    ExecutionSuspended: 4,
    ExecutionResumed: 5,
    ExecutionStalled: 6,
    PatchesApplied: 7,
    TaskScheduled: 8,
    TaskCompleted: 9,
    TaskFailed: 10,
    ChildCreated: 11,
    ChildCompleted: 12,
    ChildFailed: 13,
    TimerCreated: 14,
    TimerFired: 15,
    EventRaised: 16,
}
TYPES: dict[int, Any] = {tag: event_type for event_type, tag in TAGS.items()}
COMMANDS = frozenset({PatchesApplied, TaskScheduled, ChildCreated, TimerCreated, ExecutionCompleted})


def pack_event(event: Event) -> tuple[Any, ...]:
    """The form in which an event reaches the disk."""
    return (TAGS[type(event)], *event)


def unpack_event(packed: Sequence[Any]) -> Event:
    """Read an event.

    Raises:
        KeyError, TypeError: It is none that this release knows.
    """
    event: Event = TYPES[packed[0]](*packed[1:])
    if isinstance(event, ExecutionStarted) and event.parent is not None:
        return event._replace(parent=Parent(*event.parent))
    return event


def failure_in(event: TaskFailed | ChildFailed | ExecutionCompleted) -> FailureDetails | None:
    """The failure that an event carries."""
    return FailureDetails.unpack(event.failure) if event.failure is not None else None
