"""The messages to the actors of this layer.

The rule: a message changes nothing by itself; the actor that gets it decides.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from ...actors.address import Address, address_of
from ..directory import WORKFLOW
from ..execution.drive import ContinuedAsNew
from ..history.attribution import By
from ..history.event import Arrival, Command, DetachedCreated, EventSent, Parent, Trace
from ..history.failure import FailureDetails
from ..history.record import InstanceRecord
from ..history.row import Row
from ..history.timed_event import TimedEvent
from .condition import ANY, Condition


def workflow_address(instance_id: str) -> Address:
    """The address of an instance of a store's first app."""
    return address_of((WORKFLOW, instance_id))


class Start(Struct, frozen=True, array_like=True):
    """Begin an instance. Answered with its id, or an error of RequestRefused."""

    name: str
    input: str | None
    execution_id: str
    parent: Parent | None = None
    start_at_us: int | None = None  # Unix time, microseconds; None: at once
    unique: bool = False  # refuse the id of a finished instance too
    # The execution of a finished holder of the id, if the sender has found all its descendants finished.
    descendants_finished: str | None = None
    version: str | None = None
    trace: Trace | None = None
    scope: int = 0  # a Propagation: how much it may see of the histories above it
    propagated: bytes | None = None  # the part that it may see: a serialized PropagatedHistory
    root: str | None = None  # as in the record of the instance
    tags: tuple[tuple[str, str], ...] = ()
    # `execution_id` was made from an idempotency key (`runtime/history/keys.py`): a holder of the id that was begun by
    # the same key refuses the start, finished or not.
    keyed: bool = False
    rerun_of: str | None = None  # the instance that this one runs again, for the audit
    by: By | None = None  # the author of the rerun
    # It may have arrived before: if this start has begun the instance already, the answer is repeated.
    repeatable: bool = False
    parent_app: str | None = None  # the id of the parent's app; None: its own
    app: str | None = None  # the id of the app in which it begins; None: that of the parent, or of the caller


class RaiseEvent(NamedTuple):
    """An event for the instance."""

    name: str
    input: str | None
    key: bytes | None = None  # of an event that another instance has sent: the receiver takes it once
    # From a caller that waits for an answer: a finished instance refuses the event, unless its key (then the caller's)
    # has been taken, and a stalled instance keeps it. Otherwise a finished instance drops it and a stalled one refuses
    # it, as in Dapr.
    strict: bool = False
    condition: Condition = ANY


class SendEvent(NamedTuple):
    """Raise an event for another instance, or start a detached one. Answered with EventsTaken.

    It is sent to the address of type EVENT_SEND that has the other instance's id.
    """

    sender_id: str
    key: bytes
    event: EventSent | DetachedCreated


class EventsTaken(NamedTuple):
    """The receivers have taken the events, or will never take them; the same for starts."""

    keys: Sequence[bytes]


# Requests of callers. `by` is None in requests that the engine makes by itself: they are not audited.


class Suspend(NamedTuple):
    """A request to take no further step."""

    reason: str | None  # recorded in the history; the reason of `by` is for the audit
    by: By | None = None
    condition: Condition = ANY


class Resume(NamedTuple):
    """A request to go on."""

    reason: str | None  # as in Suspend
    by: By | None = None
    condition: Condition = ANY


class Terminate(NamedTuple):
    """A request to end without running the code."""

    output: str | None
    recurse: bool
    parent: Parent | None = None  # from a parent: only for the child that it started, not for another with its id
    by: By | None = None
    condition: Condition = ANY
    stalled_too: bool = False  # else a stalled instance refuses, as in Dapr; from a parent it never does


class Purge(NamedTuple):
    """A request to forget the instance."""

    force: bool
    by: By | None = None
    condition: Condition = ANY
    stalled_too: bool = False  # else a stalled instance needs force, as in Dapr


class Check(NamedTuple):
    """Check whether the instance meets a condition. Answered with None, InstanceNotFound, or the condition's error."""

    condition: Condition


class ReleaseAside(NamedTuple):
    """Let an instance that is set aside go on. Answered with None, or InstanceNotFound, or InstanceNotSetAside."""

    begin: bool = True  # False: only record it; the next daemon begins the open entries
    by: By | None = None
    condition: Condition = ANY


class RepairAction(StrEnum):
    """The kinds of repairs of an open entry. The words are the API's."""

    RETRY = "retry"  # perform an activity again: a hanging one a second time, one between tries at once
    COMPLETE = "complete"  # answer an activity or a child with a result
    FAIL = "fail"  # answer it with a failure
    FIRE = "fire"  # let a timer fire now


class Repair(NamedTuple):
    """Give an instance an arrival that it could have had. Answered with None, InstanceNotFound or RepairRefused."""

    action: RepairAction
    event_id: int  # of an open activity, child or timer
    result: str | None = None  # of COMPLETE
    failure: FailureDetails | None = None  # of FAIL
    by: By | None = None
    condition: Condition = ANY


class Continue(NamedTuple):
    """Take another turn: held events can be fed now."""


class Invoke(Struct, frozen=True):
    """Perform an activity. Sent to an activity's address, answered with ActivityDone.

    An activity of another app is sent to the address of a call in that app (`runtime/activities/calls.py`).
    """

    name: str
    input: str | None
    instance_id: str
    execution_id: str
    task_id: int
    task_execution_id: str
    wire: bytes | None = None  # the event that requested it, as an SDK sent it
    scope: int = 0  # a Propagation: how much it may see of the histories above it
    propagated: bytes | None = None  # the part that it may see: a serialized PropagatedHistory
    workflow: str = ""  # of the requesting instance
    attempt: int | None = None  # the number of this try, from 1 on; None: a remote worker's code did not say
    again: bool = False  # perform it although it is under way: the first answer counts
    trace: Trace | None = None  # the trace of its instance
    caller: str | None = None  # the id of the requesting app; None: the performing app itself
    call: str | None = None  # the id of the call that has it performed; None: the instance itself

    @property
    def home_id(self) -> str:
        """The id of the actor that gets the answer, in the app that performs the activity."""
        return self.call or self.instance_id


class Withdraw(NamedTuple):
    """Do not begin activities that were requested, because nothing waits for them. Sent after the commit; no answer."""

    instance_id: str
    execution_id: str  # the generation that requested them
    task_ids: Sequence[int]
    # The instance was terminated or purged while it ran: activities that have begun are cancelled, and a turn that a
    # worker has is not given to another.
    ended: bool = False


class ActivityDone(Struct, frozen=True, array_like=True):
    """An activity has ended."""

    execution_id: str
    task_id: int
    result: str | None
    failure: FailureDetails | None
    began_us: int | None = None  # when its body began, or a worker was sent it; Unix time, microseconds


class WorkState(NamedTuple):
    """The progress of an activity, or of a turn for a remote worker, that has no answer yet."""

    began_us: int | None  # when its body began, or a worker was sent it; Unix time, microseconds. None: it is queued


class ChildStarted(NamedTuple):
    """A child whose id was chosen by the parent's code exists now."""

    execution_id: str
    task_id: int


class ChildDone(NamedTuple):
    """A child has ended."""

    execution_id: str  # the parent's generation that requested it
    task_id: int
    status: int  # a Status
    result: str | None
    failure: FailureDetails | None


class WorkflowTurnWork(NamedTuple):
    """A turn for a remote worker, settled (`runtime/instance/offer.py`). Answered with RemoteAnswer."""

    instance_id: str
    execution_id: str
    name: str  # the workflow's
    past: Sequence[TimedEvent]  # of this generation; may grow meanwhile, at its end
    position: int  # how many events of `past` count
    new: Sequence[TimedEvent]
    fed: Sequence[Arrival]  # the held events that `new` stands for
    at_us: int  # when the turn began, for the worker; Unix time, microseconds
    propagated: bytes | None = None


class WorkflowAnswer(NamedTuple):
    """The outcome of a turn that a remote worker has taken; RemoteAnswer carries it."""

    instance_id: str
    token: str  # of the dispatch that it answers; "" from SDKs that do not say
    commands: Sequence[Command]  # in the order of the worker; an ExecutionCompleted, if there is one, comes last
    continued: ContinuedAsNew | None = None  # the generation has ended; the only commands are then EventSent
    custom_status: str | None = None  # replaces the one before; None clears it
    patches: tuple[str, ...] = ()  # all patches that the code found applied, old ones included, in order
    version: str | None = None  # the named version of the code that ran
    version_missing: bool = False  # the worker lacks the version that the history names; no other field counts


class RemoteAnswer(NamedTuple):
    """A worker's answer, and the turn that it answers."""

    work: WorkflowTurnWork
    answer: WorkflowAnswer


class Stalled(NamedTuple):
    """An instance is stalled until a worker with fitting code comes. Sent to the dispatcher, answered with TryAgain."""


class TryAgain(NamedTuple):
    """A worker was connected, or other hosts' code has left: a stalled or waiting instance looks for its code again."""


class AwaitsCode(NamedTuple):
    """An instance waits for code that only other hosts have. Answered with TryAgain once no other host may have it.

    It is sent to the address of type CODE that has the instance's id (`runtime/workers/hosts/awaited.py`).
    """

    workflow: str


class StartCopy(NamedTuple):
    """Begin an instance with the history of another. Answered with None, or with InstanceExists."""

    record: InstanceRecord  # of the other instance; its status is not taken over
    rows: Sequence[Row]
    sent: Sequence[Command] = ()  # of the last row: the events and detached instances that are to be sent
    source_id: str | None = None  # the id of the other instance, for the audit
    by: By | None = None


class Import(NamedTuple):
    """Take over an instance that has ended elsewhere. Answered with None, or with InstanceExists."""

    record: InstanceRecord
    entries: Sequence[bytes]  # its history, packed rows, at least one
    changed_us: int  # the last change of its status, custom status or generation; Unix time, microseconds
    by: By | None = None
