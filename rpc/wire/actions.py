"""What a worker answers: its actions as our commands, and back.

The one law: nothing that a worker asks for is left out silently. A workflow
that waits for what nobody does would wait for ever; one that asks for what we
cannot do fails, and says why.

Source: contract 3.3, 3.7, 3.9, 3.10, 3.14, 3.19; durabletask-go
`backend/runtimestate/applier.go`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ...runtime.execution.drive import ContinuedAsNew
from ...runtime.history.event import (
    ChildCreated,
    Command,
    DetachedCreated,
    EventRaised,
    ExecutionCompleted,
    TaskScheduled,
    TimerCreated,
)
from ...runtime.history.failure import FailureDetails
from ...runtime.history.status import Status
from ...runtime.history.timed_event import TimedEvent
from ...runtime.instance.message import WorkflowAnswer
from ...runtime.workers.items import ActivityAnswer
from .failure import failure_from
from .history import Fields, HistoryWriter, origin, origin_from, packed_failure, rerun, text, text_from, trace_from
from .messages import HistoryEvent, Message, WorkflowAction
from .stamps import due_us, stamp


class UnsupportedAction(ValueError):
    """A worker asks for what we do not do."""


def workflow_answer(response: Message) -> WorkflowAnswer:
    """Read the answer to a turn."""
    answer = WorkflowAnswer(
        instance_id=response.instanceId,
        token=response.completionToken,
        commands=(),
        custom_status=text_from(response, "customStatus"),
        patches=tuple(response.version.patches),
        version=response.version.name if response.version.HasField("name") else None,
    )
    if any(action.HasField("workflowVersionNotAvailable") for action in response.actions):
        return answer._replace(version_missing=True)
    continued = _continued(response)
    if continued is not None:
        # The generation is gone, and what it asked for with it; in Dapr too.
        return answer._replace(continued=continued)
    try:
        return answer._replace(commands=_commands(response))
    except UnsupportedAction as error:
        return answer._replace(commands=[_failed(response, str(error))])


def activity_answer(response: Message) -> ActivityAnswer:
    """Read the result of an activity."""
    return ActivityAnswer(
        instance_id=response.instanceId,
        task_id=response.taskId,
        token=response.completionToken,
        result=text_from(response, "result"),
        failure=failure_from(response.failureDetails) if response.HasField("failureDetails") else None,
    )


def action_of(command: Command) -> Message:
    """Write a command as an action: the inverse of `command_of`. Workers do that; so do the fakes of ours."""
    kind, fields_of = WRITERS[type(command)]
    target: str | None = getattr(command, "target_app", None)
    router = {"targetAppID": target} if target is not None else None
    return WorkflowAction(id=command.event_id, router=router, **{kind: fields_of(command)})  # type: ignore[union-attr]


def command_of(action: Message, instance_id: str) -> Command:
    """Read an action.

    Args:
        action: One that is neither a new generation nor a missing version.
        instance_id: The instance's that asks, from which its children have their ids.

    Raises:
        UnsupportedAction: It asks for what we do not do.
    """
    kind = action.WhichOneof("workflowActionType")
    read = READERS.get(kind or "")
    if kind is None or read is None:
        raise UnsupportedAction(
            f"the workflow asked for {kind or 'something this release does not know'} (action {action.id}), which "
            "Perdure does not do. Raise events and end other workflows through a client, in an activity."
        )
    command: Command = read(action, getattr(action, kind), instance_id)
    return command


def _continued(response: Message) -> ContinuedAsNew | None:
    completion = next((action.completeWorkflow for action in response.actions if _completes(action)), None)
    if completion is None or completion.workflowStatus != Status.CONTINUED_AS_NEW:
        return None
    # Their times are of no use: Python's SDK writes 1970 (contract 3.14).
    carried = [
        EventRaised(event.eventRaised.name, text_from(event.eventRaised, "input"))
        for event in completion.carryoverEvents
        if event.HasField("eventRaised")
    ]
    return ContinuedAsNew(text_from(completion, "result"), carried)


def _commands(response: Message) -> list[Command]:
    """Read the actions. Of several completions the first counts, and it goes last: the rest is done all the same."""
    commands = [command_of(action, response.instanceId) for action in response.actions]
    asked = [command for command in commands if not isinstance(command, ExecutionCompleted)]
    completions = [command for command in commands if isinstance(command, ExecutionCompleted)]
    return [*asked, *completions[:1]]


def _completes(action: Message) -> bool:
    return action.HasField("completeWorkflow")


def _failed(response: Message, message: str) -> ExecutionCompleted:
    last_id = max(action.id for action in response.actions)
    failure = FailureDetails(error_type="UnsupportedActionError", message=message, non_retriable=True)
    return ExecutionCompleted(last_id + 1, Status.FAILED.value, None, failure.pack())


def _router(action: Message, said: Message) -> tuple[str | None, Message | None]:
    """Find the app that an action is for, and its namespace if it names one. SDKs up to 1.17 say so inside."""
    for holder in (action, said):
        if holder.DESCRIPTOR.fields_by_name.get("router") is not None and holder.router.HasField("targetAppID"):
            namespaced = holder.router.HasField("targetAppNamespace")
            return holder.router.targetAppID or None, holder.router if namespaced else None
    return None, None


def _wire(router: Message | None, kind: str, fields: Fields) -> bytes | None:
    """Keep what has no field in our event, as `rest` would."""
    if router is None and not any(value is not None for value in fields.values()):
        return None
    beyond = HistoryEvent(**{kind: fields})
    if router is not None:
        beyond.router.CopyFrom(router)  # whole, as `rest` has it; the writer puts our own id on it
    wire: bytes = beyond.SerializeToString()
    return wire


def _said(message: Message, field: str) -> Any:
    """The value of a field that was set, or None."""
    return getattr(message, field) if message.HasField(field) else None


# Readers: a command from its action.


def _read_schedule(action: Message, said: Message, instance_id: str) -> TaskScheduled:
    target, router = _router(action, said)
    scope = _said(said, "historyPropagationScope")
    beyond = {"version": _said(said, "version"), "historyPropagationScope": scope if scope == 0 else None}
    return TaskScheduled(
        action.id,
        said.name,
        text_from(said, "input"),
        said.taskExecutionId,
        target,
        propagation=scope or 0,
        wire=_wire(router, "taskScheduled", beyond),
    )


def _read_child(action: Message, said: Message, instance_id: str) -> ChildCreated:
    target, router = _router(action, said)
    scope = _said(said, "historyPropagationScope")
    beyond = {"version": _said(said, "version"), "historyPropagationScope": scope if scope == 0 else None}
    own_id = f"{instance_id}:{action.id:04x}"
    child_id = said.instanceId or own_id
    return ChildCreated(
        action.id,
        child_id,
        said.name,
        text_from(said, "input"),
        named=child_id != own_id,
        retry_of=said.retryParentInstanceInfo.instanceID if said.HasField("retryParentInstanceInfo") else None,
        target_app=target,
        propagation=scope or 0,
        wire=_wire(router, "childWorkflowInstanceCreated", beyond),
    )


def _read_detached(action: Message, said: Message, instance_id: str) -> DetachedCreated:
    target, router = _router(action, said)
    return DetachedCreated(
        action.id,
        said.instanceId,
        said.name,
        text_from(said, "input"),
        due_us(said.scheduledStartTimestamp) if said.HasField("scheduledStartTimestamp") else None,
        said.executionId.value or None,
        target,
        trace_from(said, "parentTraceContext"),
        _wire(router, "detachedWorkflowInstanceCreated", {}),
    )


def _read_timer(action: Message, said: Message, instance_id: str) -> TimerCreated:
    fire_at_us = due_us(said.fireAt)
    exact = stamp(fire_at_us) == {"seconds": said.fireAt.seconds, "nanos": said.fireAt.nanos}
    beyond = {"name": _said(said, "name"), "fireAt": None if exact else said.fireAt}
    return TimerCreated(action.id, fire_at_us, *origin_from(said), wire=_wire(None, "timerCreated", beyond))


def _read_completion(action: Message, said: Message, instance_id: str) -> ExecutionCompleted:
    failure = failure_from(said.failureDetails).pack() if said.HasField("failureDetails") else None
    return ExecutionCompleted(action.id, said.workflowStatus, text_from(said, "result"), failure)


READERS: Mapping[str, Callable[[Message, Message, str], Command]] = {
    "scheduleTask": _read_schedule,
    "createChildWorkflow": _read_child,
    "createDetachedWorkflow": _read_detached,
    "createTimer": _read_timer,
    "completeWorkflow": _read_completion,
}

# Writers: the fields of an action. What a history event says in the same words comes from what it kept.


def _kept(command: TaskScheduled | ChildCreated | TimerCreated) -> Message:
    """What `wire` keeps, as the event that it is of, with the fields of ours back in it."""
    writer = HistoryWriter(app_id="", instance_id="")
    message = writer.write(TimedEvent(command.event_id, 0, command))
    kept: Message = getattr(message, message.WhichOneof("eventType") or "")
    return kept


def _schedule(command: TaskScheduled) -> Fields:
    kept = _kept(command)
    return {
        "name": command.name,
        "version": _said(kept, "version"),
        "input": text(command.input),
        "taskExecutionId": command.task_execution_id,
        "historyPropagationScope": _said(kept, "historyPropagationScope"),
    }


def _child(command: ChildCreated) -> Fields:
    kept = _kept(command)
    return {
        "instanceId": command.instance_id,
        "name": command.name,
        "version": _said(kept, "version"),
        "input": text(command.input),
        "historyPropagationScope": _said(kept, "historyPropagationScope"),
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


def _timer(command: TimerCreated) -> Fields:
    kept = _kept(command)
    return {"fireAt": kept.fireAt, "name": _said(kept, "name"), **origin(command.origin, command.reference)}


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
    TimerCreated: ("createTimer", _timer),
    ExecutionCompleted: ("completeWorkflow", _completion),
}
