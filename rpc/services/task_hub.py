"""The task hub: manages instances for Dapr's workflow SDKs.

The rule: an error has the code and the text that SDKs check.

Each method decodes, calls the facade once and encodes. Errors have the same codes as in Dapr: mostly UNKNOWN with a
text, because they are plain Go errors there, and a specific code where SDKs check it.

`daemon/` serves it together with the methods of `work_items.py`.

Source: contract 3.1, 3.22; durabletask-go `backend/executor.go`,
dapr `pkg/runtime/wfengine/backends/actors`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import grpc

from ...actors.errors import PerdureError
from ...api.words import Refusal, other_app
from ...runtime.errors import ChildUnfinished, InstanceExists, InstanceNotFound, InvalidRequest
from ...runtime.history.attribution import By
from ...runtime.history.instance_state import InstanceState
from ...runtime.history.status import Status
from ...runtime.history.timeline import Timeline
from ...runtime.observing.request import traced_call
from ...runtime.operations.facade import Facade, finished
from ...runtime.operations.rerun import EventNotFound, EventNotRerunnable, Rerun, RerunExists, RerunRefused
from ..messages import (
    TASK_HUB,
    CreateInstanceResponse,
    GetInstanceHistoryResponse,
    GetInstanceResponse,
    ListInstanceIDsResponse,
    Message,
    PurgeInstancesResponse,
    RaiseEventResponse,
    RerunWorkflowFromEventResponse,
    ResumeResponse,
    SuspendResponse,
    TerminateResponse,
)
from ..serving.auth import anonymous
from ..serving.method import TRY_AGAIN, Context, Failure, ServiceTable, service
from ..serving.unread import UnreadAnswers
from ..wire.failure import failure_message
from ..wire.fields import text, text_from, trace_from, trace_of_metadata
from ..wire.history import WRITERS, HistoryWriter
from ..wire.stamps import NEVER, due_us, moment_us, stamp
from .dapr import DOOR
from .work_items import WorkerStuck, WorkItems

PAGE_IDS = 1024  # Dapr's default for ListInstanceIDs
PAGE_IDS_MAX = 10_000  # our limit, because a page is built in memory


# The methods that only read.
READS = (
    "GetInstance",
    "WaitForInstanceStart",
    "WaitForInstanceCompletion",
    "ListInstanceIDs",
    "GetInstanceHistory",
)


def task_hub(
    facade: Facade,
    work_items: WorkItems,
    *,
    app_id: str,
    actor: Callable[[Context], str] = anonymous,
    unread: UnreadAnswers | None = None,
) -> ServiceTable:
    """Make the service.

    Args:
        actor: Returns the name of the caller, for the audit.
        unread: Counts the unread answers of several services together.
    """
    management = Management(facade, app_id=app_id, actor=actor)
    return service(
        TASK_HUB,
        {
            "Hello": work_items.hello,
            "GetWorkItems": work_items.get_work_items,
            "CompleteWorkflowTask": work_items.complete_workflow,
            "CompleteOrchestratorTask": work_items.complete_workflow,
            "CompleteActivityTask": work_items.complete_activity,
            "StartInstance": management.start,
            "GetInstance": management.get,
            "WaitForInstanceStart": management.wait_for_start,
            "WaitForInstanceCompletion": management.wait_for_completion,
            "RaiseEvent": management.raise_event,
            "TerminateInstance": management.terminate,
            "SuspendInstance": management.suspend,
            "ResumeInstance": management.resume,
            "PurgeInstances": management.purge,
            "ListInstanceIDs": management.list_ids,
            "GetInstanceHistory": management.history,
            "RerunWorkflowFromEvent": management.rerun,
        },
        explain,
        unread=unread,
        repeatable=READS,
    )


class Management:
    """The methods of the task hub for clients."""

    def __init__(self, facade: Facade, *, app_id: str, actor: Callable[[Context], str]) -> None:
        self._facade = facade
        self._app_id = app_id
        self._actor = actor

    async def start(self, request: Message, context: Context) -> Message:
        """Start an instance, and wait until its code has begun unless it is to start later.

        Test suites for Dapr rely on the wait. Without a worker the call waits until a worker has connected.
        """
        facade = self._target(request)
        # As in Dapr, the call has a span in the trace of its metadata. A trace in the request takes precedence.
        with traced_call(self._facade.tracing, START, trace_of_metadata(context.invocation_metadata())) as trace:
            later = request.HasField("scheduledStartTimestamp")
            started = await facade.start(
                request.name,
                instance_id=request.instanceId or None,
                input=text_from(request, "input"),
                start_at_us=due_us(request.scheduledStartTimestamp) if later else None,
                unique=request.enforceUniqueInstanceId,
                trace=trace_from(request, "parentTraceContext") or trace,
            )
            if not later:
                await self._await(facade, started, begun)
            return CreateInstanceResponse(instanceId=started)

    async def get(self, request: Message, context: Context) -> Message:
        """Describe an instance (`GetInstance`)."""
        facade = self._target(request)
        return self._state(request, await facade.inspect(request.instanceId))

    async def wait_for_start(self, request: Message, context: Context) -> Message:
        """Wait until an instance has begun, and describe it (`WaitForInstanceStart`)."""
        facade = self._target(request)
        return self._state(request, await facade.wait(request.instanceId, begun, await_creation=facade is self._facade))

    async def wait_for_completion(self, request: Message, context: Context) -> Message:
        """Wait until an instance has ended, and describe it (`WaitForInstanceCompletion`)."""
        facade = self._target(request)
        return self._state(request, await facade.wait(request.instanceId, await_creation=facade is self._facade))

    async def raise_event(self, request: Message, context: Context) -> Message:
        """Send an event to an instance (`RaiseEvent`)."""
        facade = self._target(request)
        await facade.raise_event(request.instanceId, request.name, text_from(request, "input"))
        return RaiseEventResponse()

    async def terminate(self, request: Message, context: Context) -> Message:
        """End an instance, and wait until it has ended."""
        facade = self._target(request)
        output = text_from(request, "output")
        by = self._by(context)
        await facade.terminate(request.instanceId, output=output, recurse=request.recursive, by=by)
        await self._await(facade, request.instanceId, finished)
        return TerminateResponse()

    async def suspend(self, request: Message, context: Context) -> Message:
        """Suspend an instance. Dapr waits for the effect; here the effect is committed with the request."""
        facade = self._target(request)
        reason = request.reason.value or None
        await facade.suspend(request.instanceId, reason=reason, by=self._by(context))
        return SuspendResponse()

    async def resume(self, request: Message, context: Context) -> Message:
        """Resume an instance; see `suspend`."""
        facade = self._target(request)
        reason = request.reason.value or None
        await facade.resume(request.instanceId, reason=reason, by=self._by(context))
        return ResumeResponse()

    async def purge(self, request: Message, context: Context) -> Message:
        """Delete one instance, or all instances that a filter matches (Dapr has no filter)."""
        facade = self._target(request)
        if not request.HasField("purgeInstanceFilter"):
            purged = await facade.purge(
                request.instanceId, recurse=request.recursive, force=request.force, by=self._by(context)
            )
            return PurgeInstancesResponse(deletedInstanceCount=purged)
        wanted = request.purgeInstanceFilter
        purged = await facade.purge_where(
            created_from_us=_moment(wanted, "createdTimeFrom"),
            created_to_us=_moment(wanted, "createdTimeTo"),
            statuses=statuses(wanted.runtimeStatus),
            recurse=request.recursive,
            force=request.force,
            by=self._by(context),
        )
        return PurgeInstancesResponse(deletedInstanceCount=purged, isComplete={"value": True})

    async def list_ids(self, request: Message, context: Context) -> Message:
        """List ids in pages (`ListInstanceIDs`)."""
        after = request.continuationToken if request.HasField("continuationToken") else None
        ids_max = min(request.pageSize or PAGE_IDS, PAGE_IDS_MAX)
        page = await self._facade.list_ids(after=after or None, ids_max=ids_max)
        return ListInstanceIDsResponse(instanceIds=page.ids, continuationToken=page.token)

    async def history(self, request: Message, context: Context) -> Message:
        """Return the history of an instance (`GetInstanceHistory`).

        Raises:
            InstanceNotFound: There is no such instance.
        """
        rows = await self._facade.history(request.instanceId)
        if rows is None:
            raise InstanceNotFound(request.instanceId)
        writer = HistoryWriter(app_id=self._app_id, instance_id=request.instanceId)
        return GetInstanceHistoryResponse(events=writer.write_all(Timeline.of(rows).events))

    async def rerun(self, request: Message, context: Context) -> Message:
        """Run an instance again from one of its events, and wait until the code of the copy has begun.

        Raises:
            RerunRefused: The id of the source is missing, or equal to the new one.
        """
        facade = self._target(request)
        rerun = Rerun(
            source_id=request.sourceInstanceID,
            event_id=request.eventID,
            new_id=request.newInstanceID if request.HasField("newInstanceID") else None,
            input=text_from(request, "input"),
            overwrite_input=request.overwriteInput,
            new_child_id=request.newChildWorkflowInstanceID if request.HasField(NEW_CHILD) else None,
        )
        if not rerun.source_id:
            raise RerunRefused("rerun workflow source instance ID is required")
        if rerun.new_id == rerun.source_id:
            raise RerunRefused("rerun workflow instance ID must be different from the original instance ID")
        started = await facade.rerun(rerun, by=self._by(context))
        await self._await(facade, started, begun)
        return RerunWorkflowFromEventResponse(newInstanceID=started)

    def _by(self, context: Context) -> By:
        return By(self._actor(context), DOOR)

    def _target(self, request: Message) -> Facade:
        """Return the facade of the app that a request is for."""
        other = self._other(request)
        return self._facade if other is None else self._facade.of_app(other)

    def _other(self, request: Message) -> str | None:
        return other_app(request.router.targetAppID, own=self._app_id) if request.HasField("router") else None

    async def _await(self, facade: Facade, instance_id: str, until: Callable[[Status], bool]) -> None:
        """Wait until the status of an instance satisfies `until`, or the instance was purged."""
        try:
            await facade.wait(instance_id, until)
        except InstanceNotFound:
            return

    def _state(self, request: Message, state: InstanceState | None) -> Message:
        if state is None:
            return GetInstanceResponse(exists=False)
        app_id = self._other(request) or self._app_id
        described = workflow_state(state, app_id, payloads=request.getInputsAndOutputs)
        return GetInstanceResponse(exists=True, workflowState=described)


START = f"/{TASK_HUB}/StartInstance"
NEW_CHILD = "newChildWorkflowInstanceID"


def begun(status: Status) -> bool:
    """Whether the code of an instance has had its first turn."""
    return status is not Status.PENDING


def statuses(numbers: Any) -> frozenset[Status]:
    """Decode statuses.

    Raises:
        InvalidRequest: A number is not that of a status.
    """
    try:
        return frozenset(Status(number) for number in numbers)
    except ValueError as error:
        raise InvalidRequest(f"a filter names a status that does not exist: {error}") from None


def workflow_state(state: InstanceState, app_id: str, *, payloads: bool) -> dict[str, Any]:
    """Describe an instance. The times of a pending instance are Go's zero time, as in Dapr."""
    pending = state.status is Status.PENDING
    described: dict[str, Any] = {
        "instanceId": state.instance_id,
        "name": state.name,
        "version": text(state.version),
        "workflowStatus": state.status.value,
        "createdTimestamp": NEVER if pending else stamp(state.created_us),
        "lastUpdatedTimestamp": NEVER if pending else stamp(state.updated_us),
        "startedAt": stamp(state.started_us) if state.started_us is not None else None,
        "parentInstanceId": text(state.parent_id),
        "parentAppId": text((state.parent_app or app_id) if state.parent_id is not None else None),
    }
    if payloads:
        described["input"] = text(state.input)
        described["customStatus"] = text(state.custom_status)
        if state.failure is None:
            described["output"] = text(state.output)
        else:
            described["failureDetails"] = failure_message(state.failure.with_causes)
    return described


def _moment(message: Message, field: str) -> int | None:
    return moment_us(getattr(message, field)) if message.HasField(field) else None


# The code of each error, in any method. Any other error is UNKNOWN, like every plain error of Go.
CODES: Mapping[type[PerdureError], grpc.StatusCode] = {
    InstanceExists: grpc.StatusCode.ALREADY_EXISTS,
    ChildUnfinished: grpc.StatusCode.ALREADY_EXISTS,
    RerunExists: grpc.StatusCode.ALREADY_EXISTS,
    EventNotFound: grpc.StatusCode.NOT_FOUND,
    EventNotRerunnable: grpc.StatusCode.NOT_FOUND,
    RerunRefused: grpc.StatusCode.INVALID_ARGUMENT,
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    Refusal: grpc.StatusCode.INVALID_ARGUMENT,
    **dict.fromkeys((*TRY_AGAIN, WorkerStuck), grpc.StatusCode.UNAVAILABLE),
}

# The prefixes that Dapr's layers add to the words of its engine.
PREFIXES: Mapping[str, str] = {
    "TerminateInstance": "failed to submit termination request: ",
    "PurgeInstances": "failed to purge workflow state: ",
}

# Two methods have their own words and code for a missing instance.
NOT_FOUND: Mapping[str, Callable[[Message], str]] = {
    "GetInstanceHistory": lambda request: f"workflow instance '{request.instanceId}' not found",
    "RerunWorkflowFromEvent": lambda request: f"workflow instance does not exist with ID '{request.sourceInstanceID}'",
}


def explain(method: str, error: PerdureError, request: Message) -> Failure:
    """Make the status of a failed call."""
    if isinstance(error, InstanceNotFound) and method in NOT_FOUND:
        return Failure(grpc.StatusCode.NOT_FOUND, NOT_FOUND[method](request))
    code = next((code for kind, code in CODES.items() if isinstance(error, kind)), grpc.StatusCode.UNKNOWN)
    if isinstance(error, EventNotRerunnable):
        return Failure(code, str(error).replace(type(error.event).__name__, go_name(error), 1))
    prefix = PREFIXES.get(method, "") if code is grpc.StatusCode.UNKNOWN else ""
    return Failure(code, f"{prefix}{error}")


def go_name(error: EventNotRerunnable) -> str:
    """Return the type of an event in the form of Go, which Dapr's text has."""
    kind = WRITERS[type(error.event)][0]
    return f"*protos.HistoryEvent_{kind[0].upper()}{kind[1:]}"
