"""The handlers that export and import an instance.

The rule: neither blocks other requests, whatever the size of the history. An export is written line by line. An import
is read as it arrives, up to its own limit.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
from starlette.requests import Request
from starlette.responses import Response

from ....actors.errors import PerdureError
from ....api.management.instances import InstanceSummary
from ....api.management.lines import LineCutter
from ....api.management.words import (
    EXISTS,
    HISTORY_UNREADABLE,
    IMPORT_MALFORMED,
    IMPORT_TOO_LARGE,
    IMPORT_UNFINISHED,
    LIMIT_EXCEEDED,
    REQUEST_INVALID,
)
from ....api.words import NOT_FOUND, Refusal
from ....runtime.operations.management import InstanceOperations
from ...body import pieces
from ..call import ManagementCall
from ..endpoint import NDJSON, Endpoint, Payload, QueryField, Success
from ..live import LiveStream, Write
from .actions import by_of, started
from .endpoints import WORD
from .instances import STOPPED, error_line

IMPORT_BYTES_MAX = 256 * 1024 * 1024  # of a whole instance, which is written in one commit
WRITTEN_AT_ONCE = 64 * 1024  # bytes

EXPORT = Endpoint(
    "export_instance",
    "GET",
    "/instances/{id}/export",
    "history",
    "Export a whole instance",
    (Success(200, "Lines of JSON: a header, then the events, each with its turn", media=(NDJSON,)),),
    errors=(NOT_FOUND, HISTORY_UNREADABLE),
    description="The current generation, as last committed. If the export fails, the last line is an error.",
)

IMPORT = Endpoint(
    "import_instance",
    "POST",
    "/import",
    "history",
    "Import an instance from an export",
    (Success(201, "It is stored", InstanceSummary, etag=True),),
    errors=(
        *(IMPORT_MALFORMED, IMPORT_UNFINISHED, IMPORT_TOO_LARGE, EXISTS, LIMIT_EXCEEDED, REQUEST_INVALID),
        HISTORY_UNREADABLE,
        NOT_FOUND,
    ),
    query=(QueryField("id", WORD, "Another id for the instance. The id must be free."),),
    body=Payload("The lines of an export"),
    description="The instance must have ended. An import performs no activity, sends no message and sets no timer.",
)

TRANSFER = (EXPORT, IMPORT)


class TransferRoutes:
    """The handlers of export and import.

    Args:
        stopping: Set when the daemon begins to stop.
    """

    def __init__(self, management: InstanceOperations, *, stopping: anyio.Event) -> None:
        self.transfer = management.transfer
        self.descriptions = management.views.descriptions
        self.stopping = stopping

    async def export_instance(self, call: ManagementCall) -> Response:
        """Stream an instance as lines of JSON."""
        lines = self.transfer.export(call.id)
        # The first line is read before the status is sent, so that a missing instance is answered with 404.
        first = await anext(aiter(lines))

        async def produce(write: Write) -> None:
            piece = first
            async with aclosing(lines):  # type: ignore[type-var]  # `lines` is a generator
                try:
                    async for line in lines:
                        piece += line
                        if len(piece) >= WRITTEN_AT_ONCE:
                            await write(piece)
                            piece = b""
                except PerdureError as error:
                    piece += error_line(error)
            await write(piece)

        return LiveStream(produce, self.stopping, media_type=NDJSON, last_word=STOPPED)

    async def import_instance(self, call: ManagementCall) -> Response:
        """Import an instance from the lines of an export."""
        lines = lines_of(call.request, bytes_max=IMPORT_BYTES_MAX)
        async with aclosing(lines):
            instance_id = await self.transfer.import_(lines, by=by_of(call), new_id=call.query.word("id"))
        return await started(call, self.descriptions, instance_id, status=201)


async def lines_of(request: Request, *, bytes_max: int) -> AsyncGenerator[bytes, None]:
    """Read the body line by line, each with its end.

    Raises:
        Refusal: The body has more than `bytes_max` bytes.
        ClientDisconnect: The caller closed the connection first.
    """
    cutter = LineCutter()
    async with aclosing(pieces(request, bytes_max=bytes_max, refusal=_too_large)) as body:
        async for piece in body:
            for line in cutter.cut(piece):
                yield line + b"\n"
    if rest := cutter.rest():
        yield rest


def _too_large(request: Request, bytes_max: int) -> Refusal:
    return Refusal(IMPORT_TOO_LARGE, bytes_max=bytes_max)
