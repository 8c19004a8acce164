"""Writes commands as actions, as workers do: the inverse of `command_of` in `rpc/wire/actions.py`."""

from collections.abc import Callable, Mapping
from typing import Any

from perdure.rpc.messages import Message, WorkflowAction
from perdure.rpc.wire.fields import Fields, origin, packed_failure, rerun, text, value_if_set
from perdure.rpc.wire.history import HistoryWriter
from perdure.rpc.wire.stamps import stamp
from perdure.runtime.history.event import (
    ChildCreated,
    Command,
    DetachedCreated,
    EventSent,
    ExecutionCompleted,
    TaskScheduled,
    TimerCreated,
)
from perdure.runtime.history.timed_event import TimedEvent


def action_of(command: Command) -> Message:
    """Write a command as an action."""
    kind, fields_of = WRITERS[type(command)]
    target: str | None = getattr(command, "target_app", None)
    router = {"targetAppID": target} if target is not None else None
    return WorkflowAction(id=command.event_id, router=router, **{kind: fields_of(command)})  # type: ignore[union-attr]


# The fields of an action. Fields that a history event has too come from the command's `wire`.


def _kept(command: TaskScheduled | ChildCreated | TimerCreated) -> Message:
    """Read `wire` as the event that it belongs to, with the fields of the command back in it."""
    writer = HistoryWriter(app_id="", instance_id="")
    message = writer.write(TimedEvent(command.event_id, 0, command))
    kept: Message = getattr(message, message.WhichOneof("eventType") or "")
    return kept


def _schedule(command: TaskScheduled) -> Fields:
    kept = _kept(command)
    return {
        "name": command.name,
        "version": value_if_set(kept, "version"),
        "input": text(command.input),
        "taskExecutionId": command.task_execution_id,
        "historyPropagationScope": value_if_set(kept, "historyPropagationScope"),
    }


def _child(command: ChildCreated) -> Fields:
    kept = _kept(command)
    return {
        "instanceId": command.instance_id,
        "name": command.name,
        "version": value_if_set(kept, "version"),
        "input": text(command.input),
        "historyPropagationScope": value_if_set(kept, "historyPropagationScope"),
        "retryParentInstanceInfo": rerun(command.retry_of),
    }


def _detached(command: DetachedCreated) -> Fields:
    return {
        "instanceId": command.instance_id,
        "name": command.name,
        "input": text(command.input),
        "scheduledStartTimestamp": stamp(command.start_at_us) if command.start_at_us is not None else None,
        "executionId": text(command.execution_id),
    }


def _sent(command: EventSent) -> Fields:
    return {"instance": {"instanceId": command.instance_id}, "name": command.name, "data": text(command.input)}


def _timer(command: TimerCreated) -> Fields:
    kept = _kept(command)
    return {"fireAt": kept.fireAt, "name": value_if_set(kept, "name"), **origin(command.origin, command.reference)}


def _completion(command: ExecutionCompleted) -> Fields:
    return {
        "workflowStatus": command.status,
        "result": text(command.result),
        "failureDetails": packed_failure(command.failure),
    }


WRITERS: Mapping[type[Any], tuple[str, Callable[[Any], Fields]]] = {
    TaskScheduled: ("scheduleTask", _schedule),
    ChildCreated: ("createChildWorkflow", _child),
    DetachedCreated: ("createDetachedWorkflow", _detached),
    EventSent: ("sendEvent", _sent),
    TimerCreated: ("createTimer", _timer),
    ExecutionCompleted: ("completeWorkflow", _completion),
}
