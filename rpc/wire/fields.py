"""Encodes the parts that several messages share, as arguments for their constructors, and decodes them.

The rule: None means a field that is not set, in both directions.

Events (`rpc/wire/history.py`), actions (`rpc/wire/actions.py`) and the services use these functions.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from ...runtime.history.event import Parent, TimerOrigin, Trace
from ...runtime.history.failure import FailureDetails
from ...runtime.observing.trace_context import trace_of_headers
from ..messages import Message
from .failure import failure_from, failure_message

Fields: TypeAlias = dict[str, Any]


def text(value: str | None) -> Fields | None:
    """Encode a text that may be missing as a StringValue."""
    return None if value is None else {"value": value}


def text_from(message: Message, field: str) -> str | None:
    """Decode a StringValue."""
    return getattr(message, field).value if message.HasField(field) else None


def trace(value: Trace | None) -> Fields | None:
    """Encode a trace context."""
    if value is None:
        return None
    traceparent, span_id, tracestate = value
    return {"traceParent": traceparent, "spanID": span_id, "traceState": text(tracestate)}


def trace_from(message: Message, field: str) -> Trace | None:
    """Decode a trace context."""
    if not message.HasField(field):
        return None
    found = getattr(message, field)
    return found.traceParent, found.spanID, text_from(found, "traceState")


def trace_of_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> Trace | None:
    """Decode the trace of a call from W3C's headers in its metadata."""
    found = {key: value for key, value in metadata if key in ("traceparent", "tracestate") and isinstance(value, str)}
    return trace_of_headers(found.get("traceparent"), found.get("tracestate"))


def packed_failure(value: tuple[Any, ...] | None) -> Message | None:
    """Encode a failure that is packed as in our events."""
    return None if value is None else failure_message(FailureDetails.unpack(value))


def packed_failure_from(message: Message) -> tuple[Any, ...] | None:
    """Decode the failure of a message, and pack it."""
    return failure_from(message.failureDetails).pack() if message.HasField("failureDetails") else None


def parent(value: Parent | None, app_id: str) -> Fields | None:
    """Encode the parent of an instance, with the id of its app."""
    if value is None:
        return None
    instance = {"instanceId": value.instance_id, "executionId": text(value.execution_id)}
    return {
        "taskScheduledId": value.task_id,
        "name": text(value.name),
        "workflowInstance": instance,
        "appID": app_id,
    }


def parent_from(message: Message) -> Parent | None:
    """Decode the parent that a message names."""
    if not message.HasField("parentInstance"):
        return None
    found = message.parentInstance
    instance = found.workflowInstance
    return Parent(instance.instanceId, instance.executionId.value, found.taskScheduledId, found.name.value)


def rerun(value: str | None) -> Fields | None:
    """Encode the id of the instance of which this one is a rerun or a retry."""
    return None if value is None else {"instanceID": value}


def rerun_from(message: Message) -> str | None:
    """Decode the id of the instance of which this one is a rerun."""
    return message.rerunParentInstanceInfo.instanceID if message.HasField("rerunParentInstanceInfo") else None


# Origins of timers by number: the name on the wire, and the field that has the purpose.
ORIGINS: Mapping[int, tuple[str, str | None]] = {
    TimerOrigin.CREATE_TIMER: ("createTimer", None),
    TimerOrigin.EXTERNAL_EVENT: ("externalEvent", "name"),
    TimerOrigin.ACTIVITY_RETRY: ("activityRetry", "taskExecutionId"),
    TimerOrigin.CHILD_RETRY: ("childWorkflowRetry", "instanceId"),
}
ORIGIN_NUMBERS = {name: number for number, (name, _) in ORIGINS.items()}


def origin(number: int, reference: str | None) -> Fields:
    """Encode the origin of a timer as the field of the oneof."""
    if number not in ORIGINS:
        return {}
    name, field = ORIGINS[number]
    return {name: {} if field is None else {field: reference or ""}}


def origin_from(message: Message) -> tuple[int, str | None]:
    """Decode the origin of a timer: its number, and the reference to its purpose."""
    name = message.WhichOneof("origin")
    if name is None:
        return TimerOrigin.UNSAID, None
    number = ORIGIN_NUMBERS[name]
    field = ORIGINS[number][1]
    return number, getattr(getattr(message, name), field) if field is not None else None


def value_if_set(message: Message, field: str) -> Any:
    """Return a field of any type; None if it is not set."""
    return getattr(message, field) if message.HasField(field) else None
