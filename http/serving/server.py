"""Serves an ASGI app on one port, inside of a program that has its own event loop.

The rule: only the program decides when to stop. uvicorn by itself would handle the signals, the logging and the exit
code; here it handles none of them.
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

STOP_TICK_S = 0.01  # how often a stopping server checks whether all requests have ended


async def serve(
    app: ASGIApp,
    *,
    listener: socket.socket,
    stop: anyio.Event,
    ready: Callable[[], None] = lambda: None,
    grace_s: float = 10.0,
    limits: ConnectionLimits | None = None,
) -> None:
    """Serve until `stop` is set; then accept no more connections, let running requests finish, and return.

    When this returns, or is cancelled, the port is free, no connection is open
    and no handler runs.

    Args:
        app: The app to serve.
        listener: From `http/serving/listener.py`. It is closed here.
        stop: Set it to stop.
        ready: Called once, when the server answers requests.
        grace_s: How long running requests may take after `stop`. Then they are cancelled. A request whose body is
            incomplete is dropped at once.
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
    """uvicorn's server, which an event stops."""

    def __init__(
        self, app: ASGIApp, limits: ConnectionLimits, stop: anyio.Event, ready: Callable[[], None], grace_s: float
    ) -> None:
        self.crowd = Crowd(limits, asyncio.get_running_loop().time())
        super().__init__(configure(app, self.crowd))
        self.stop = stop
        self.ready = ready
        self.grace_s = grace_s
        self.servers: list[asyncio.base_events.Server] = []  # uvicorn fills it at the start

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: the daemon has its own handlers."""
        yield

    async def main_loop(self) -> None:
        """Serve until the event is set, and check deadlines meanwhile."""
        # The first tick makes the Date header, before the first answer needs it.
        await self.on_tick(0)
        self.ready()
        while not self.stop.is_set():
            # The Date header has whole seconds, so the server wakes once a second. uvicorn's own loop wakes ten times.
            with anyio.move_on_after(self.crowd.limits.sweep_s):
                await self.stop.wait()
            await self.on_tick(0)
            self.sweep()

    def sweep(self) -> None:
        """Check the deadlines of all connections."""
        connections: Any = self.server_state.connections
        self.crowd.sweep(connections, asyncio.get_running_loop().time())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and wait for the requests under way, up to the grace period."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with anyio.move_on_after(self.grace_s) as grace:
            while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110  only during the stop
                await anyio.sleep(STOP_TICK_S)
        if grace.cancelled_caught:
            logger.warning(
                "%d requests did not finish in %g s, and are cancelled", len(self.server_state.tasks), self.grace_s
            )
        self.crowd.journal.flush(now=True)

    async def abandon(self) -> None:
        """Close all connections, and wait for the handlers that still run, which a cancelled uvicorn does not do."""
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
    """Return a configuration of uvicorn: fast, without logs, and without control of the process around it."""
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
