"""Who may come in: the `dapr-api-token` header.

The one law: every token is compared, each in constant time, whatever the
others said, so that how long the answer takes tells nothing.

Several tokens are for rotation: add the new one, move the callers over, take
the old one away.

Source: contract 1.8; dapr `pkg/api/http/middlewares.go` (APITokenAuthMiddleware).
"""

import hashlib
import hmac
from collections.abc import Sequence

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

TOKEN_HEADER = b"dapr-api-token"

# Probes come without a token. GET only; the path is the cleaned one (see `path`).
OPEN_PATHS = frozenset({"/v1.0/healthz", "/v1.0/healthz/outbound"})


class TokenAuth:
    """Answer 401 to whoever brings none of the tokens."""

    def __init__(self, app: ASGIApp, tokens: Sequence[str]) -> None:
        assert tokens, "without tokens there is nothing to check; leave this layer out"
        self.app = app
        self.digests = tuple(digest(token.encode()) for token in tokens)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope) or self.knows(token_of(scope)):
            await self.app(scope, receive, send)
            return
        await PlainTextResponse("invalid api token", status_code=401)(scope, receive, send)

    def knows(self, token: bytes | None) -> bool:
        """Say whether a token is one of ours."""
        if token is None:
            return False
        found = False
        given = digest(token)
        for known in self.digests:
            found |= hmac.compare_digest(given, known)
        return found


def digest(token: bytes) -> bytes:
    """Bring tokens to one length: `compare_digest` is constant in time only among equals of length."""
    return hashlib.sha256(token).digest()


def is_open(scope: Scope) -> bool:
    """Say whether the request is a health probe."""
    return scope["method"] == "GET" and scope["path"] in OPEN_PATHS


def token_of(scope: Scope) -> bytes | None:
    """Find the token; the first, if somebody sent several."""
    for name, value in scope["headers"]:
        if name == TOKEN_HEADER:
            return bytes(value)
    return None
