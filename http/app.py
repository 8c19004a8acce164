"""The HTTP APIs as a Starlette app, made from a facade and the operations of management; `daemon/` serves it.

The rule: this module only assembles parts; it decides nothing about a request.

The layers from the outside in: the raw path is cleaned; the token is checked, or without tokens the headers of
browsers; the route is found; the handler decodes, calls and encodes. `http/errors.py` turns an error of any layer into
an answer, and `http/management/resource.py` does so for the management API.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..api.management.history import EventJson
from ..api.sidecar import Sidecar
from ..api.tokens import Tokens
from ..journal.journal import Journal
from ..runtime.operations.facade import Facade
from ..runtime.operations.management import InstanceOperations
from .auth import TokenAuth
from .browser_guard import BrowserGuard
from .dapr.openapi import document
from .dapr.sidecar import SidecarRoutes
from .dapr.state import StateRoutes
from .dapr.workflows import WorkflowRoutes
from .docs.pages import Pages
from .errors import ANSWERS
from .health import HealthRoutes
from .management.app import ManagementDoor, management_routes
from .page.page import PageRoutes
from .path import RawPath, route

BODY_BYTES_MAX = 4 * 1024 * 1024  # Dapr's default for --max-body-size


class OtherApps(NamedTuple):
    """The other apps, by their ids."""

    find: Callable[[str], InstanceOperations | None]  # None: no host has the app
    event_json: Callable[[str], EventJson]  # writes the events of the app's histories
    names: Callable[[], Sequence[str]]  # the ids of all apps, the first app's included


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """The options of the HTTP API."""

    app_id: str
    api_tokens: tuple[str, ...] | Tokens = ()  # any of them opens the API; empty: it is open to all
    body_bytes_max: int = BODY_BYTES_MAX
    other_apps: OtherApps | None = None  # None: the management API has this app only
    allowed_hosts: tuple[str, ...] = ()  # names of this daemon for callers without a token (`http/browser_guard.py`)
    page: bool = True  # whether the page is served at `/ui/`

    def __post_init__(self) -> None:
        if not self.app_id:
            raise ValueError("app_id must not be empty")
        if not isinstance(self.api_tokens, Tokens) and not all(self.api_tokens):
            raise ValueError("api_tokens must not hold an empty token: it would be no secret")
        if self.body_bytes_max < 1:
            raise ValueError(f"body_bytes_max must be at least 1, not {self.body_bytes_max}")


def create_app(
    facade: Facade,
    options: HttpOptions,
    sidecar: Sidecar,
    management: InstanceOperations | None = None,
    *,
    stopping: anyio.Event | None = None,
    event_json: EventJson | None = None,
    sidecar_routes: bool = True,
    configuration: Mapping[str, Any] | None = None,
) -> Starlette:
    """Make the app.

    Args:
        facade: Starts, describes and steers instances for Dapr's routes.
        options: The app's id, the tokens and the limits.
        sidecar: The daemon in Dapr's terms, for the same app; the gRPC services share it.
        management: The operations of the management API; None leaves it out.
        stopping: Set when the daemon begins to stop, so that streams and long polls end.
        sidecar_routes: Whether Dapr's routes are served; an engine inside of a program is no sidecar.
        event_json: Writes the events of histories; None leaves histories out.
        configuration: The configuration as the daemon shows it, without secrets.
    """
    assert sidecar.app_id == options.app_id, (sidecar.app_id, options.app_id)
    control = sidecar.control
    tokens = known_tokens(options)
    stores = sidecar.states.stores.names if sidecar.states is not None else ()

    @cache
    def dapr() -> bytes:  # at the first request: the start waits for neither it nor the version
        return msgspec.json.encode(document(version=control.runtime_version, secured=tokens is not None, stores=stores))

    routes = HealthRoutes(control).routes()
    if sidecar_routes:
        routes += [
            *WorkflowRoutes(facade, app_id=options.app_id, body_bytes_max=options.body_bytes_max).routes(),
            *SidecarRoutes(sidecar, body_bytes_max=options.body_bytes_max).routes(),
            *StateRoutes(sidecar.states, app_id=options.app_id, body_bytes_max=options.body_bytes_max).routes(),
            openapi_route(dapr),
        ]
    others = options.other_apps
    if management is not None:
        door = ManagementDoor(
            management=management,
            sidecar=sidecar,
            app_id=options.app_id,
            body_bytes_max=options.body_bytes_max,
            tokens=tokens,
            stopping=stopping or anyio.Event(),
            event_json=event_json,
            configuration=configuration or {},
            other_apps=others.find if others is not None else lambda app_id: None,
            event_json_of=others.event_json if others is not None else None,
            app_ids=others.names if others is not None else None,
        )
        routes += management_routes(door, dapr)
        ui = PageRoutes().routes() if options.page else []
        routes += Pages(control, dapr=sidecar_routes, ui=options.page).routes()
        routes += ui
    middleware = [Middleware(RawPath)]
    if tokens is not None:
        middleware.append(Middleware(TokenAuth, tokens=tokens))
    else:
        middleware.append(Middleware(BrowserGuard, allowed_hosts=options.allowed_hosts))
    app = Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers=ANSWERS,
    )
    # Dapr never redirects. `RawPath` removes a trailing slash before routes are tried.
    app.router.redirect_slashes = False
    app.state.journal = Journal(__name__)
    return app


def known_tokens(options: HttpOptions) -> Tokens | None:
    """Return the tokens that open the app; None if it is open to all."""
    if not options.api_tokens:
        return None
    return options.api_tokens if isinstance(options.api_tokens, Tokens) else Tokens(options.api_tokens)


def openapi_route(dapr: Callable[[], bytes]) -> Route:
    """Make the route that serves the description of Dapr's routes."""

    async def openapi(request: Request) -> Response:
        return Response(dapr(), media_type="application/json")

    return route("/openapi.json", "GET", openapi)
