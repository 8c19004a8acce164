"""The check of the token in the metadata of a call (`dapr-api-token`), as an interceptor.

The rule: if the daemon has tokens, a call without one of them reaches no method.

`rpc/serving/server.py` puts it before all services.

Source: contract 1.8; dapr `pkg/api/grpc/auth.go`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

import grpc

from ...api.tokens import ANONYMOUS, Tokens
from .method import Context

TOKEN_KEY = "dapr-api-token"  # noqa: S105  the name of the key

MISSING = "missing api token in request metadata"
MISMATCH = "authentication error: api token mismatch"


class TokenInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Ends calls without a known token with UNAUTHENTICATED."""

    def __init__(self, tokens: Sequence[str] | Tokens) -> None:
        self._tokens = tokens if isinstance(tokens, Tokens) else Tokens(tokens)

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        """Let a call with a known token pass; answer any other call with the reason."""
        token = token_of(handler_call_details.invocation_metadata)
        if self._tokens.know(token):
            return await continuation(handler_call_details)
        return REFUSE_MISSING if token is None else REFUSE_MISMATCH


def anonymous(context: Context) -> str:
    """Return the name of callers of a server without tokens."""
    return ANONYMOUS


def actor_by(tokens: Sequence[str] | Tokens) -> Callable[[Context], str]:
    """Make the function that returns the name of the caller, for calls that have passed the interceptor.

    Args:
        tokens: The tokens of the interceptor; empty: all callers are anonymous.
    """
    if not tokens:
        return anonymous
    known = tokens if isinstance(tokens, Tokens) else Tokens(tokens)

    def actor(context: Context) -> str:
        # The token may have been removed since the call began.
        return known.name_of(token_of(context.invocation_metadata())) or ANONYMOUS

    return actor


def token_of(metadata: Sequence[tuple[str, str | bytes]]) -> bytes | None:
    """Return the token of a call, the first of several; None if there is none."""
    for key, value in metadata:
        if key == TOKEN_KEY:
            return value.encode() if isinstance(value, str) else value
    return None


def _refusal(text: str) -> Any:
    async def refuse(request: bytes, context: Context) -> NoReturn:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, text)

    return grpc.unary_unary_rpc_method_handler(refuse)


REFUSE_MISSING = _refusal(MISSING)
REFUSE_MISMATCH = _refusal(MISMATCH)
