"""Reads the body of a request, up to a limit, for the handlers in `http/dapr/`.

The rule: a payload is kept as the text that was sent. Content-Type is
ignored, and only the workflow's code decodes the text.

Source: contract 1.2; dapr `pkg/api/http/universal.go`.
"""

from collections.abc import AsyncGenerator, Callable

import anyio
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from ..api.words import Refusal
from ..journal.journal import Journal
from ..journal.vocabulary import LIMIT_REACHED
from .errors import BODY_MALFORMED, BODY_TOO_LARGE

REST_BYTES_MAX = 64 * 1024  # of an unused body, which is read only so that its connection can be used again
REST_S = 1.0

# Decodes an object but not its members.
OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def read(request: Request, *, bytes_max: int) -> bytes:
    """Read the whole body.

    A body whose Content-Length is beyond the limit is refused before any byte of it is read. A body without
    Content-Length is refused at the byte that exceeds the limit.

    Raises:
        Refusal: The body has more than `bytes_max` bytes.
        ClientDisconnect: The caller closed the connection first.
    """
    if declared_bytes(request) > bytes_max:
        raise _too_large(request, bytes_max)
    return b"".join([piece async for piece in pieces(request, bytes_max=bytes_max, refusal=_too_large)])


async def pieces(
    request: Request, *, bytes_max: int, refusal: Callable[[Request, int], Refusal]
) -> AsyncGenerator[bytes, None]:
    """Read a body piece by piece.

    Args:
        refusal: Makes the error for a body of more than `bytes_max` bytes.

    Raises:
        Refusal: The body has more bytes.
        ClientDisconnect: The caller closed the connection first.
    """
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece = message.get("body", b"")
        size += len(piece)
        if size > bytes_max:
            raise refusal(request, bytes_max)
        yield piece
        if not message.get("more_body", False):
            return


def _too_large(request: Request, bytes_max: int) -> Refusal:
    # The app of the daemon has a journal (`http/app.py`).
    journal: Journal | None = getattr(getattr(request.scope.get("app"), "state", None), "journal", None)
    if journal is not None:
        what = f"a body of {request.method} {request.url.path} was refused with 413"
        journal.write(LIMIT_REACHED, limit="max_body_size", maximum=bytes_max, what=what, then="It counts bytes")
    return Refusal(BODY_TOO_LARGE, bytes_max=bytes_max)


def declared_bytes(request: Request) -> int:
    """Return the Content-Length; 0 if it is missing or no number."""
    for name, value in request.scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


async def read_text(request: Request, *, bytes_max: int) -> str:
    """Read a payload: any text, also an empty one.

    Dapr keeps any bytes and shows U+FFFD for bytes that are not UTF-8. Perdure keeps text only, and refuses a payload
    that it could not return unchanged.

    Raises:
        Refusal: The body is too large, or not UTF-8.
    """
    body = await read(request, bytes_max=bytes_max)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        detail = f"it is not UTF-8: {error.reason} at byte {error.start}"
        raise Refusal(BODY_MALFORMED, detail=detail) from None


async def read_nothing(request: Request, *, bytes_max: int) -> None:
    """Read the body of an operation without input: it is empty, or a JSON object, which is ignored.

    Raises:
        Refusal: The body is too large, or neither empty nor a JSON object.
    """
    body = await read(request, bytes_max=bytes_max)
    if not body:
        return
    try:
        OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(BODY_MALFORMED, detail=f"expected a JSON object or nothing: {error}") from None


class BodyReceipt:
    """Receives the body of a request, and knows whether it is complete."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.whole = False
        self.size = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self.size += len(message.get("body", b""))
        self.whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message


async def settle(scope: Scope, receipt: BodyReceipt, response: Response) -> None:
    """Read the rest of a body that the answer does not depend on, if it is short.

    A server closes a connection that has an unread body, and a client with a pool of connections would lose its next
    request on it. If the body is long or late, the answer says that the connection will be closed.
    """
    headers = {name for name, _ in scope["headers"]}
    if receipt.whole or not headers & {b"content-length", b"transfer-encoding"}:
        return
    with anyio.move_on_after(REST_S):
        while receipt.size <= REST_BYTES_MAX:
            await receipt()
            if receipt.whole:
                return
    response.headers["connection"] = "close"
