"""The events of which the history of an instance consists.

The rule: the meaning of an event's tag and fields never changes, because
files hold them. A new field goes to the end and has a default; a new event gets
a new tag. `tests/runtime/history/test_event.py` pins both.

An event is one of two kinds. **Arrivals** come from outside (an activity's
result, a timer, a raised event) and are fed to the workflow's code. **Commands**
are the requests of the code, recorded so that replay can compare. The names
follow durabletask's history (contract 3.2, 3.6), and every event here can be
turned into one of those.

Events are named tuples, because they are packed as they stand, several for each
step.

`wire` keeps the parts of an SDK's event that have no field here: a serialized
HistoryEvent of the contract without the fields that are here. This layer does
not read it; `rpc/wire/history.py` writes it and puts it back.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from .failure import FailureDetails

# The W3C trace that something is part of: traceparent, span id, tracestate. Passed on, never read.
Trace: TypeAlias = tuple[str, str, str | None]


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
    trace: Trace | None = None
    propagated: bytes | None = None  # the histories above it that it may see: a serialized PropagatedHistory
    wire: bytes | None = None
    parent_app: str | None = None  # the id of the parent's app; None: its own. Not for workers as it stands


class ExecutionCompleted(NamedTuple):
    """The last event of an instance: COMPLETED, FAILED or TERMINATED."""

    event_id: int
    status: int  # a Status
    result: str | None = None
    failure: tuple[Any, ...] | None = None  # FailureDetails.pack
    wire: bytes | None = None


class ExecutionTerminated(NamedTuple):
    """The instance was terminated: it ends without its code."""

    output: str | None
    recurse: bool
    wire: bytes | None = None


class ExecutionSuspended(NamedTuple):
    """The instance was suspended: it takes no further step."""

    reason: str | None
    wire: bytes | None = None


class ExecutionResumed(NamedTuple):
    """The instance was resumed: it goes on."""

    reason: str | None
    wire: bytes | None = None


class ExecutionStalled(NamedTuple):
    """Code and history do not fit. It is not fed to the code; it stands in the history for readers."""

    description: str
    reason: int = 0  # a StallReason
    wire: bytes | None = None


class PatchesApplied(NamedTuple):
    """Patches that the code checked in this turn and found applied, in the order of their first checks.

    From a worker also the named version of the code that it ran, in the turn in
    which the version was settled.
    """

    names: tuple[str, ...]
    version: str | None = None


class TaskScheduled(NamedTuple):
    """An activity was requested."""

    event_id: int
    name: str
    input: str | None
    task_execution_id: str  # the same for every try of one call: an idempotency key
    target_app: str | None = None  # None: this one
    rerun_of: str | None = None  # the instance whose event this repeats
    propagation: int = 0  # a Propagation
    wire: bytes | None = None


class TaskCompleted(NamedTuple):
    """An activity has a result."""

    task_id: int
    result: str | None
    # Of its TaskScheduled. SDKs for .NET match by it, and a turn that is sent without the past holds no TaskScheduled.
    task_execution_id: str | None = None
    wire: bytes | None = None
    # When its body began, or a worker was sent it; Unix time, microseconds. Not for workers.
    began_us: int | None = None
    repair: str | None = None  # of an answer that a person gave: the id of the entry in the audit. Not for workers


class TaskFailed(NamedTuple):
    """A try of an activity has failed."""

    task_id: int
    failure: tuple[Any, ...]  # FailureDetails.pack
    task_execution_id: str | None = None
    wire: bytes | None = None
    began_us: int | None = None  # as in TaskCompleted
    repair: str | None = None  # as in TaskCompleted


class ChildCreated(NamedTuple):
    """A child workflow was requested."""

    event_id: int
    instance_id: str
    name: str
    input: str | None
    named: bool = False  # the id was chosen by the workflow's code, so another may hold it
    retry_of: str | None = None  # the id of the first try
    target_app: str | None = None
    rerun_of: str | None = None
    propagation: int = 0
    wire: bytes | None = None


class DetachedCreated(NamedTuple):
    """An instance without a parent was requested."""

    event_id: int
    instance_id: str
    name: str = ""
    input: str | None = None
    start_at_us: int | None = None  # Unix time, microseconds
    execution_id: str | None = None
    target_app: str | None = None
    trace: Trace | None = None
    wire: bytes | None = None


class EventSent(NamedTuple):
    """An event was sent to another instance."""

    event_id: int
    instance_id: str  # the receiver's
    name: str
    input: str | None
    target_app: str | None = None
    wire: bytes | None = None


class ChildCompleted(NamedTuple):
    """A child has ended with a result."""

    task_id: int
    result: str | None
    wire: bytes | None = None
    repair: str | None = None  # as in TaskCompleted


class ChildFailed(NamedTuple):
    """A child has failed, was terminated, or could not be started."""

    task_id: int
    failure: tuple[Any, ...] | None  # None: terminated
    wire: bytes | None = None
    repair: str | None = None  # as in TaskCompleted


class TimerCreated(NamedTuple):
    """A timer was requested, by itself or as a part of another request (contract 3.10, origins)."""

    event_id: int
    fire_at_us: int  # Unix time, microseconds
    origin: int = 0  # a TimerOrigin
    reference: str | None = None  # the event's name, the task's execution id or the child's id, after the origin
    rerun_of: str | None = None
    wire: bytes | None = None


class TimerFired(NamedTuple):
    """The time of a timer has come."""

    timer_id: int  # -1: the scheduled start of the instance
    fire_at_us: int
    wire: bytes | None = None
    repair: str | None = None  # as in TaskCompleted


class EventRaised(NamedTuple):
    """An event came from outside, or from another instance."""

    name: str  # as spelled by the sender; compared without case
    input: str | None
    wire: bytes | None = None
    key: bytes | None = None  # of an event that another instance has sent, the same each time it is sent


# Make the two events of each step from all of their fields: a call of the class first runs a function of Python's,
# which takes two thirds of the time.
task_scheduled: Callable[
    [tuple[int, str, str | None, str, str | None, str | None, int, bytes | None]], TaskScheduled
] = partial(tuple.__new__, TaskScheduled)
task_completed: Callable[[tuple[int, str | None, str | None, bytes | None, int | None, str | None]], TaskCompleted] = (
    partial(tuple.__new__, TaskCompleted)
)


class TimerOrigin:
    """Why a timer exists. The numbers reach the disk."""

    CREATE_TIMER = 0
    EXTERNAL_EVENT = 1
    ACTIVITY_RETRY = 2
    CHILD_RETRY = 3
    UNSAID = 4  # SDKs up to 1.17, and JavaScript's


class StallReason:
    """Why an instance is stalled, with the numbers of the contract. They reach the disk."""

    PATCH_MISMATCH = 0  # and any other difference of code and history
    VERSION_NOT_AVAILABLE = 1
    PAYLOAD_SIZE_EXCEEDED = 2


STALL_REASONS = ("PATCH_MISMATCH", "VERSION_NOT_AVAILABLE", "PAYLOAD_SIZE_EXCEEDED")  # the same by name


class Propagation:
    """How much an activity or a child may see of the histories above it, with the numbers of the contract."""

    NONE = 0
    OWN = 1
    LINEAGE = 2


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
Command: TypeAlias = (
    PatchesApplied | TaskScheduled | ChildCreated | DetachedCreated | EventSent | TimerCreated | ExecutionCompleted
)
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
    DetachedCreated: 17,
    EventSent: 20,
}
TYPES: dict[int, Any] = {tag: event_type for event_type, tag in TAGS.items()}
COMMANDS = frozenset(
    {PatchesApplied, TaskScheduled, ChildCreated, DetachedCreated, EventSent, TimerCreated, ExecutionCompleted}
)


# The number of fields that an event of the app's own workflows needs. The others come from remote workers. Where they
# have their defaults they are not written: that is so for most events, and earlier releases can read such a row.
NATIVE_FIELDS: dict[type[Any], int] = {
    ExecutionStarted: 6,
    ExecutionCompleted: 4,
    ExecutionTerminated: 2,
    ExecutionSuspended: 1,
    ExecutionResumed: 1,
    ExecutionStalled: 1,
    PatchesApplied: 1,
    TaskScheduled: 4,
    TaskCompleted: 2,
    TaskFailed: 2,
    ChildCreated: 6,
    ChildCompleted: 2,
    ChildFailed: 2,
    TimerCreated: 4,
    TimerFired: 2,
    EventRaised: 2,
    DetachedCreated: 9,
    EventSent: 4,
}
ABSENT = {kind: tuple(kind._field_defaults[name] for name in kind._fields[n:]) for kind, n in NATIVE_FIELDS.items()}


PACKING = {kind: (TAGS[kind], native, ABSENT[kind]) for kind, native in NATIVE_FIELDS.items()}


def pack_event(event: Event) -> tuple[Any, ...]:
    """The form in which an event reaches the disk."""
    tag, native, absent = PACKING[type(event)]
    if event[native:] == absent:
        return (tag, *event[:native])
    if event[-1] is None:  # the default of every last field
        return (tag, *event[:-1])
    return (tag, *event)


def unpack_event(packed: Sequence[Any]) -> Event:
    """Read an event.

    Raises:
        KeyError, TypeError: This release does not know the event.
    """
    event: Event = TYPES[packed[0]](*packed[1:])
    if isinstance(event, ExecutionStarted) and event.parent is not None:
        return event._replace(parent=Parent(*event.parent))
    return event


def failure_in(event: TaskFailed | ChildFailed | ExecutionCompleted) -> FailureDetails | None:
    """The failure that an event carries."""
    return FailureDetails.unpack(event.failure) if event.failure is not None else None
