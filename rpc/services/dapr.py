"""Dapr's own API over gRPC: the fourteen workflow calls, metadata and shutdown; `state.py` has the calls of state.

The rule: a call gives the same answer as its HTTP route.

Each method decodes, calls the facade once and encodes. The calls and the words of errors are the same as over HTTP
(`http/dapr/`, `api/words.py`).

`daemon/` serves it beside the other services.

Source: contract 2, 1.4; dapr `pkg/api/universal/workflow.go`, `metadata.go`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import grpc

from ...actors.errors import PerdureError
from ...api.properties import RUNTIME_STATUS, properties
from ...api.sidecar import Sidecar
from ...api.state import StateProblem
from ...api.words import (
    EVENT_NAME_MISSING,
    ID_MISSING,
    NAME_MISSING,
    PAYLOAD_MALFORMED,
    START_TIME_INVALID,
    Refusal,
    check_new_id,
    other_app,
    refusal,
)
from ...runtime.dates import to_us
from ...runtime.history.attribution import By
from ...runtime.history.instance_state import InstanceState
from ...runtime.history.status import Status
from ...runtime.operations.facade import Facade
from ..messages import DAPR, Empty, GetMetadataResponse, GetWorkflowResponse, Message, StartWorkflowResponse
from ..serving.auth import anonymous
from ..serving.method import Context, Failure, ServiceTable, Unary, service
from ..serving.unread import UnreadAnswers
from ..wire.fields import trace_of_metadata
from ..wire.stamps import NEVER, stamp
from .state import failure_of, state_methods

DOOR = "dapr-grpc"  # the name of this API in the audit

START_TIME = "dapr.workflow.start_time"

RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)")

RUNNING = 2  # an ActorRuntimeStatus


def dapr(
    facade: Facade,
    sidecar: Sidecar,
    *,
    actor: Callable[[Context], str] = anonymous,
    unread: UnreadAnswers | None = None,
) -> ServiceTable:
    """Make the service.

    Args:
        actor: Returns the name of the caller, for the audit.
        unread: Counts the unread answers of several services together.
    """
    workflows = DaprWorkflows(facade, app_id=sidecar.app_id, actor=actor)
    info = DaprInfo(sidecar)
    operations: dict[str, Unary] = {
        "StartWorkflow": workflows.start,
        "GetWorkflow": workflows.get,
        "PurgeWorkflow": workflows.purge,
        "TerminateWorkflow": workflows.terminate,
        "PauseWorkflow": workflows.pause,
        "ResumeWorkflow": workflows.resume,
        "RaiseEventWorkflow": workflows.raise_event,
    }
    methods = {f"{name}{age}": method for name, method in operations.items() for age in ("Alpha1", "Beta1")}
    own: dict[str, Unary] = {
        "GetMetadata": info.get_metadata,
        "SetMetadata": info.set_metadata,
        "Shutdown": info.shutdown,
    }
    reads = ("GetWorkflowAlpha1", "GetWorkflowBeta1", "GetMetadata", "GetState", "GetBulkState")
    state = state_methods(sidecar.states)
    return service(DAPR, {**methods, **own, **state}, explain, unread=unread, repeatable=reads)


class DaprWorkflows:
    """The workflow calls of Dapr's service."""

    def __init__(self, facade: Facade, *, app_id: str, actor: Callable[[Context], str]) -> None:
        self._facade = facade
        self._app_id = app_id
        self._actor = actor

    async def start(self, request: Message, context: Context) -> Message:
        """Start an instance (`StartWorkflow`).

        Raises:
            Refusal: The name is missing, or the id is not allowed.
        """
        instance_id = request.instance_id or None
        if instance_id is not None:
            check_new_id(instance_id)
        if not request.workflow_name:
            raise Refusal(NAME_MISSING)
        facade = self._target(request)
        # Always a text, even an empty one, as in Dapr, also over HTTP.
        payload = payload_of(request.input)
        start_at_us = start_time_us(request)
        trace = trace_of_metadata(context.invocation_metadata())
        started = await facade.start(
            request.workflow_name, instance_id=instance_id, input=payload, start_at_us=start_at_us, trace=trace
        )
        return StartWorkflowResponse(instance_id=started)

    async def get(self, request: Message, context: Context) -> Message:
        """Describe an instance. A missing instance is no error here: the answer has an id and no status."""
        facade = self._check(request)
        state = await facade.inspect(request.instance_id)
        if state is None:
            return GetWorkflowResponse(instance_id=request.instance_id)
        return GetWorkflowResponse(**workflow(state))

    async def raise_event(self, request: Message, context: Context) -> Message:
        """Send an event to an instance (`RaiseEventWorkflow`).

        Raises:
            Refusal: The id or the name is missing.
        """
        if not request.instance_id:
            raise Refusal(ID_MISSING)
        if not request.event_name:
            raise Refusal(EVENT_NAME_MISSING)
        facade = self._check(request)
        # On the wire empty bytes are equal to missing bytes, so an empty value means no data here, unlike over HTTP.
        data = payload_of(request.event_data) or None
        await facade.raise_event(request.instance_id, request.event_name, data)
        return Empty()

    async def pause(self, request: Message, context: Context) -> Message:
        """Suspend an instance (`PauseWorkflow`)."""
        facade = self._check(request)
        await facade.suspend(request.instance_id, by=self._by(context))
        return Empty()

    async def resume(self, request: Message, context: Context) -> Message:
        """Resume a suspended instance (`ResumeWorkflow`)."""
        facade = self._check(request)
        await facade.resume(request.instance_id, by=self._by(context))
        return Empty()

    async def terminate(self, request: Message, context: Context) -> Message:
        """End an instance and its children (`TerminateWorkflow`)."""
        facade = self._check(request)
        await facade.terminate(request.instance_id, recurse=True, by=self._by(context))
        return Empty()

    async def purge(self, request: Message, context: Context) -> Message:
        """Delete an instance that has ended, and its children (`PurgeWorkflow`)."""
        facade = self._check(request)
        await facade.purge(request.instance_id, recurse=True, by=self._by(context))
        return Empty()

    def _by(self, context: Context) -> By:
        return By(self._actor(context), DOOR)

    def _check(self, request: Message) -> Facade:
        """Refuse a request that names no instance; return the facade of the app that it names."""
        if not request.instance_id:
            raise Refusal(ID_MISSING)
        return self._target(request)

    def _target(self, request: Message) -> Facade:
        other = other_app(request.app_id, own=self._app_id)
        return self._facade if other is None else self._facade.of_app(other)


class DaprInfo:
    """The calls that describe and stop the sidecar."""

    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar = sidecar

    async def get_metadata(self, request: Message, context: Context) -> Message:
        """Describe the sidecar (`GetMetadata`)."""
        metadata = await self._sidecar.describe()
        actors = [{"type": kind, "count": count} for kind, count in metadata.active_actors.items()]
        workers = metadata.connected_workers
        return GetMetadataResponse(
            id=metadata.app_id,
            active_actors_count=actors,
            extended_metadata=metadata.extended,
            runtime_version=metadata.runtime_version,
            registered_components=[component._asdict() for component in metadata.components],
            actor_runtime={
                "runtime_status": RUNNING,
                "active_actors": actors,
                "host_ready": metadata.host_ready,
                "placement": metadata.placement,
            },
            workflows={"connected_workers": workers} if workers else None,
        )

    async def set_metadata(self, request: Message, context: Context) -> Message:
        """Put a value into the metadata of all hosts (`SetMetadata`)."""
        await self._sidecar.put(request.key, request.value)
        return Empty()

    async def shutdown(self, request: Message, context: Context) -> Message:
        """Begin an orderly stop (`Shutdown`)."""
        self._sidecar.control.shutdown(False)
        return Empty()


def payload_of(content: bytes) -> str:
    """Decode a payload.

    Raises:
        Refusal: The payload is not UTF-8. (Dapr keeps any bytes, and shows U+FFFD for bytes that are not UTF-8.)
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        detail = f"it is not UTF-8: {error.reason} at byte {error.start}"
        raise Refusal(PAYLOAD_MALFORMED, detail=detail) from None


def start_time_us(request: Message) -> int | None:
    """Return when an instance is to start: Unix time in microseconds.

    Raises:
        Refusal: The time is not in the format of RFC 3339.
    """
    if START_TIME not in request.options:
        return None
    found = RFC3339.fullmatch(request.options[START_TIME])
    try:
        if found is None:
            raise ValueError
        date, fraction, zone = found.groups()
        # Nine fractional digits are allowed, and Python reads six.
        return to_us(datetime.fromisoformat(f"{date}{(fraction or '')[:7]}{zone.upper()}"))
    except ValueError:
        raise Refusal(START_TIME_INVALID, workflow_name=request.workflow_name) from None


def workflow(state: InstanceState) -> dict[str, Any]:
    """Describe an instance with the same values as the JSON over HTTP."""
    pending = state.status is Status.PENDING
    return {
        "instance_id": state.instance_id,
        "workflow_name": state.name,
        "created_at": NEVER if pending else stamp(state.created_us),
        "last_updated_at": NEVER if pending else stamp(state.updated_us),
        "runtime_status": RUNTIME_STATUS[state.status],
        "properties": properties(state),
    }


# The operation of each method (its name without Alpha1 or Beta1), for the words in `api/words.py`.
OPERATIONS: Mapping[str, str] = {
    "StartWorkflow": "start",
    "GetWorkflow": "get",
    "PurgeWorkflow": "purge",
    "TerminateWorkflow": "terminate",
    "PauseWorkflow": "pause",
    "ResumeWorkflow": "resume",
    "RaiseEventWorkflow": "raise_event",
}

# The gRPC code for each HTTP status of the words.
CODES: Mapping[int, grpc.StatusCode] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.UNAVAILABLE,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
}


def explain(method: str, error: PerdureError, request: Message) -> Failure:
    """Make the status of a failed call."""
    if isinstance(error, StateProblem):
        return failure_of(error)
    if not isinstance(error, Refusal):
        name = method.removesuffix("Alpha1").removesuffix("Beta1")
        operation = OPERATIONS.get(name, name)  # errors of other methods have the same words for all methods
        fields = {field.name: value for field, value in request.ListFields()}
        error = refusal(operation, error, **fields)
    return Failure(CODES[error.answer.status], str(error))
