"""Serving an ASGI app on one port, inside of a program that has an event loop of its own.

The one law: the program decides when to stop, and this module stops. uvicorn
alone would take the signals, the logging and the exit code to itself; here it
gets none of them.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httptools
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .listener import BACKLOG

# Longer than the 90 s after which Go's client lets go of an idle connection. If the server were the first to close,
# a client that reuses the connection at that moment would see it reset.
KEEP_ALIVE_S = 120

# The Date header counts seconds, so the server wakes once in each. uvicorn's own loop does it ten times.
TICK_S = 1.0

# Of a request line and its headers, so that a head without end cannot fill the memory. Dapr takes 4 KiB; this is the
# limit of h11, and generous for any id or token.
HEAD_BYTES_MAX = 64 * 1024


async def serve(
    app: ASGIApp,
    *,
    listener: socket.socket,
    stop: anyio.Event,
    ready: Callable[[], None] = lambda: None,
    grace_s: float = 10.0,
) -> None:
    """Serve until told to stop; then take no more connections, let running requests finish, and return.

    When this returns, or is cancelled, the port is free, no connection is open
    and no handler runs.

    Args:
        app: What to serve.
        listener: From `http/serving/listener.py`. It is closed here.
        stop: Set it to stop.
        ready: Called once, when requests are being answered.
        grace_s: How long running requests may take after `stop`. What has not finished then is cancelled.
    """
    server = EmbeddedServer(configure(app, grace_s), stop, ready)
    try:
        await server.serve([listener])
    finally:
        with anyio.CancelScope(shield=True):
            await server.abandon()
        listener.close()


def configure(app: ASGIApp, grace_s: float) -> uvicorn.Config:
    """Configure uvicorn: fast, silent, and with no hold on the process around it."""
    # uvicorn declares whole seconds and hands the value to asyncio.wait_for, which takes any.
    grace: Any = grace_s
    return uvicorn.Config(
        app,
        http=PlainHttp,
        ws="none",
        loop="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=grace,
    )


class EmbeddedServer(uvicorn.Server):
    """uvicorn's server, told by an event when to stop."""

    def __init__(self, config: uvicorn.Config, stop: anyio.Event, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.stop = stop
        self.ready = ready
        self.servers: list[asyncio.base_events.Server] = []  # uvicorn fills it when it starts

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: the daemon has handlers of its own."""
        yield

    async def main_loop(self) -> None:
        # The first tick fills in the Date header; no answer can have been sent without it yet.
        await self.on_tick(0)
        self.ready()
        while not self.stop.is_set():
            with anyio.move_on_after(TICK_S):
                await self.stop.wait()
            await self.on_tick(0)

    async def abandon(self) -> None:
        """Close all connections, and wait for the handlers that still run.

        After the grace period uvicorn cancels handlers and does not wait for
        them; a uvicorn that is cancelled itself does nothing at all.
        """
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class PlainHttp(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, which takes no offer of another protocol and no endless head.

    Java's own client, and every client built on it, offers HTTP/2 with each request
    (`Upgrade: h2c`). A server may ignore that (RFC 9110, 7.8). uvicorn ignores it,
    but its parser stops after the head, so that the handler gets an empty body:
    an instance would be started without its input, with 202. This may go when
    https://github.com/Kludex/uvicorn/issues/2722 is closed.
    """

    in_head = False
    head_bytes = 0

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = self.without_offer(data[offer.args[0] :])
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
                return
            else:
                break
        if self.in_head:
            self.head_bytes += len(data)
            if self.head_bytes > HEAD_BYTES_MAX:
                self.send_400_response(f"The head of the request has more than {HEAD_BYTES_MAX} bytes.")

    def without_offer(self, rest: bytes) -> bytes:
        """Serialize the request again for a fresh parser: its head without the offer, and the bytes after it."""
        method = self.parser.get_method()
        if method == b"CONNECT":  # it is nothing but an offer
            self.send_400_response("Invalid HTTP request received.")
            return b""
        version = self.parser.get_http_version().encode()
        head = [b"%b %b HTTP/%b" % (method, self.url, version)]
        head += [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        return b"\r\n".join([*head, b"", rest])

    def on_message_begin(self) -> None:
        self.in_head = True
        self.head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.in_head = False
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()
