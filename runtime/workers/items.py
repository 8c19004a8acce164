"""Items that workers are sent, their answers to activities, and their descriptions of themselves.

The rule: there is no protobuf here. The dispatcher knows events;
`rpc/services/work_items.py` puts them on the wire and reads the answers.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

from ...actors.errors import PerdureError
from ..history.event import ExecutionCompleted, Trace
from ..history.failure import FailureDetails
from ..history.timed_event import TimedEvent
from ..instance.message import WorkflowAnswer


class WorkflowItem(NamedTuple):
    """A turn to be taken by a worker."""

    instance_id: str
    execution_id: str
    past: Sequence[TimedEvent]  # committed; without the first `cached_count` if that is not None
    new: Sequence[TimedEvent]  # the events that are fed now, a TurnStarted first
    token: str  # of this dispatch
    cached_count: int | None = None  # how many committed events went to this worker earlier
    propagated: bytes | None = None  # a serialized PropagatedHistory


class ActivityItem(NamedTuple):
    """An activity to be performed by a worker."""

    instance_id: str
    task_id: int
    task_execution_id: str
    name: str
    input: str | None
    token: str
    trace: Trace | None = None
    propagated: bytes | None = None
    wire: bytes | None = None  # of its TaskScheduled: a version, a trace of its own


WorkItem: TypeAlias = WorkflowItem | ActivityItem


class PassedItem(NamedTuple):
    """An item that another host has given to a worker of this one, in the form for the worker."""

    instance_id: str
    task_id: int | None  # of an activity; None: it is a turn
    name: str  # of the activity; empty for a turn
    token: str
    data: bytes


class ItemWriter(Protocol):
    """Writes items as they go to workers; `rpc/wire/work_items.py` is one."""

    def write(self, item: WorkItem, *, stateful: bool) -> bytes:
        """Write an item.

        Args:
            stateful: Whether the worker keeps histories, and is sent their ends only.
        """
        ...

    def forget(self, instance_id: str) -> None:
        """Note that a history has ended."""
        ...


class ActivityAnswer(NamedTuple):
    """The outcome of an activity."""

    instance_id: str
    task_id: int
    token: str
    result: str | None
    failure: FailureDetails | None


CALL_MARK = "/"  # in a token, before the id of a call from another app


def home_id_of(answer: ActivityAnswer) -> str:
    """The id of the actor that has requested an activity: of a call, which its token names, or else of the instance."""
    return answer.token.partition(CALL_MARK)[2] or answer.instance_id


def ends_generation(answer: WorkflowAnswer) -> bool:
    """Whether an answer ends the history that the worker was sent."""
    return answer.continued is not None or any(isinstance(each, ExecutionCompleted) for each in answer.commands)


class WorkUnknown(PerdureError):
    """An answer to a turn or an activity that is not open: never dispatched, or answered already. SDKs log it."""

    def __init__(self, instance_id: str, task_id: int | None = None) -> None:
        super().__init__(instance_id, task_id)
        self.instance_id = instance_id
        self.task_id = task_id

    def __str__(self) -> str:
        if self.task_id is None:
            return f"unknown instance ID: {self.instance_id}"
        return f"unknown instance ID/task ID combo: {self.instance_id}/{self.task_id}"


class Worker(NamedTuple):
    """A worker as it describes itself when it connects."""

    peer: str  # its address, for the log
    agent: str  # its user-agent, by which JavaScript's SDK is recognised
    stateful: bool  # it keeps the histories that it was sent, and needs only the rest at the next turn
