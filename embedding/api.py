"""The management API of an embedded engine, for the engine's own client.

The rule: only the client in this process reaches it, so it requires no token, and the program (`EMBEDDED`) is the
author of the changes made through it.

`embedding/engine.py` has one. `perdure.asgi` makes the API that a program serves.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from typing import Any

from ..runtime.engine import Engine
from ..runtime.history.attribution import EMBEDDED

AsgiApp = Callable[..., Awaitable[None]]

# The modules that the first request imports.
SERVES = ("http.app", "http.embedded", "http.auth", "daemon.asgi", "api.sidecar", "rpc.wire.event_json")


def load() -> None:
    """Import the modules that the first request would import: a simulated world needs equal requests."""
    root = __name__.partition(".")[0]
    for name in SERVES:
        import_module(f"{root}.{name}")


class OwnApi:
    """An ASGI app that is made at its first request."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._app: AsgiApp | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        from ..http.auth import ACTOR, DOOR  # noqa: PLC0415  the first request imports the web framework

        if self._app is None:
            from ..daemon.asgi import asgi  # noqa: PLC0415

            self._app = asgi(self._engine, unauthenticated=True)
        await self._app({**scope, ACTOR: EMBEDDED.actor, DOOR: EMBEDDED.door}, receive, send)
