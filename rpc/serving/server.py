"""The gRPC server: one port for Dapr's own API and the task hub; `daemon/` starts it.

The rule: only the program decides when to stop, as for HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection

from ...api.ports import CannotListen, Door, address_of
from ...api.tokens import Tokens
from ..messages import DAPR, POOL, TASK_HUB
from .auth import TokenInterceptor
from .method import ServiceTable, Unserved

# The largest message of JavaScript's SDK. With Dapr's 4 MiB, a worker with a larger answer is stuck for ever.
RECEIVE_BYTES_MAX = 128 * 1024 * 1024

# SDKs ping every 30 s over connections that may be idle for hours. By default grpc treats two such pings as abuse, and
# closes the connection with "too many pings" (contract 3.5).
LENIENT = {
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.http2.min_recv_ping_interval_without_data_ms": 5_000,
    "grpc.http2.max_ping_strikes": 0,
}

# Calls that wait for the event loop. By default grpc drops new calls at random from 1 000 on, and all from 3 000 on,
# answers of workers too. A waiting call takes about 20 kB.
WAITING_CALLS_MAX = 20_000
WAITING = {
    "grpc.server.max_pending_requests": WAITING_CALLS_MAX,
    "grpc.server.max_pending_requests_hard_limit": WAITING_CALLS_MAX,  # the same, so that no call is refused at random
}

# Calls of one connection at the same time. The client's library holds further calls back; by default there is no limit.
CONNECTION_CALLS_MAX = 20_000

# Pings find a machine that has vanished, so that its work goes to another one. Dapr waits 5 s for the answer to a ping,
# which is too short for a JavaScript worker that computes.
OWN_PINGS = {
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 20_000,
}


# From the connection to the first frame of the client (SETTINGS).
HANDSHAKE_MS = 20_000


INT_MAX = 2**31 - 1  # the largest value of a grpc option; no message can be longer


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcOptions:
    """The options of the gRPC API."""

    api_tokens: tuple[str, ...] | Tokens = ()  # any of them opens the API; empty: it is open to all
    receive_bytes_max: int = RECEIVE_BYTES_MAX  # of one message
    connections_max: int = 1_000

    def __post_init__(self) -> None:
        if not isinstance(self.api_tokens, Tokens) and not all(self.api_tokens):
            raise ValueError("api_tokens must not hold an empty token: it would be no secret")
        if self.receive_bytes_max < 1:
            raise ValueError(f"receive_bytes_max must be at least 1, not {self.receive_bytes_max}")


class RpcServer:
    """A server that has taken its port. It serves after `start`."""

    def __init__(self, server: Any, port: int) -> None:
        self._server = server
        self.port = port

    async def start(self) -> None:
        """Serve. Callers that have connected since the port was taken are served first."""
        await self._server.start()

    async def stop(self, *, grace_s: float) -> None:
        """Take no more calls, let running calls finish, and return.

        A stream of work ends only when the dispatcher ends it: stop the dispatcher first, or the streams use up the
        grace.

        Args:
            grace_s: How long running calls may take before they are cancelled, in seconds.
        """
        await self._server.stop(grace_s)


def create_server(
    services: Sequence[ServiceTable], options: RpcOptions, *, host: str, port: int, shared: bool = False
) -> RpcServer:
    """Make a server and take its port. To be called in the event loop that will serve.

    Args:
        services: From `task_hub` and `dapr`.
        options: The tokens and the limit of messages.
        host: An address of this machine, or a name.
        port: 0 for any free port; the server's `port` has its number.
        shared: Other processes of this daemon listen on the same port; the kernel spreads the connections.

    Raises:
        CannotListen: The port cannot be taken.
    """
    server = grpc.aio.server(
        interceptors=[TokenInterceptor(options.api_tokens)] if options.api_tokens else [],
        options=list(channel_options(options, shared=shared).items()),
    )
    server.add_generic_rpc_handlers((*(service.handler() for service in services), Unserved()))
    reflection.enable_server_reflection([TASK_HUB, DAPR, reflection.SERVICE_NAME], server, pool=POOL)
    try:
        taken: int = server.add_insecure_port(address_of(host, port))
    except RuntimeError as error:
        raise CannotListen(host, port, error, Door.GRPC) from error
    return RpcServer(server, taken)


def channel_options(options: RpcOptions, *, shared: bool = False) -> dict[str, int]:
    """Return grpc's options for a server that allows idle and slow clients and large messages."""
    return {
        **LENIENT,
        **OWN_PINGS,
        **WAITING,
        "grpc.max_allowed_incoming_connections": options.connections_max,
        "grpc.max_concurrent_streams": CONNECTION_CALLS_MAX,
        # A silent connection is closed after this time; by default after two minutes.
        "grpc.server_handshake_timeout_ms": HANDSHAKE_MS,
        "grpc.max_receive_message_length": min(options.receive_bytes_max, INT_MAX),
        "grpc.max_send_message_length": -1,  # a payload that was accepted must fit into an answer
        # By default a second server could take the same port too, and each would get half of the calls.
        "grpc.so_reuseport": int(shared),
    }
