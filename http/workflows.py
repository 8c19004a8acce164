"""The seven workflow routes of Dapr, each under its three prefixes.

Every handler decodes, calls the facade once and encodes. What goes wrong is
raised and answered by `errors`, which finds its words by the handler's name.

Source: contract 1.1, 1.2, 1.5, 1.6; dapr `pkg/api/http/workflow.go` and
`pkg/api/universal/workflow.go`.
"""

import re
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..runtime.errors import InstanceNotFound
from ..runtime.facade import Facade
from .body import read_nothing, read_text
from .errors import APP_ID_INVALID, ID_INVALID, ID_TOO_LONG, ForeignApp, HttpError
from .path import Handler, parameter, query, route
from .state_json import state_json

VERSIONS = ("v1.0", "v1.0-beta1", "v1.0-alpha1")

ID_BYTES_MAX = 64  # Dapr's, for state stores with short keys

PLAIN_ID = re.compile("[A-Za-z0-9_-]+")

JSON = "application/json"


class Operation(NamedTuple):
    """One of the seven: the name of its handler, its method and its path behind the prefix."""

    name: str
    method: str
    path: str


# The order is that of the routes, which are tried one by one: the busy ones come first.
# The component's name is ignored, as it is in Dapr since 1.15.
OPERATIONS = (
    Operation("start", "POST", "workflows/{component}/{workflow_name}/start"),
    Operation("get", "GET", "workflows/{component}/{instance_id}"),
    Operation("raise_event", "POST", "workflows/{component}/{instance_id}/raiseEvent/{event_name}"),
    Operation("pause", "POST", "workflows/{component}/{instance_id}/pause"),
    Operation("resume", "POST", "workflows/{component}/{instance_id}/resume"),
    Operation("terminate", "POST", "workflows/{component}/{instance_id}/terminate"),
    Operation("purge", "POST", "workflows/{component}/{instance_id}/purge"),
)


class Workflows:
    """The handlers, and what all of them know."""

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
        workflow_name = parameter(request, "workflow_name")
        # Exact case: `instanceId`, as a page of Dapr's documentation has it, is another key and means nothing.
        instance_id = query(request, "instanceID") or None
        if instance_id is not None:
            check_new_id(instance_id)
        self.check_app(request)
        text = await read_text(request, bytes_max=self.body_bytes_max)
        started = await self.facade.start(workflow_name, instance_id=instance_id, input=text)
        return Response(msgspec.json.encode({"instanceID": started}), 202, media_type=JSON)

    async def get(self, request: Request) -> Response:
        instance_id = parameter(request, "instance_id")
        self.check_app(request)
        state = await self.facade.inspect(instance_id)
        if state is None:
            raise InstanceNotFound(instance_id)
        return Response(state_json(state), media_type=JSON)

    async def raise_event(self, request: Request) -> Response:
        instance_id = parameter(request, "instance_id")
        event_name = parameter(request, "event_name")
        self.check_app(request)
        data = await read_text(request, bytes_max=self.body_bytes_max)
        await self.facade.raise_event(instance_id, event_name, data)
        return accepted()

    async def pause(self, request: Request) -> Response:
        instance_id = await self.instance_of(request)
        await self.facade.suspend(instance_id)
        return accepted()

    async def resume(self, request: Request) -> Response:
        instance_id = await self.instance_of(request)
        await self.facade.resume(instance_id)
        return accepted()

    async def terminate(self, request: Request) -> Response:
        instance_id = await self.instance_of(request)
        await self.facade.terminate(instance_id, recurse=True)
        return accepted()

    async def purge(self, request: Request) -> Response:
        instance_id = await self.instance_of(request)
        await self.facade.purge(instance_id, recurse=True)
        return accepted()

    async def instance_of(self, request: Request) -> str:
        """Decode a request that names an instance and says nothing else."""
        instance_id = parameter(request, "instance_id")
        self.check_app(request)
        await read_nothing(request, bytes_max=self.body_bytes_max)
        return instance_id

    def check_app(self, request: Request) -> None:
        """Refuse what is meant for another app. The app's own id is never checked, whatever it is made of.

        Raises:
            HttpError: No app can have such an id.
            ForeignApp: One can, but it is not ours.
        """
        app_id = query(request, "appID")
        if not app_id or app_id == self.app_id:
            return
        if not is_plain(app_id):
            raise HttpError(APP_ID_INVALID, app_id=app_id)
        raise ForeignApp(asked=app_id, hosted=self.app_id)


def accepted() -> Response:
    """Answer what has nothing to say: protobuf's empty message in JSON."""
    return Response(b"{}", 202, media_type=JSON)


def check_new_id(instance_id: str) -> None:
    """Check the id of an instance that is to be started over this API.

    Nowhere else: ids that came about elsewhere (children, other APIs) may hold
    anything, and must be reachable here.

    Raises:
        HttpError: It is too long, or has other than letters, digits, `_` and `-`.
    """
    if len(instance_id.encode()) > ID_BYTES_MAX:
        raise HttpError(ID_TOO_LONG, bytes_max=ID_BYTES_MAX)
    if not is_plain(instance_id):
        raise HttpError(ID_INVALID, instance_id=instance_id)


def is_plain(text: str) -> bool:
    """Say whether a text has letters and decimal digits of any script, `_` and `-` only."""
    return PLAIN_ID.fullmatch(text) is not None or all(
        char.isalpha() or char.isdecimal() or char in "_-" for char in text
    )
