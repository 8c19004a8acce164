"""The check of the token, as ASGI middleware.

The rule: Dapr's routes require Dapr's header and answer in Dapr's words. The management API (`/api/v1`) also accepts
`Authorization: Bearer` and the cookie of a browser that has logged in, and answers in JSON.

The handlers get the name of the caller from `actor_of`.

Source: contract 1.8; dapr `pkg/api/http/middlewares.go` (APITokenAuthMiddleware).
"""

import time
from collections.abc import Callable, Sequence

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..api.tokens import ANONYMOUS, Tokens
from ..api.words import ErrorAnswer
from .body import BodyReceipt, settle
from .browser_guard import READING
from .errors import answer
from .path import own_path
from .session_cookie import known_by_cookie

TOKEN_HEADER = b"dapr-api-token"

# Paths that need no token: probes, and the pages that a browser shows before its login. GET only; cleaned paths.
OPEN_PATHS = frozenset(
    {"/healthz/ready", "/healthz/live", "/v1.0/healthz", "/v1.0/healthz/outbound", "/", "/docs", "/ui"}
)
OPEN_FOLDERS = ("/docs/", "/ui/")
LOGIN = ("POST", "/api/v1/session")

MANAGEMENT = "/api/v1"
# Keys of a scope: the caller, and the door of the request. No request from outside can set them.
ACTOR = "perdure_actor"
DOOR = "perdure_door"
API = "api"  # the door of callers from outside, in the audit

TOKEN_MISSING = ErrorAnswer(
    401,
    "ERR_TOKEN_REQUIRED",
    "this needs an API token, in a header `dapr-api-token: TOKEN` or `Authorization: Bearer TOKEN`; a page logs in "
    "with POST /api/v1/session.",
)
TOKEN_UNKNOWN = ErrorAnswer(
    401,
    "ERR_TOKEN_UNKNOWN",
    "this daemon does not know the API token. Compare it with its PERDURE_API_TOKEN or --api-token-file.",
)
WRITE_BY_COOKIE = ErrorAnswer(
    403,
    "ERR_ORIGIN_NOT_ALLOWED",
    "a browser that has logged in may change something only from a page of this daemon: with the header "
    "`Sec-Fetch-Site: same-origin`, or an `Origin` that is equal to `Host`. Other callers send the token.",
)
CHALLENGE = {"www-authenticate": "Bearer"}


class TokenAuth:
    """Answers 401 to a request without a known token, unless its path is open to all."""

    def __init__(self, app: ASGIApp, tokens: Sequence[str] | Tokens, *, now_s: Callable[[], float] = time.time) -> None:
        self.app = app
        self.tokens = tokens if isinstance(tokens, Tokens) else Tokens(tokens)
        self.now_s = now_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        actor = self.tokens.name_of(token_of(scope))
        if is_open(scope):
            actor = actor or self.tokens.name_of(bearer_of(scope))
            await self.app(scope if actor is None else {**scope, ACTOR: actor}, receive, send)
            return
        if actor is None:
            found = self.manager_of(scope) if is_management(scope) else refusal()
            if isinstance(found, Response):
                await settle(scope, BodyReceipt(receive), found)
                await found(scope, receive, send)
                return
            actor = found
        scope[ACTOR] = actor
        await self.app(scope, receive, send)

    def manager_of(self, scope: Scope) -> str | Response:
        """Find the caller of the management API: the name of its token, or the answer if it has no known token."""
        bearer = bearer_of(scope)
        if (name := self.tokens.name_of(bearer)) is not None:
            return name
        if bearer is not None or token_of(scope) is not None:
            return answer(*TOKEN_UNKNOWN, CHALLENGE)
        name = known_by_cookie(self.tokens, scope, now_s=self.now_s())
        if name is None:
            return answer(*TOKEN_MISSING, CHALLENGE)
        if scope["method"] not in READING and not is_of_own_page(scope):
            return answer(*WRITE_BY_COOKIE)
        return name


def refusal() -> Response:
    """Make Dapr's answer to a request without a known token."""
    return PlainTextResponse("invalid api token", status_code=401)


def actor_of(scope: Scope) -> str:
    """Return the name of the token of a request; if the daemon has no tokens, all callers are `anonymous`."""
    actor: str = scope.get(ACTOR, ANONYMOUS)
    return actor


def door_of(scope: Scope) -> str:
    """Return the door by which a request for the management API came, for the audit."""
    door: str = scope.get(DOOR, API)
    return door


def has_shown_token(scope: Scope) -> bool:
    """Return whether a request has a known token; False if the daemon has no tokens."""
    return ACTOR in scope


def is_open(scope: Scope) -> bool:
    """Return whether a request needs no token."""
    path = own_path(scope)
    if scope["method"] == "GET":
        return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)
    return (scope["method"], path) == LOGIN


def is_management(scope: Scope) -> bool:
    """Return whether a request is for the management API."""
    path = own_path(scope)
    return path == MANAGEMENT or path.startswith(f"{MANAGEMENT}/")


def is_of_own_page(scope: Scope) -> bool:
    """Return whether a browser says that the request is from a page of this address."""
    headers = dict(scope["headers"])
    if (site := headers.get(b"sec-fetch-site")) is not None:
        return bool(site == b"same-origin")
    _, _, authority = headers.get(b"origin", b"").lower().partition(b"://")
    return bool(authority) and authority == headers.get(b"host", b"").lower()


def token_of(scope: Scope) -> bytes | None:
    """Return the token of a request, the first of several; None if there is none."""
    return header(scope, TOKEN_HEADER)


def bearer_of(scope: Scope) -> bytes | None:
    """Return the Bearer token of the Authorization header; None if there is none."""
    kind, _, token = (header(scope, b"authorization") or b"").partition(b" ")
    return token if kind.lower() == b"bearer" else None


def header(scope: Scope, key: bytes) -> bytes | None:
    """Return the value of a header, the first of several; None if there is none."""
    for name, value in scope["headers"]:
        if name == key:
            return bytes(value)
    return None
