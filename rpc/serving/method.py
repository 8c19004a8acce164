"""Methods: from a function of ours to what grpc serves, and from an error to a status.

The one law: the text of an error is an interface, and its code too; each
service brings a function that knows both. What it does not know is a bug: the
caller hears that there was one, and the log hears which.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, NoReturn, Protocol, TypeAlias

import grpc

from ...actors.errors import HostStopping, HostUnreachable, MailboxFull, PerdureError
from ...actors.store.errors import StoreFailed
from ..wire.messages import DAPR, POOL, TASK_HUB, Message, message

logger = logging.getLogger(__name__)

# A status travels in a header, where a byte may become three. Clients that get more than 8 KiB of headers see
# RESOURCE_EXHAUSTED in place of the status, sometimes: between 8 and 16 grpc throws dice.
TEXT_BYTES_MAX = 2000


class Context(Protocol):
    """What grpc.aio hands to a method, as far as we use it."""

    async def abort(self, code: grpc.StatusCode, details: str) -> NoReturn: ...
    async def write(self, message: bytes) -> None: ...
    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]: ...
    def peer(self) -> str: ...


class Failure(NamedTuple):
    """How a call ends that went wrong."""

    code: grpc.StatusCode
    text: str


# What may succeed when it is sent again, whatever was asked. Not RESOURCE_EXHAUSTED for a full mailbox: to workers
# that means that their answer is too large, and they give up the workflow (contract 3.5).
TRY_AGAIN = (HostStopping, HostUnreachable, MailboxFull, StoreFailed)

INTERNAL = Failure(grpc.StatusCode.INTERNAL, "an internal error of Perdure; its log has the details")

Unary: TypeAlias = Callable[[Message, Context], Awaitable[Message]]
Streaming: TypeAlias = Callable[[Message, Context], Awaitable[None]]
Explain: TypeAlias = Callable[[str, PerdureError, Message], Failure]


def service(name: str, methods: Mapping[str, Unary | Streaming], explain: Explain) -> Any:
    """Make a service of the schema.

    Args:
        name: Its full name.
        methods: What serves each of its methods. A streaming one writes to its context, and what it writes is
            serialized: most of it may have been so for long.
        explain: Says how a call ends, from the method's name, the error and the request.
    """
    described = {method.name: method for method in POOL.FindServiceByName(name).methods}
    assert described.keys() == methods.keys(), described.keys() ^ methods.keys()
    handlers = {key: _handler(described[key], method, explain) for key, method in methods.items()}
    return grpc.method_handlers_generic_handler(name, handlers)


def _handler(described: Any, method: Unary | Streaming, explain: Explain) -> Any:
    async def serve(request: Message, context: Context) -> Any:
        try:
            return await method(request, context)
        except PerdureError as error:
            failure = explain(described.name, error, request)
        except Exception as error:
            if isinstance(error, grpc.aio.AbortError):
                raise
            logger.exception("%s broke", described.full_name)
            failure = INTERNAL
        return await context.abort(failure.code, cut(failure.text))

    deserializer = message(described.input_type.full_name).FromString
    if described.server_streaming:
        return grpc.unary_stream_rpc_method_handler(serve, request_deserializer=deserializer)
    return grpc.unary_unary_rpc_method_handler(
        serve,
        request_deserializer=deserializer,
        response_serializer=message(described.output_type.full_name).SerializeToString,
    )


def cut(text: str) -> str:
    """Cut a text to what a header holds. Of what is no Unicode, "?" remains."""
    return text.encode("utf-8", "replace")[:TEXT_BYTES_MAX].decode("utf-8", "ignore")


class Unserved(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Says of the methods that we do not serve that we do not, and why. Goes behind the services."""

    def service(self, handler_call_details: Any) -> Any:
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
    DAPR: "of Dapr's API Perdure serves workflows, metadata and shutdown, and none of the other building blocks",
}
