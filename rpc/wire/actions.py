"""Decodes the answers of workers, with their actions as our commands.

The rule: no action is ignored silently, because its workflow would wait for ever. A workflow that requests an action
that Perdure cannot perform fails with the reason.

`rpc/services/work_items.py` uses it.

Source: contract 3.3, 3.7, 3.9, 3.10, 3.14, 3.19; durabletask-go
`backend/runtimestate/applier.go`.
"""

from collections.abc import Callable, Mapping

from ...runtime.errors import InvalidRequest
from ...runtime.execution.drive import ContinuedAsNew
from ...runtime.history.event import (
    ChildCreated,
    Command,
    DetachedCreated,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    TaskScheduled,
    TimerCreated,
)
from ...runtime.history.failure import FailureDetails
from ...runtime.history.status import Status
from ...runtime.instance.message import WorkflowAnswer
from ...runtime.workers.items import ActivityAnswer
from ..messages import HistoryEvent, Message
from .failure import failure_from
from .fields import Fields, origin_from, text_from, trace_from, value_if_set
from .stamps import due_us, stamp


class UnsupportedAction(ValueError):
    """A worker requests an action that Perdure does not perform."""


def workflow_answer(response: Message) -> WorkflowAnswer:
    """Decode the answer to a turn."""
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
        # As in Dapr, the other actions of the generation end with it. Events for other instances are sent all the same:
        # the code of the generation does not wait for them.
        sent = [command_of(action, response.instanceId) for action in response.actions if action.HasField("sendEvent")]
        return answer._replace(continued=continued, commands=sent)
    try:
        return answer._replace(commands=_commands(response))
    except UnsupportedAction as error:
        return answer._replace(commands=[_failed(response, str(error))])


# The statuses with which a worker may end an instance.
ENDS = {Status.COMPLETED, Status.FAILED, Status.TERMINATED}


def check_workflow_answer(answer: WorkflowAnswer) -> None:
    """Check the values of an answer that the instance relies on, before the answer is acknowledged.

    Raises:
        InvalidRequest: The instance could not apply the answer.
    """
    for command in answer.commands:
        if isinstance(command, ExecutionCompleted) and command.status not in ENDS:
            known = ", ".join(f"{status.value} ({status.name})" for status in sorted(ENDS))
            raise InvalidRequest(
                f"the answer to the turn of {answer.instance_id!r} ends the workflow with status {command.status}, "
                f"with which no workflow ends; the statuses are {known}"
            )


def activity_answer(response: Message) -> ActivityAnswer:
    """Decode the result of an activity."""
    return ActivityAnswer(
        instance_id=response.instanceId,
        task_id=response.taskId,
        token=response.completionToken,
        result=text_from(response, "result"),
        failure=failure_from(response.failureDetails) if response.HasField("failureDetails") else None,
    )


def command_of(action: Message, instance_id: str) -> Command:
    """Decode an action.

    Args:
        action: Any action but a new generation or a missing version.
        instance_id: The id of the instance, from which the ids of its children follow.

    Raises:
        UnsupportedAction: Perdure does not perform such an action.
    """
    kind = action.WhichOneof("workflowActionType")
    read = READERS.get(kind or "")
    if kind is None or read is None:
        raise UnsupportedAction(
            f"the workflow asked for {kind or 'something this release does not know'} (action {action.id}), which "
            "Perdure does not do. End other workflows through a client, in an activity."
        )
    command: Command = read(action, getattr(action, kind), instance_id)
    return command


def _continued(response: Message) -> ContinuedAsNew | None:
    completion = next((action.completeWorkflow for action in response.actions if _completes(action)), None)
    if completion is None or completion.workflowStatus != Status.CONTINUED_AS_NEW:
        return None
    # The times of the events are ignored: Python's SDK writes 1970 (contract 3.14).
    carried = [
        EventRaised(event.eventRaised.name, text_from(event.eventRaised, "input"))
        for event in completion.carryoverEvents
        if event.HasField("eventRaised")
    ]
    return ContinuedAsNew(text_from(completion, "result"), carried)


def _commands(response: Message) -> list[Command]:
    """Decode the actions. Only the first of several completions counts; it comes after all other commands."""
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
    """Return the app and the namespace that an action names. SDKs up to 1.17 name them inside of the action."""
    for holder in (action, said):
        if holder.DESCRIPTOR.fields_by_name.get("router") is not None and holder.router.HasField("targetAppID"):
            namespaced = holder.router.HasField("targetAppNamespace")
            return holder.router.targetAppID or None, holder.router if namespaced else None
    return None, None


def _wire(router: Message | None, kind: str, fields: Fields) -> bytes | None:
    """Serialize the values for which our event has no fields, as `rpc/wire/rest.py` does."""
    if router is None and not any(value is not None for value in fields.values()):
        return None
    beyond = HistoryEvent(**{kind: fields})
    if router is not None:
        beyond.router.CopyFrom(router)  # whole, as in a rest; the writer adds our own id
    wire: bytes = beyond.SerializeToString()
    return wire


# Readers: each makes a command from its action.


def _read_schedule(action: Message, said: Message, instance_id: str) -> TaskScheduled:
    target, router = _router(action, said)
    scope = value_if_set(said, "historyPropagationScope")
    beyond = {"version": value_if_set(said, "version"), "historyPropagationScope": scope if scope == 0 else None}
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
    scope = value_if_set(said, "historyPropagationScope")
    beyond = {"version": value_if_set(said, "version"), "historyPropagationScope": scope if scope == 0 else None}
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


def _read_sent(action: Message, said: Message, instance_id: str) -> EventSent:
    target, router = _router(action, said)
    return EventSent(
        action.id,
        said.instance.instanceId,
        said.name,
        text_from(said, "data"),
        target,
        _wire(router, "eventSent", {}),
    )


def _read_timer(action: Message, said: Message, instance_id: str) -> TimerCreated:
    fire_at_us = due_us(said.fireAt)
    exact = stamp(fire_at_us) == {"seconds": said.fireAt.seconds, "nanos": said.fireAt.nanos}
    beyond = {"name": value_if_set(said, "name"), "fireAt": None if exact else said.fireAt}
    return TimerCreated(action.id, fire_at_us, *origin_from(said), wire=_wire(None, "timerCreated", beyond))


def _read_completion(action: Message, said: Message, instance_id: str) -> ExecutionCompleted:
    failure = failure_from(said.failureDetails).pack() if said.HasField("failureDetails") else None
    return ExecutionCompleted(action.id, said.workflowStatus, text_from(said, "result"), failure)


READERS: Mapping[str, Callable[[Message, Message, str], Command]] = {
    "scheduleTask": _read_schedule,
    "createChildWorkflow": _read_child,
    "createDetachedWorkflow": _read_detached,
    "createTimer": _read_timer,
    "sendEvent": _read_sent,
    "completeWorkflow": _read_completion,
}
