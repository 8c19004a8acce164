"""The probes for load balancers and orchestrators: `/healthz/ready` and `/healthz/live`.

The rule: neither reads the store. *Ready* says whether requests may be sent here; *live* says that the process answers,
and does so from the moment at which its ports are bound. Dapr's own probes are in `http/dapr/sidecar.py`.

`http/app.py` installs them, and `http/gate.py` lets them through while the daemon starts.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..api.control import DaemonControl
from ..api.words import ErrorAnswer, Refusal
from .path import route

LIVE = "/healthz/live"
READY = "/healthz/ready"

UNREADY = ErrorAnswer(503, "ERR_NOT_READY", "this daemon takes no requests now: {why}")

NOT_KEPT = {"cache-control": "no-store"}
IS_LIVE = msgspec.json.encode({"status": "live"})
IS_READY = msgspec.json.encode({"status": "ready"})


class HealthRoutes:
    """The handlers of the probes."""

    def __init__(self, control: DaemonControl) -> None:
        self.control = control

    def routes(self) -> list[Route]:
        """The routes of both probes."""
        return [route(LIVE, "GET", self.live), route(READY, "GET", self.ready)]

    async def live(self, request: Request) -> Response:
        """Answer 200: a process that can answer is live."""
        return Response(IS_LIVE, headers=NOT_KEPT, media_type="application/json")

    async def ready(self, request: Request) -> Response:
        """Answer whether a load balancer may send requests here.

        Raises:
            Refusal: The daemon takes no requests now.
        """
        if (why := self.control.unready()) is not None:
            raise Refusal(UNREADY, why=why)
        return Response(IS_READY, headers=NOT_KEPT, media_type="application/json")
