"""The routes with which SDKs and Dapr's command line find, describe and stop the sidecar.

The rule: each handler makes one call of the sidecar (`api/sidecar.py`), which answers for all hosts.

`http/app.py` adds the routes.

Source: contract 1.7; dapr `pkg/api/http/healthz.go`, `metadata.go`, `shutdown.go`.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...api.sidecar import Metadata, Sidecar
from ...api.words import Refusal
from ..body import read_text
from ..errors import APP_ID_NOT_MATCHED, NOT_READY, OUTBOUND_NOT_READY
from ..path import parameter, query, route


class SidecarRoutes:
    """The handlers that probe, describe and stop the sidecar."""

    def __init__(self, sidecar: Sidecar, *, body_bytes_max: int) -> None:
        self.sidecar = sidecar
        self.body_bytes_max = body_bytes_max

    def routes(self) -> list[Route]:
        """The routes with their handlers."""
        return [
            route("/v1.0/healthz", "GET", self.healthz),
            route("/v1.0/healthz/outbound", "GET", self.healthz_outbound),
            route("/v1.0/metadata", "GET", self.get_metadata),
            route("/v1.0/metadata/{key}", "PUT", self.put_metadata),
            route("/v1.0/shutdown", "POST", self.shutdown),
        ]

    async def healthz(self, request: Request) -> Response:
        """Answer 204 if the engine is ready, and if a given app id is this daemon's.

        Raises:
            Refusal: The engine is not ready, or the app id is another.
        """
        if not self.sidecar.control.ready():
            raise Refusal(NOT_READY, detail="engine")
        # A prober that names the app wants to know whether another app has the port now.
        app_id = query(request, "appid")
        if app_id is not None and app_id != self.sidecar.app_id:
            raise Refusal(APP_ID_NOT_MATCHED)
        return Response(status_code=204)

    async def healthz_outbound(self, request: Request) -> Response:
        """Answer 204 if the engine is ready.

        Raises:
            Refusal: The engine is not ready.
        """
        # In Dapr this probe is ready earlier, because it does not wait for the app. Here no probe waits for the app.
        if not self.sidecar.control.ready():
            raise Refusal(OUTBOUND_NOT_READY)
        return Response(status_code=204)

    async def get_metadata(self, request: Request) -> Response:
        """Describe the sidecar."""
        body = msgspec.json.encode(metadata_json(await self.sidecar.describe()))
        return Response(body, media_type="application/json")

    async def put_metadata(self, request: Request) -> Response:
        """Put a value into the metadata of all hosts."""
        key = parameter(request, "key")
        value = await read_text(request, bytes_max=self.body_bytes_max)
        await self.sidecar.put(key, value)
        return Response(status_code=204)

    async def shutdown(self, request: Request) -> Response:
        """Begin a stop of the daemon; with `dapr-force-shutdown: true` a forced one."""
        self.sidecar.control.shutdown(request.headers.get("dapr-force-shutdown", "").lower() == "true")
        return Response(status_code=204)


def metadata_json(metadata: Metadata) -> dict[str, Any]:
    """Return the metadata in the shape of Dapr's JSON.

    Empty members are left out, as in Dapr: always subscriptions and others; components, actors and workers while there
    are none.
    """
    actors = [{"type": kind, "count": count} for kind, count in metadata.active_actors.items()]
    runtime: dict[str, Any] = {
        "runtimeStatus": "RUNNING",
        "hostReady": metadata.host_ready,
        "placement": metadata.placement,
    }
    body: dict[str, Any] = {
        "id": metadata.app_id,
        "runtimeVersion": metadata.runtime_version,
        "extended": metadata.extended,
        "actorRuntime": runtime,
    }
    if metadata.components:
        body["components"] = [component._asdict() for component in metadata.components]
    if actors:
        body["actors"] = runtime["activeActors"] = actors
    if metadata.connected_workers:
        body["workflows"] = {"connectedWorkers": metadata.connected_workers}
    return body
