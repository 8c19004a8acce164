"""The seven workflow routes of Dapr, each under its three prefixes.

The rule: the three prefixes give the same answers.

Every handler decodes, calls the facade once and encodes. It raises errors, and `http/errors.py` answers them in the
words for the handler's name.

`http/app.py` adds the routes.

Source: contract 1.1, 1.2, 1.5, 1.6; dapr `pkg/api/http/workflow.go` and
`pkg/api/universal/workflow.go`.
"""

from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...api.words import check_new_id, other_app
from ...runtime.errors import InstanceNotFound
from ...runtime.history.attribution import By
from ...runtime.operations.facade import Facade
from ..auth import actor_of
from ..body import read_nothing, read_text
from ..path import Handler, parameter, query, route
from ..trace import trace_of
from .state_json import state_json

VERSIONS = ("v1.0", "v1.0-beta1", "v1.0-alpha1")

JSON = "application/json"
DOOR = "dapr-http"  # the name of this API in the audit


class Operation(NamedTuple):
    """One of the seven routes: the name of its handler, its method and its path after the prefix."""

    name: str
    method: str
    path: str


# In the order of the routes, which are tried one by one: busy routes come first.
# The component's name is ignored, as in Dapr since 1.15.
OPERATIONS = (
    Operation("start", "POST", "workflows/{component}/{workflow_name}/start"),
    Operation("get", "GET", "workflows/{component}/{instance_id}"),
    Operation("raise_event", "POST", "workflows/{component}/{instance_id}/raiseEvent/{event_name}"),
    Operation("pause", "POST", "workflows/{component}/{instance_id}/pause"),
    Operation("resume", "POST", "workflows/{component}/{instance_id}/resume"),
    Operation("terminate", "POST", "workflows/{component}/{instance_id}/terminate"),
    Operation("purge", "POST", "workflows/{component}/{instance_id}/purge"),
)


class WorkflowRoutes:
    """The handlers of the workflow routes."""

    def __init__(self, facade: Facade, *, app_id: str, body_bytes_max: int) -> None:
        self.facade = facade
        self.app_id = app_id
        self.body_bytes_max = body_bytes_max

    def routes(self) -> list[Route]:
        """Make the routes."""
        handlers = (self.start, self.get, self.raise_event, self.pause, self.resume, self.terminate, self.purge)
        by_name: dict[str, Handler] = {handler.__name__: handler for handler in handlers}
        return [
            route(f"/{version}/{operation.path}", operation.method, by_name[operation.name])
            for operation in OPERATIONS
            for version in VERSIONS
        ]

    async def start(self, request: Request) -> Response:
        """Start an instance; 202 with its id."""
        workflow_name = parameter(request, "workflow_name")
        # The case matters: `instanceId`, as on a page of Dapr's documentation, is another key and has no effect.
        instance_id = query(request, "instanceID") or None
        if instance_id is not None:
            check_new_id(instance_id)
        facade = self.facade_of(request)
        text = await read_text(request, bytes_max=self.body_bytes_max)
        trace = trace_of(request)
        started = await facade.start(workflow_name, instance_id=instance_id, input=text, trace=trace)
        return Response(msgspec.json.encode({"instanceID": started}), 202, media_type=JSON)

    async def get(self, request: Request) -> Response:
        """Describe an instance.

        Raises:
            InstanceNotFound: There is no such instance.
        """
        instance_id = parameter(request, "instance_id")
        state = await self.facade_of(request).inspect(instance_id)
        if state is None:
            raise InstanceNotFound(instance_id)
        return Response(state_json(state), media_type=JSON)

    async def raise_event(self, request: Request) -> Response:
        """Send an event to an instance."""
        instance_id = parameter(request, "instance_id")
        event_name = parameter(request, "event_name")
        facade = self.facade_of(request)
        data = await read_text(request, bytes_max=self.body_bytes_max)
        await facade.raise_event(instance_id, event_name, data)
        return accepted()

    async def pause(self, request: Request) -> Response:
        """Suspend an instance."""
        facade, instance_id = await self.instance_of(request)
        await facade.suspend(instance_id, by=by_of(request))
        return accepted()

    async def resume(self, request: Request) -> Response:
        """Resume a suspended instance."""
        facade, instance_id = await self.instance_of(request)
        await facade.resume(instance_id, by=by_of(request))
        return accepted()

    async def terminate(self, request: Request) -> Response:
        """End an instance and its children."""
        facade, instance_id = await self.instance_of(request)
        await facade.terminate(instance_id, recurse=True, by=by_of(request))
        return accepted()

    async def purge(self, request: Request) -> Response:
        """Delete an instance that has ended, and its children."""
        facade, instance_id = await self.instance_of(request)
        await facade.purge(instance_id, recurse=True, by=by_of(request))
        return accepted()

    async def instance_of(self, request: Request) -> tuple[Facade, str]:
        """Check a request that has no payload, and return the app and the instance that it names."""
        instance_id = parameter(request, "instance_id")
        facade = self.facade_of(request)
        await read_nothing(request, bytes_max=self.body_bytes_max)
        return facade, instance_id

    def facade_of(self, request: Request) -> Facade:
        """Return the facade of the app that a request names. Raises Refusal."""
        other = other_app(query(request, "appID"), own=self.app_id)
        return self.facade if other is None else self.facade.of_app(other)


def by_of(request: Request) -> By:
    """Return the caller and the door of a request, for the audit."""
    return By(actor_of(request.scope), DOOR)


def accepted() -> Response:
    """Answer with protobuf's empty message in JSON."""
    return Response(b"{}", 202, media_type=JSON)
