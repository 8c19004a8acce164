"""The routes by which SDKs and Dapr's command line find, describe and stop the sidecar.

Source: contract 1.7; dapr `pkg/api/http/healthz.go`, `metadata.go`, `shutdown.go`.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .body import read_text
from .control import Control
from .errors import APP_ID_NOT_MATCHED, METADATA_FULL, NOT_READY, OUTBOUND_NOT_READY, HttpError
from .path import parameter, query, route

# The actors that Dapr registers for an app with workflows, in the only namespace that a daemon
# outside of Kubernetes has. Dapr's integration harness waits until it sees three.
INTERNAL_TYPES = ("workflow", "activity", "retentioner")
NAMESPACE = "default"

# `dapr run` puts seven short entries. They stay in memory for as long as the daemon runs.
METADATA_BYTES_MAX = 1024 * 1024


class Sidecar:
    """The handlers, and the metadata that was put."""

    def __init__(self, control: Control, *, app_id: str, body_bytes_max: int) -> None:
        self.control = control
        self.app_id = app_id
        self.body_bytes_max = body_bytes_max
        self.extended: dict[str, str] = {}

    def routes(self) -> list[Route]:
        return [
            route("/v1.0/healthz", "GET", self.healthz),
            route("/v1.0/healthz/outbound", "GET", self.healthz_outbound),
            route("/v1.0/metadata", "GET", self.get_metadata),
            route("/v1.0/metadata/{key}", "PUT", self.put_metadata),
            route("/v1.0/shutdown", "POST", self.shutdown),
        ]

    async def healthz(self, request: Request) -> Response:
        if not self.control.ready():
            raise HttpError(NOT_READY, detail="engine")
        # A prober that names the app wants to know whether another one has taken the port over.
        app_id = query(request, "appid")
        if app_id is not None and app_id != self.app_id:
            raise HttpError(APP_ID_NOT_MATCHED)
        return Response(status_code=204)

    async def healthz_outbound(self, request: Request) -> Response:
        # In Dapr this is ready earlier: it does not wait for the app. Here nothing waits for the app.
        if not self.control.ready():
            raise HttpError(OUTBOUND_NOT_READY)
        return Response(status_code=204)

    async def get_metadata(self, request: Request) -> Response:
        body = msgspec.json.encode(metadata(self.control, self.app_id, self.extended))
        return Response(body, media_type="application/json")

    async def put_metadata(self, request: Request) -> Response:
        key = parameter(request, "key")
        value = await read_text(request, bytes_max=self.body_bytes_max)
        found = sum(len(text.encode()) for entry in {**self.extended, key: value}.items() for text in entry)
        if found > METADATA_BYTES_MAX:
            raise HttpError(METADATA_FULL, bytes_max=METADATA_BYTES_MAX, found=found)
        self.extended[key] = value
        return Response(status_code=204)

    async def shutdown(self, request: Request) -> Response:
        self.control.shutdown(request.headers.get("dapr-force-shutdown", "").lower() == "true")
        return Response(status_code=204)


def metadata(control: Control, app_id: str, extended: dict[str, str]) -> dict[str, Any]:
    """Describe the daemon.

    What there is none of is left out, as Dapr leaves it out: components,
    subscriptions and more always, actors and workers while there are none.
    """
    actors = [{"type": kind, "count": count} for kind, count in active_actors(control, app_id).items()]
    runtime: dict[str, Any] = {
        "runtimeStatus": "RUNNING",
        "hostReady": control.ready(),
        "placement": "placement: connected",
    }
    body: dict[str, Any] = {
        "id": app_id,
        "runtimeVersion": control.runtime_version,
        "extended": {**extended, "daprRuntimeVersion": control.runtime_version},
        "actorRuntime": runtime,
    }
    if actors:
        body["actors"] = runtime["activeActors"] = actors
    if workers := control.connected_workers():
        body["workflows"] = {"connectedWorkers": workers}
    return body


def active_actors(control: Control, app_id: str) -> dict[str, int]:
    """Count the activations by the type names that Dapr has for them.

    Its internal types exist from the moment that a worker can serve them, also
    while no actor of theirs is in memory.
    """
    counts = dict(control.active_actors())
    internal = {kind: counts.pop(kind, 0) for kind in INTERNAL_TYPES}
    if control.connected_workers():
        counts.update({f"dapr.internal.{NAMESPACE}.{app_id}.{kind}": count for kind, count in internal.items()})
    return counts
