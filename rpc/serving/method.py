"""Makes handlers of grpc from functions, and statuses from errors, for the methods of the services.

The rule: code and text of a status are an interface, so each service has a function that makes them from an error. Any
other exception is a bug: the caller gets INTERNAL without details, and the log gets the traceback.

`rpc/services/` makes its services with this module.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, NamedTuple, NoReturn, Protocol, TypeAlias

import grpc

from ...actors.errors import HostSilent, HostStopping, HostUnreachable, MailboxFull, PerdureError, RingUnknown
from ...actors.store.errors import StoreFailed
from ...journal.journal import Journal
from ...journal.vocabulary import CALL_UNPARSABLE
from ..messages import DAPR, POOL, TASK_HUB, Message, MessageClass, message
from .unread import COUNTED_BYTES, UnreadAnswers

logger = logging.getLogger(__name__)

# The text of a status is sent in a header, where a byte may become three. A client refuses headers from 8 KiB on at
# random, and from 16 KiB on always: it then reports RESOURCE_EXHAUSTED in place of the status.
TEXT_BYTES_MAX = 2000
DETAILS = "grpc-status-details-bin"
DETAILS_BYTES_MAX = 4000  # longer details are left out, for the same reason


class Context(Protocol):
    """The used part of the context that grpc.aio gives to a method."""

    async def abort(
        self, code: grpc.StatusCode, details: str, trailing_metadata: tuple[tuple[str, bytes], ...] = ()
    ) -> NoReturn:
        """End the call with a status. Does not return."""
        ...

    async def write(self, message: bytes) -> None:
        """Send one message of a streaming answer."""
        ...

    def cancelled(self) -> bool:
        """Whether the client has cancelled the call."""
        ...

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """Return the metadata of the call: names in lower case, with values."""
        ...

    def peer(self) -> str:
        """Return the address of the client in grpc's form, such as `ipv4:127.0.0.1:41234`."""
        ...


class Failure(NamedTuple):
    """The status with which a failed call ends."""

    code: grpc.StatusCode
    text: str
    status: bytes | None = None  # google.rpc.Status with details, in serialized form


# Errors of any method after which the same call may succeed. A full mailbox is not RESOURCE_EXHAUSTED: a worker would
# conclude that its answer is too large, and give the workflow up (contract 3.5).
TRY_AGAIN = (HostSilent, HostStopping, HostUnreachable, MailboxFull, RingUnknown, StoreFailed)

INTERNAL = Failure(grpc.StatusCode.INTERNAL, "an internal error of Perdure; its log has the details")

# Go's code and words, without those of its parser.
UNPARSABLE = "grpc: error unmarshalling request: the message cannot be parsed"

Unary: TypeAlias = Callable[[Message, Context], Awaitable[Message]]
Streaming: TypeAlias = Callable[[Message, Context], Awaitable[None]]
Explain: TypeAlias = Callable[[str, PerdureError, Message], Failure]


def service(
    name: str,
    methods: Mapping[str, Unary | Streaming],
    explain: Explain,
    *,
    unread: UnreadAnswers | None = None,
    repeatable: Collection[str] = (),
) -> "ServiceTable":
    """Make a service of the schema.

    Args:
        name: Its full name.
        methods: A function for each of its methods. A streaming method writes serialized messages to its context,
            because most of their bytes may be cached.
        explain: Makes the status of a failed call from the name of the method, the error and the request.
        unread: Counts unread answers; None: this service counts its own.
        repeatable: The methods that only read. If their answer has to wait until earlier answers were read, it is not
            kept but made again.

    Returns:
        The table of its methods, from which a server makes grpc's handlers.
    """
    described = {method.name: method for method in POOL.FindServiceByName(name).methods}
    assert described.keys() == methods.keys(), described.keys() ^ methods.keys()
    journal = Journal(__name__)
    counted = unread if unread is not None else UnreadAnswers()
    served = {
        key: _served(described[key], _bounded(method, described[key], counted, key in repeatable), explain, journal)
        for key, method in methods.items()
    }
    return ServiceTable(name, served)


Serve: TypeAlias = Callable[[Message, Context], Awaitable[bytes | None]]


class ServedMethod(NamedTuple):
    """A method that a server serves."""

    request: MessageClass
    response: MessageClass  # the class of each message, if the method is streaming
    streaming: bool  # the method writes its messages to the context, and ends with an error
    # Takes the result of `parse`, and returns the serialized answer. Errors end in the context's `abort`.
    serve: "Callable[[Message | Unparsable, Context], Awaitable[bytes | None]]"

    def parse(self, data: bytes) -> "Message | Unparsable":
        """Parse a request."""
        return lenient(self.request.FromString)(data)


class ServiceTable(NamedTuple):
    """A service: its full name, and its methods by name."""

    name: str
    methods: Mapping[str, ServedMethod]

    def handler(self) -> Any:
        """Make grpc's handler, which is added to a server."""
        handlers = {}
        for name, method in self.methods.items():
            make = grpc.unary_stream_rpc_method_handler if method.streaming else grpc.unary_unary_rpc_method_handler
            handlers[name] = make(method.serve, request_deserializer=lenient(method.request.FromString))
        return grpc.method_handlers_generic_handler(self.name, handlers)


def _bounded(method: Unary | Streaming, described: Any, unread: UnreadAnswers, repeatable: bool) -> Serve:
    """Count the answers of a method until they have been read."""

    async def stream(request: Message, context: Context) -> None:
        await method(request, CountedContext(context, unread))

    async def unary(request: Message, context: Context) -> bytes:
        async def make() -> bytes:
            answer = await method(request, context)
            assert answer is not None
            data: bytes = answer.SerializeToString()
            return data

        data = await make()
        if len(data) < COUNTED_BYTES:
            return data
        client = context.peer()
        if not repeatable or unread.has_room(client, len(data)):
            reader = unread.hand_over(client, len(data))
        else:
            del data
            data, reader = await unread.in_turn(client, make)
        # The library sends the answer in this task, which ends when the answer was sent.
        task, size = asyncio.current_task(), len(data)
        assert task is not None
        task.add_done_callback(lambda _: unread.taken(reader, size))
        return data

    return stream if described.server_streaming else unary


class CountedContext:
    """The context of a streaming method, whose messages are counted until they have been read."""

    __slots__ = ("_context", "_unread", "abort", "cancelled", "invocation_metadata", "peer")

    def __init__(self, context: Context, unread: UnreadAnswers) -> None:
        self._context = context
        self._unread = unread
        self.abort = context.abort
        self.cancelled = context.cancelled
        self.invocation_metadata = context.invocation_metadata
        self.peer = context.peer

    async def write(self, message: bytes) -> None:
        """Send a message; a large one waits until the client has read the earlier ones."""
        if len(message) < COUNTED_BYTES:
            await self._context.write(message)
            return
        reader = self._unread.hand_over(self.peer(), len(message))
        try:
            await self._context.write(message)
        except BaseException:
            # If we cancel the call, the message stays in the library until its connection ends, and is counted until
            # then.
            if self.cancelled():
                self._unread.taken(reader, len(message))
            raise
        self._unread.taken(reader, len(message))


def _served(described: Any, method: Serve, explain: Explain, journal: Journal) -> ServedMethod:
    async def serve(request: Message | Unparsable, context: Context) -> Any:
        if isinstance(request, Unparsable):
            journal.write(CALL_UNPARSABLE, method=described.full_name, peer=context.peer())
            return await context.abort(grpc.StatusCode.INTERNAL, UNPARSABLE)
        try:
            return await method(request, context)
        except PerdureError as error:
            failure = explain(described.name, error, request)
        except Exception as error:
            if isinstance(error, grpc.aio.AbortError):
                raise
            logger.exception("%s broke", described.full_name)
            failure = INTERNAL
        if failure.status is None or len(failure.status) > DETAILS_BYTES_MAX:
            return await context.abort(failure.code, cut(failure.text))
        return await context.abort(failure.code, cut(failure.text), ((DETAILS, failure.status),))

    request, response = message(described.input_type.full_name), message(described.output_type.full_name)
    return ServedMethod(request, response, described.server_streaming, serve)


class Unparsable:
    """In place of the request of a call that cannot be parsed."""


def lenient(parse: Callable[[bytes], Message]) -> Callable[[bytes], Message | Unparsable]:
    """Make a parser that does not raise, because grpc would log a traceback for each message that it cannot parse."""

    def parse_or_not(data: bytes) -> Message | Unparsable:
        try:
            return parse(data)
        except Exception:
            return Unparsable()

    return parse_or_not


def cut(text: str) -> str:
    """Shorten a text to TEXT_BYTES_MAX bytes. A character that is not valid Unicode becomes "?"."""
    return text.encode("utf-8", "replace")[:TEXT_BYTES_MAX].decode("utf-8", "ignore")


class Unserved(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Answers all other methods of the services with UNIMPLEMENTED and a reason. It is added after the services."""

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler that refuses a method of a known service; None for any other service."""
        name, _, method = handler_call_details.method.removeprefix("/").rpartition("/")
        if name not in WHY_UNSERVED:
            return None
        text = f"{method} is not served: {WHY_UNSERVED[name]}"

        async def refuse(request: bytes, context: Context) -> NoReturn:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)

        return grpc.unary_unary_rpc_method_handler(refuse)


WHY_UNSERVED = {
    TASK_HUB: "Dapr dropped it in 1.17, and Perdure serves what Dapr serves today. "
    "Entities, task hubs and rewinding have no successor; for queries there are ListInstanceIDs and GetInstance",
    DAPR: "of Dapr's API Perdure serves workflows, state, metadata and shutdown, and none of the other building blocks",
}
