"""Makes the routes of the management API from the operations of an engine.

The rule: a route exists only if its operation exists. No route is a stub.

`http/app.py` adds the routes after Dapr's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import anyio
from starlette.routing import Route

from ...api.management.history import EventJson
from ...api.sidecar import Sidecar
from ...api.tokens import Tokens
from ...runtime.operations.management import InstanceOperations
from .description import OPENAPI, DescriptionRoutes
from .endpoint import Endpoint
from .resource import AppHandlers, Handler, routes_of
from .routes.actions import ACTIONS, ActionRoutes
from .routes.bulk import BULK_ENDPOINTS, BulkRoutes
from .routes.endpoints import READING
from .routes.histories import HISTORIES, HistoryRoutes
from .routes.instances import InstanceRoutes
from .routes.overview import OVERVIEW, OverviewRoutes
from .routes.session import LOGIN, LOGOUT, SessionRoutes
from .routes.starting import STARTING, StartRoutes
from .routes.state import STATE, StoreRoutes
from .routes.streams import STREAMS, StreamRoutes
from .routes.transfer import TRANSFER, TransferRoutes


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementDoor:
    """The parts of a daemon from which the routes are made.

    Args:
        app_id: The app for requests that name no app.
        tokens: None if callers need none.
        stopping: Set when the daemon begins to stop: streams and long polls end then.
        event_json: Writes the events of histories; None leaves histories out.
        configuration: The configuration as the daemon shows it, without secrets.
    """

    management: InstanceOperations
    sidecar: Sidecar
    app_id: str
    body_bytes_max: int
    tokens: Tokens | None = None
    stopping: anyio.Event = field(default_factory=anyio.Event)
    event_json: EventJson | None = None
    event_json_of: Callable[[str], EventJson] | None = None  # the same for another app
    configuration: Mapping[str, Any] = field(default_factory=dict)
    # The operations of another app, by its id; None: no host has the app.
    other_apps: Callable[[str], InstanceOperations | None] = field(default=lambda app_id: None)
    app_ids: Callable[[], Sequence[str]] | None = None  # the apps that a request may name; None: only `app_id`


def management_routes(door: ManagementDoor, dapr: Callable[[], bytes]) -> list[Route]:
    """Make the routes.

    Args:
        dapr: Returns the description of Dapr's routes, as JSON.
    """
    endpoints = endpoints_of(door)
    description = DescriptionRoutes(endpoints, dapr, door.sidecar.control, secured=door.tokens is not None)
    tables = [*_tables(door), ((OPENAPI,), description)]
    handlers: list[tuple[Endpoint, Handler]] = [
        (endpoint, getattr(routes, endpoint.operation)) for table, routes in tables for endpoint in table
    ]
    apps = AppHandlers(door.app_id, partial(_handlers_of, door))
    return routes_of(handlers, body_bytes_max=door.body_bytes_max, apps=apps)


def _handlers_of(door: ManagementDoor, app_id: str) -> Mapping[str, Handler] | None:
    """Return the handlers for the instances of another app, by operation; None if no host has the app."""
    management = door.other_apps(app_id)
    if management is None:
        return None
    event_json = door.event_json_of(app_id) if door.event_json_of is not None else None
    tables = _tables(replace(door, management=management, app_id=app_id, event_json=event_json))
    return {endpoint.operation: getattr(routes, endpoint.operation) for table, routes in tables for endpoint in table}


ENDPOINTS: Sequence[Endpoint] = (
    *READING,
    *HISTORIES,
    *STARTING,
    *ACTIONS,
    *TRANSFER,
    *BULK_ENDPOINTS,
    *STREAMS,
    *STATE,
    *OVERVIEW,
    LOGIN,
    LOGOUT,
    OPENAPI,
)


def endpoints_of(door: ManagementDoor) -> list[Endpoint]:
    """Return the endpoints that are served, for their description."""
    there = {endpoint.operation for table, _ in _tables(door) for endpoint in table}
    return [endpoint for endpoint in ENDPOINTS if endpoint.operation in there or endpoint is OPENAPI]


def _tables(door: ManagementDoor) -> list[tuple[Sequence[Endpoint], object]]:
    """Pair the endpoints with the object of their handlers, which has a method of the name of each endpoint."""
    management = door.management
    tables: list[tuple[Sequence[Endpoint], object]] = [
        (READING, InstanceRoutes(management, app_id=door.app_id, stopping=door.stopping)),
        (STARTING, StartRoutes(management)),
        (ACTIONS, ActionRoutes(management)),
        (TRANSFER, TransferRoutes(management, stopping=door.stopping)),
        (STREAMS, StreamRoutes(management, app_id=door.app_id, stopping=door.stopping)),
        (BULK_ENDPOINTS, BulkRoutes(management, app_id=door.app_id)),
        (OVERVIEW, OverviewRoutes(management, door.sidecar, door.configuration, door.app_ids)),
        ((LOGIN, LOGOUT), SessionRoutes(door.tokens)),
    ]
    if (states := door.sidecar.states) is not None:
        tables.append((STATE, StoreRoutes(states.of_app(door.app_id))))
    if door.event_json is not None:
        tables.append((HISTORIES, HistoryRoutes(management, door.event_json)))
    return tables
