"""The management API and its pages, as an ASGI app inside of another program's server.

The rule: it starts and stops the engine with the server only if the program does not start the engine itself.

`daemon/asgi.py` makes it (`perdure.asgi`); a program mounts it under any path, or serves it directly.
"""

from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class EmbeddedApp:
    """Serves the API of an engine. If the program has not started the engine, the server's start does.

    Args:
        app: The ASGI app of the API.
        start: Starts the engine.
        stop: Stops the engine.
        running: Whether the engine runs.
        stopping: Called when the server stops, so that streams and long polls end.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        start: Callable[[], Awaitable[None]],
        stop: Callable[[], Awaitable[None]],
        running: Callable[[], bool],
        stopping: Callable[[], None],
    ) -> None:
        self._app = app
        self._start = start
        self._stop = stop
        self._running = running
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "lifespan":
                await self._live(receive, send)
            case "http":
                await self._app(scope, receive, send)
            case _:
                await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        """Start and stop the engine with the server. A mounted app gets no lifespan: then the program does both."""
        ours = False
        while True:
            message: Message = await receive()
            try:
                if message["type"] == "lifespan.startup":
                    if not self._running():
                        ours = True
                        await self._start()
                    await send({"type": "lifespan.startup.complete"})
                else:
                    self._stopping()
                    if ours:
                        await self._stop()
                    await send({"type": "lifespan.shutdown.complete"})
                    return
            except Exception as error:
                await send({"type": f"{message['type']}.failed", "message": f"{type(error).__name__}: {error}"})
                return
