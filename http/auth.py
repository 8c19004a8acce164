"""The check of the `dapr-api-token` header, as ASGI middleware.

Source: contract 1.8; dapr `pkg/api/http/middlewares.go` (APITokenAuthMiddleware).
"""

from collections.abc import Sequence

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ..api.tokens import Tokens

TOKEN_HEADER = b"dapr-api-token"

# Probes come without a token. GET only; the path is the cleaned one (see `path`).
OPEN_PATHS = frozenset({"/v1.0/healthz", "/v1.0/healthz/outbound"})


class TokenAuth:
    """Answers 401 to a request that has no known token and is no health probe."""

    def __init__(self, app: ASGIApp, tokens: Sequence[str] | Tokens) -> None:
        self.app = app
        self.tokens = tokens if isinstance(tokens, Tokens) else Tokens(tokens)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope) or self.tokens.know(token_of(scope)):
            await self.app(scope, receive, send)
            return
        await PlainTextResponse("invalid api token", status_code=401)(scope, receive, send)


def is_open(scope: Scope) -> bool:
    """Return whether a request is a health probe."""
    return scope["method"] == "GET" and scope["path"] in OPEN_PATHS


def token_of(scope: Scope) -> bytes | None:
    """Return the token of a request, of several the first; None if there is none."""
    for name, value in scope["headers"]:
        if name == TOKEN_HEADER:
            return bytes(value)
    return None
