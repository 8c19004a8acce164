"""Serializes items for workers, with the cached past of their histories.

The rule: the host that has the instance serializes the item. If the worker is connected to another host, the bytes are
passed on unchanged.

`rpc/services/work_items.py` sends them; `runtime/workers/hosts/entries.py` passes them on.
"""

from ...runtime.workers.items import ActivityItem, WorkflowItem, WorkItem
from ..messages import HistoryEvent, Message, PropagatedHistory, WorkflowRequest
from ..messages import WorkItem as WorkItemMessage
from .fields import text, trace
from .history import HistoryWriter
from .past_events import PastEvents, serialize


class WorkItemWriter:
    """Serializes the items of one host.

    Args:
        app_id: The app whose instances the host has.
    """

    def __init__(self, app_id: str) -> None:
        self._app_id = app_id
        self.past_events = PastEvents()

    def write(self, item: WorkItem, *, stateful: bool) -> bytes:
        """Serialize an item.

        Args:
            stateful: Whether the worker keeps histories. Then it gets only the new events, which are serialized once in
                any case.
        """
        return work_item(item, self._app_id, None if stateful else self.past_events)

    def forget(self, instance_id: str) -> None:
        """Drop the cached history of an instance that has ended."""
        self.past_events.forget(instance_id)


def work_item(item: WorkItem, app_id: str, past_events: PastEvents | None = None) -> bytes:
    """Serialize an item.

    Args:
        past_events: The cache for a worker that gets whole histories; None for a worker that keeps histories.
    """
    if isinstance(item, ActivityItem):
        return WorkItemMessage(activityRequest=_activity_request(item), completionToken=item.token).SerializeToString()
    # Joined by hand, because a message would copy the past twice and serialize it again.
    parts = _workflow_request(item, app_id, past_events)
    length = varint(sum(len(part) for part in parts))
    rest = WorkItemMessage(completionToken=item.token).SerializeToString()
    return b"".join((WORKFLOW_REQUEST_TAG, length, *parts, rest))


def _workflow_request(item: WorkflowItem, app_id: str, past_events: PastEvents | None) -> list[bytes | bytearray]:
    """Serialize a WorkflowRequest in parts. The order of fields is free, so the past may come last."""
    writer = HistoryWriter(app_id=app_id, instance_id=item.instance_id)
    request = WorkflowRequest(
        instanceId=item.instance_id,
        executionId=text(item.execution_id),
        newEvents=writer.write_all(item.new),
        propagatedHistory=_propagated(item.propagated),
        cachedHistory={"eventCount": item.cached_count} if item.cached_count is not None else None,
    )
    past = serialize(item.past, writer) if past_events is None else past_events.serialized(item, writer)
    return [request.SerializeToString(), past]


def varint(number: int) -> bytes:
    """Encode a number as a varint of protobuf: seven bits a byte, the low bits first."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


LENGTH_DELIMITED = 2  # the wire type of a message within a message
WORKFLOW_REQUEST_TAG = varint(
    WorkItemMessage.DESCRIPTOR.fields_by_name["workflowRequest"].number << 3 | LENGTH_DELIMITED
)


def _activity_request(item: ActivityItem) -> dict[str, object]:
    scheduled = HistoryEvent.FromString(item.wire).taskScheduled if item.wire is not None else None
    own_trace = scheduled is not None and scheduled.HasField("parentTraceContext")
    return {
        "name": item.name,
        "version": scheduled.version if scheduled is not None and scheduled.HasField("version") else None,
        "input": text(item.input),
        "workflowInstance": {"instanceId": item.instance_id},
        "taskId": item.task_id,
        "parentTraceContext": scheduled.parentTraceContext if scheduled and own_trace else trace(item.trace),
        "taskExecutionId": item.task_execution_id,
        "propagatedHistory": _propagated(item.propagated),
    }


def _propagated(serialized: bytes | None) -> Message | None:
    return PropagatedHistory.FromString(serialized) if serialized is not None else None
