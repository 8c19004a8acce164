"""Serving an ASGI app on one port, inside of a program that has an event loop of its own.

The rule: the program decides when to stop, and this module stops. uvicorn
alone would take the signals, the logging and the exit code to itself; here it
gets none of them.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import anyio
import uvicorn
from starlette.types import ASGIApp

from .crowd import ConnectionLimits, Crowd
from .listener import BACKLOG
from .protocol import PlainHttp

logger = logging.getLogger(__name__)

STOP_TICK_S = 0.01  # how often it is looked, once the server ends, whether all have gone


async def serve(
    app: ASGIApp,
    *,
    listener: socket.socket,
    stop: anyio.Event,
    ready: Callable[[], None] = lambda: None,
    grace_s: float = 10.0,
    limits: ConnectionLimits | None = None,
) -> None:
    """Serve until told to stop; then take no more connections, let running requests finish, and return.

    When this returns, or is cancelled, the port is free, no connection is open
    and no handler runs.

    Args:
        app: The app to serve.
        listener: From `http/serving/listener.py`. It is closed here.
        stop: Set it to stop.
        ready: Called once, when requests are being answered.
        grace_s: How long running requests may take after `stop`. A request that has not finished then is cancelled; a
            request whose body has not come whole is cut off at once.
        limits: The limits on clients.
    """
    server = EmbeddedServer(app, limits or ConnectionLimits(), stop, ready, grace_s)
    try:
        await server.serve([listener])
    finally:
        with anyio.CancelScope(shield=True):
            await server.abandon()
        listener.close()


class EmbeddedServer(uvicorn.Server):
    """uvicorn's server, told by an event when to stop."""

    def __init__(
        self, app: ASGIApp, limits: ConnectionLimits, stop: anyio.Event, ready: Callable[[], None], grace_s: float
    ) -> None:
        self.crowd = Crowd(limits, asyncio.get_running_loop().time())
        super().__init__(configure(app, self.crowd))
        self.stop = stop
        self.ready = ready
        self.grace_s = grace_s
        self.servers: list[asyncio.base_events.Server] = []  # uvicorn fills it when it starts

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: the daemon has handlers of its own."""
        yield

    async def main_loop(self) -> None:
        """Serve until the event is set, and look at deadlines meanwhile."""
        # The first tick fills in the Date header; no answer can have been sent without it yet.
        await self.on_tick(0)
        self.ready()
        while not self.stop.is_set():
            # The Date header counts seconds, so the server wakes once in each. uvicorn's own loop does it ten times.
            with anyio.move_on_after(self.crowd.limits.sweep_s):
                await self.stop.wait()
            await self.on_tick(0)
            self.sweep()

    def sweep(self) -> None:
        """Look at the deadlines of all connections."""
        connections: Any = self.server_state.connections
        self.crowd.sweep(connections, asyncio.get_running_loop().time())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and wait for the requests under way, up to the grace period."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with anyio.move_on_after(self.grace_s) as grace:
            while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110  once, while stopping
                await anyio.sleep(STOP_TICK_S)
        if grace.cancelled_caught:
            logger.warning(
                "%d requests did not finish in %g s, and are cancelled", len(self.server_state.tasks), self.grace_s
            )
        self.crowd.journal.flush(now=True)

    async def abandon(self) -> None:
        """Close all connections, and wait for the handlers that still run.

        A uvicorn that is cancelled does nothing of it.
        """
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            assert isinstance(connection, PlainHttp)
            connection.cut_off()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def configure(app: ASGIApp, crowd: Crowd) -> uvicorn.Config:
    """Configure uvicorn: fast, silent, and with no hold on the process around it."""
    protocol: Any = partial(PlainHttp, crowd=crowd)
    config = uvicorn.Config(
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
    )
    config.load()
    config.http_protocol_class = protocol
    return config
