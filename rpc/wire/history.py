"""Encodes our history as HistoryEvents of the contract, and decodes them.

The rule: an event from the wire is sent out unchanged, with all values for which our event has no fields
(`rpc/wire/rest.py`).

Every event has a row in `WRITERS` and, under its name on the wire, a row in `READERS`; no other code knows the form of
events on the wire.

Source: contract 3.2, 3.6, 3.10.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...runtime.history.event import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    DetachedCreated,
    Event,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from ...runtime.history.failure import FailureDetails
from ...runtime.history.timed_event import TimedEvent, TurnStarted
from ..messages import HistoryEvent, Message
from .fields import (
    Fields,
    origin,
    origin_from,
    packed_failure,
    packed_failure_from,
    parent,
    parent_from,
    rerun,
    rerun_from,
    text,
    text_from,
    trace,
    trace_from,
)
from .rest import put_back_inside, rest_inside
from .stamps import due_us, moment_us, stamp


class UnreadableEvent(ValueError):
    """An event on the wire has a kind that our histories do not have."""


class HistoryWriter:
    """Encodes and decodes the history of one instance.

    Args:
        app_id: The id of our app; in the contract each event that can cross apps has it.
        instance_id: The id of the instance, which our events do not repeat.
    """

    def __init__(self, *, app_id: str, instance_id: str) -> None:
        self.app_id = app_id
        self.instance_id = instance_id

    def write(self, timed: TimedEvent) -> Message:
        """Encode one event as a HistoryEvent."""
        message = HistoryEvent(**self._fields(timed))
        event = timed.event
        if event.wire is not None:  # type: ignore[union-attr]  # PatchesApplied has none, and no writer either
            put_back_inside(message, event.wire, WRITERS[type(event)][0])  # type: ignore[union-attr]
            if type(event) in ROUTED and not message.router.sourceAppID:
                message.router.sourceAppID = self.app_id
        return message

    def write_all(self, events: Iterable[TimedEvent]) -> list[Message | Fields]:
        """Encode events for a repeated field. The containing message copies them, so plain fields save a copy."""
        return [
            self._fields(timed) if timed.event.wire is None else self.write(timed)  # type: ignore[union-attr]
            for timed in events
        ]

    def read(self, message: Message) -> TimedEvent:
        """Decode a HistoryEvent.

        Raises:
            UnreadableEvent: Our histories have no such event.
        """
        kind = message.WhichOneof("eventType")
        read = READERS.get(kind or "")
        if kind is None or read is None:
            raise UnreadableEvent(f"there is no event for {kind or 'an event of an unknown kind'}")
        event = read(message.eventId, getattr(message, kind))
        if type(event) in FOR_OTHER_APPS and message.router.HasField("targetAppID"):
            event = event._replace(target_app=message.router.targetAppID)
        timed = TimedEvent(message.eventId, moment_us(message.timestamp), event)
        kept = self.write(timed)
        kept.timestamp.CopyFrom(message.timestamp)  # our events have no field for its nanoseconds
        rest = rest_inside(message, kept, kind)
        return timed if rest is None else timed._replace(event=event._replace(wire=rest))

    def _fields(self, timed: TimedEvent) -> Fields:
        event = timed.event
        kind, fields_of = WRITERS[type(event)]
        return {
            "eventId": timed.event_id,
            "timestamp": stamp(timed.at_us),
            "router": self._router(event) if type(event) in ROUTED else None,
            kind: fields_of(event, self),
        }

    def _router(self, event: Event | TurnStarted) -> Fields:
        return {"sourceAppID": self.app_id, "targetAppID": getattr(event, "target_app", None)}


# The events that have daprd's router: the start, and each event of an action.
ROUTED = frozenset(
    {
        ChildCompleted,
        ChildCreated,
        ChildFailed,
        DetachedCreated,
        EventSent,
        ExecutionCompleted,
        ExecutionStarted,
        TaskCompleted,
        TaskFailed,
        TaskScheduled,
        TimerCreated,
    }
)

FOR_OTHER_APPS = frozenset({ChildCreated, DetachedCreated, EventSent, TaskScheduled})

# Writers: each returns the fields of an event.


def _started(event: ExecutionStarted, writer: HistoryWriter) -> Fields:
    return {
        "name": event.name,
        "version": text(event.version),
        "input": text(event.input),
        "workflowInstance": {"instanceId": writer.instance_id, "executionId": text(event.execution_id)},
        "parentInstance": parent(event.parent, event.parent_app or writer.app_id),
        "scheduledStartTimestamp": stamp(event.scheduled_start_us) if event.scheduled_start_us is not None else None,
        "parentTraceContext": trace(event.trace),
    }


def _completed(event: ExecutionCompleted, writer: HistoryWriter) -> Fields:
    return {
        "workflowStatus": event.status,
        "result": text(event.result),
        "failureDetails": packed_failure(event.failure),
    }


def _terminated(event: ExecutionTerminated, writer: HistoryWriter) -> Fields:
    return {"input": text(event.output), "recurse": event.recurse}


def _reasoned(event: ExecutionSuspended | ExecutionResumed, writer: HistoryWriter) -> Fields:
    return {"input": text(event.reason)}


def _stalled(event: ExecutionStalled, writer: HistoryWriter) -> Fields:
    return {"reason": event.reason, "description": event.description}


def _turn_started(event: TurnStarted, writer: HistoryWriter) -> Fields:
    if not event.patches and event.version is None:
        return {}
    return {"version": {"patches": event.patches, "name": event.version}}


def _task_scheduled(event: TaskScheduled, writer: HistoryWriter) -> Fields:
    return {
        "name": event.name,
        "input": text(event.input),
        "taskExecutionId": event.task_execution_id,
        "rerunParentInstanceInfo": rerun(event.rerun_of),
        "historyPropagationScope": event.propagation or None,
    }


def _task_completed(event: TaskCompleted, writer: HistoryWriter) -> Fields:
    return {
        "taskScheduledId": event.task_id,
        "result": text(event.result),
        "taskExecutionId": event.task_execution_id or "",
    }


def _task_failed(event: TaskFailed, writer: HistoryWriter) -> Fields:
    return {
        "taskScheduledId": event.task_id,
        "failureDetails": packed_failure(event.failure),
        "taskExecutionId": event.task_execution_id or "",
    }


def _child_created(event: ChildCreated, writer: HistoryWriter) -> Fields:
    return {
        "instanceId": event.instance_id,
        "name": event.name,
        "input": text(event.input),
        "rerunParentInstanceInfo": rerun(event.rerun_of),
        "historyPropagationScope": event.propagation or None,
        "retryParentInstanceInfo": rerun(event.retry_of),
    }


def _child_completed(event: ChildCompleted, writer: HistoryWriter) -> Fields:
    return {"taskScheduledId": event.task_id, "result": text(event.result)}


def _child_failed(event: ChildFailed, writer: HistoryWriter) -> Fields:
    return {"taskScheduledId": event.task_id, "failureDetails": packed_failure(event.failure)}


def _detached_created(event: DetachedCreated, writer: HistoryWriter) -> Fields:
    return {"instanceId": event.instance_id}


def _timer_created(event: TimerCreated, writer: HistoryWriter) -> Fields:
    return {
        "fireAt": stamp(event.fire_at_us),
        "rerunParentInstanceInfo": rerun(event.rerun_of),
        **origin(event.origin, event.reference),
    }


def _timer_fired(event: TimerFired, writer: HistoryWriter) -> Fields:
    return {"fireAt": stamp(event.fire_at_us), "timerId": event.timer_id}


def _raised(event: EventRaised, writer: HistoryWriter) -> Fields:
    return {"name": event.name, "input": text(event.input)}


def _sent(event: EventSent, writer: HistoryWriter) -> Fields:
    return {"instanceId": event.instance_id, "name": event.name, "input": text(event.input)}


WRITERS: Mapping[type[Any], tuple[str, Callable[[Any, HistoryWriter], Fields]]] = {
    TurnStarted: ("workflowStarted", _turn_started),
    ExecutionStarted: ("executionStarted", _started),
    ExecutionCompleted: ("executionCompleted", _completed),
    ExecutionTerminated: ("executionTerminated", _terminated),
    ExecutionSuspended: ("executionSuspended", _reasoned),
    ExecutionResumed: ("executionResumed", _reasoned),
    ExecutionStalled: ("executionStalled", _stalled),
    TaskScheduled: ("taskScheduled", _task_scheduled),
    TaskCompleted: ("taskCompleted", _task_completed),
    TaskFailed: ("taskFailed", _task_failed),
    ChildCreated: ("childWorkflowInstanceCreated", _child_created),
    ChildCompleted: ("childWorkflowInstanceCompleted", _child_completed),
    ChildFailed: ("childWorkflowInstanceFailed", _child_failed),
    DetachedCreated: ("detachedWorkflowInstanceCreated", _detached_created),
    TimerCreated: ("timerCreated", _timer_created),
    TimerFired: ("timerFired", _timer_fired),
    EventRaised: ("eventRaised", _raised),
    EventSent: ("eventSent", _sent),
}

# Readers: each makes an event from its id and its fields, without `wire`.


def _read_started(event_id: int, said: Message) -> ExecutionStarted:
    return ExecutionStarted(
        said.name,
        text_from(said, "input"),
        said.workflowInstance.executionId.value,
        parent_from(said),
        due_us(said.scheduledStartTimestamp) if said.HasField("scheduledStartTimestamp") else None,
        text_from(said, "version"),
        trace_from(said, "parentTraceContext"),
    )


def _read_completed(event_id: int, said: Message) -> ExecutionCompleted:
    return ExecutionCompleted(event_id, said.workflowStatus, text_from(said, "result"), packed_failure_from(said))


def _read_turn_started(event_id: int, said: Message) -> TurnStarted:
    version = said.version
    return TurnStarted(tuple(version.patches), version.name if version.HasField("name") else None)


def _read_task_scheduled(event_id: int, said: Message) -> TaskScheduled:
    return TaskScheduled(
        event_id,
        said.name,
        text_from(said, "input"),
        said.taskExecutionId,
        None,
        rerun_from(said),
        said.historyPropagationScope,
    )


def _read_task_failed(event_id: int, said: Message) -> TaskFailed:
    failure = packed_failure_from(said) or FailureDetails(error_type="", message="").pack()
    return TaskFailed(said.taskScheduledId, failure, said.taskExecutionId or None)


def _read_child_created(event_id: int, said: Message) -> ChildCreated:
    return ChildCreated(
        event_id,
        said.instanceId,
        said.name,
        text_from(said, "input"),
        retry_of=said.retryParentInstanceInfo.instanceID if said.HasField("retryParentInstanceInfo") else None,
        rerun_of=rerun_from(said),
        propagation=said.historyPropagationScope,
    )


def _read_timer_created(event_id: int, said: Message) -> TimerCreated:
    return TimerCreated(event_id, due_us(said.fireAt), *origin_from(said), rerun_from(said))


READERS: Mapping[str, Callable[[int, Message], Any]] = {
    "workflowStarted": _read_turn_started,
    "executionStarted": _read_started,
    "executionCompleted": _read_completed,
    "executionTerminated": lambda _, said: ExecutionTerminated(text_from(said, "input"), said.recurse),
    "executionSuspended": lambda _, said: ExecutionSuspended(text_from(said, "input")),
    "executionResumed": lambda _, said: ExecutionResumed(text_from(said, "input")),
    "executionStalled": lambda _, said: ExecutionStalled(said.description, said.reason),
    "taskScheduled": _read_task_scheduled,
    "taskCompleted": lambda _, said: TaskCompleted(
        said.taskScheduledId, text_from(said, "result"), said.taskExecutionId or None
    ),
    "taskFailed": _read_task_failed,
    "childWorkflowInstanceCreated": _read_child_created,
    "childWorkflowInstanceCompleted": lambda _, said: ChildCompleted(said.taskScheduledId, text_from(said, "result")),
    "childWorkflowInstanceFailed": lambda _, said: ChildFailed(said.taskScheduledId, packed_failure_from(said)),
    "detachedWorkflowInstanceCreated": lambda event_id, said: DetachedCreated(event_id, said.instanceId),
    "timerCreated": _read_timer_created,
    "eventSent": lambda event_id, said: EventSent(event_id, said.instanceId, said.name, text_from(said, "input")),
    "timerFired": lambda _, said: TimerFired(said.timerId, due_us(said.fireAt)),
    "eventRaised": lambda _, said: EventRaised(said.name, text_from(said, "input")),
}
