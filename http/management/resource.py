"""Serves a path of the management API: calls the handler of the method, and turns errors into answers.

The rule: every error is JSON, with the right status. An unknown path is answered with 404, and a method that the path
does not have with 405 and `Allow`. Dapr's routes answer both with 404 (`http/errors.py`).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NoReturn

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ...actors.errors import PerdureError
from ...api.management.words import (
    BUGS,
    FILTER_INVALID,
    METHOD_NOT_ALLOWED,
    NO_SUCH_ROUTE,
    QUERY_INVALID,
    management_refusal,
)
from ...api.words import Refusal
from ..body import BodyReceipt, settle
from ..errors import NO_ROUTE, answer, answer_path_malformed, answer_refusal
from ..path import PathMalformed, own_path, parameter, query_pairs
from .call import ManagementCall
from .endpoint import APP_ID, PREFIX, Endpoint

Handler = Callable[[ManagementCall], Awaitable[Response]]


class AppHandlers:
    """The handlers for the other apps, made when a request names the app.

    Args:
        own: The app for requests that name no app.
        make: Makes the handlers for an app, by operation; None: no host has the app.
    """

    def __init__(self, own: str = "", make: Callable[[str], Mapping[str, Handler] | None] = lambda app_id: None):
        self.own = own
        self._make = make
        self._known: dict[str, Mapping[str, Handler]] = {}

    def find(self, operation: str, app_id: str) -> Handler | None:
        """Return the handler of an operation on the instances of another app; None if no host has that app."""
        handlers = self._known.get(app_id) or self._make(app_id)
        if handlers is None:
            return None
        self._known[app_id] = handlers
        return handlers.get(operation)


class Resource:
    """Answers the requests for one path.

    Args:
        handlers: The endpoint and its handler, by method.
        apps: The handlers for other apps.
    """

    def __init__(
        self, handlers: Mapping[str, tuple[Endpoint, Handler]], *, body_bytes_max: int, apps: AppHandlers | None = None
    ) -> None:
        self.handlers = handlers
        self.body_bytes_max = body_bytes_max
        self.apps = apps or AppHandlers()
        self.allowed = ", ".join(sorted(handlers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        receipt = BodyReceipt(receive)
        response = await self.respond(Request(scope, receipt, send))
        await settle(scope, receipt, response)
        await response(scope, receive, send)

    async def respond(self, request: Request) -> Response:
        """Make the answer to a request."""
        if calls_another_app(request):
            return answer(*NO_ROUTE)
        found = self.handlers.get(request.method)
        if found is None:
            fields = {"method": request.method, "path": own_path(request.scope), "allowed": self.allowed}
            refused = Refusal(METHOD_NOT_ALLOWED, **fields)
            return answer(405, METHOD_NOT_ALLOWED.code, str(refused), {"allow": self.allowed})
        endpoint, handler = found
        try:
            app_id = app_named(request, endpoint)
            if app_id not in (None, self.apps.own):
                assert app_id is not None
                handler = self.apps.find(endpoint.operation, app_id) or self._refuse_app(endpoint, app_id)
            return await handler(ManagementCall(request, endpoint, body_bytes_max=self.body_bytes_max))
        except PathMalformed as error:
            return await answer_path_malformed(request, error)
        except ClientDisconnect:
            return Response(status_code=400)  # it is never read
        except BUGS:
            raise
        except PerdureError as error:
            return await answer_refusal(request, management_refusal(error, instance_id=instance_of(request)))

    def _refuse_app(self, endpoint: Endpoint, app_id: str) -> NoReturn:
        detail = (
            f"'app_id' is {app_id!r}, and no host has that app; this one has {self.apps.own!r} where it is left out"
        )
        raise Refusal(FILTER_INVALID if endpoint.filters else QUERY_INVALID, detail=detail)


def app_named(request: Request, endpoint: Endpoint) -> str | None:
    """Return the app that the query names; None if it names none.

    Raises:
        Refusal: The query names several apps, or an empty id.
    """
    named = [value for name, value in query_pairs(request) if name == APP_ID]
    if not named:
        return None
    if len(named) > 1 or not named[0]:
        wrong = "is given twice; it takes one value" if len(named) > 1 else "is empty; leave it out, or give it a value"
        raise Refusal(FILTER_INVALID if endpoint.filters else QUERY_INVALID, detail=f"{APP_ID!r} {wrong}")
    return named[0]


class Nowhere:
    """Answers the requests for paths below the prefix that the API does not have."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if calls_another_app(Request(scope)):
            response = answer(*NO_ROUTE)
        else:
            response = answer(404, NO_SUCH_ROUTE.code, str(Refusal(NO_SUCH_ROUTE, path=own_path(scope))))
        await settle(scope, BodyReceipt(receive), response)
        await response(scope, receive, send)


def calls_another_app(request: Request) -> bool:
    """Return whether a request is for the app behind the sidecar. In Dapr this header makes any path an app's."""
    return "dapr-app-id" in request.headers


def routes_of(
    handlers: Iterable[tuple[Endpoint, Handler]],
    *,
    body_bytes_max: int,
    prefix: str = PREFIX,
    apps: AppHandlers | None = None,
) -> list[Route]:
    """Make the routes of endpoints: one for each path, and one for all other paths below the prefix."""
    by_path: dict[str, dict[str, tuple[Endpoint, Handler]]] = {}
    for endpoint, handler in handlers:
        methods = by_path.setdefault(endpoint.path, {})
        assert endpoint.method not in methods, endpoint
        methods[endpoint.method] = endpoint, handler
    routes = [
        Route(f"{prefix}{path}", Resource(methods, body_bytes_max=body_bytes_max, apps=apps))
        for path, methods in by_path.items()
    ]
    return [*routes, Route(prefix, Nowhere()), Route(f"{prefix}/{{rest:path}}", Nowhere())]


def instance_of(request: Request) -> str | None:
    """Return the instance that the path names; None if it names none."""
    return parameter(request, "id") if "id" in request.path_params else None
