"""The gate before the HTTP API while its daemon starts: probes are answered, all other requests wait.

The rule: no request but a probe reaches a handler before the engine runs. A request that has waited for HELD_S is
refused without being processed.

`daemon/daemon.py` puts the gate before the app and opens it.
"""

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

from ..api.words import ErrorAnswer
from .auth import OPEN_PATHS
from .body import BodyReceipt, settle
from .errors import RETRY_AFTER_S, answer
from .health import LIVE, READY
from .path import clean

HELD_S = 10.0  # the same time as a request waits for the owner of an instance

STARTING = ErrorAnswer(
    503, "ERR_STARTING", "the daemon is starting, and waits for its store; nothing of this request was done"
)
# Their handlers need no engine.
PROBES = frozenset({LIVE, READY}) | {path for path in OPEN_PATHS if path.startswith("/v1.0/healthz")}


class StartingGate:
    """Holds requests until the engine runs.

    Args:
        app: The HTTP API.
        held_s: How long a request is held.
    """

    def __init__(self, app: ASGIApp, *, held_s: float = HELD_S) -> None:
        self._app = app
        self._held_s = held_s
        self._opened = anyio.Event()

    def open(self) -> None:
        """Let all requests pass, also the waiting ones."""
        self._opened.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._opened.is_set() and not is_probe(scope):
            with anyio.move_on_after(self._held_s):
                await self._opened.wait()
            if not self._opened.is_set():
                response = answer(*STARTING, {"retry-after": str(RETRY_AFTER_S)})
                await settle(scope, BodyReceipt(receive), response)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def is_probe(scope: Scope) -> bool:
    """Return whether a request is a probe of the daemon."""
    return scope["type"] == "http" and scope["method"] == "GET" and clean(scope["path"]) in PROBES
