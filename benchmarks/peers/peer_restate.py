"""Restate: its server, workflows on its Python SDK, and its ingress, which calls them.

A call of the ingress waits for the workflow's result, so an instance is one request. The HTTP client is the same as for
Perdure's daemon.
"""

import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ..drivers.http_client import HttpClient
from . import restate_worker
from .peer_process import Asking, PeerFailed, free_port, logged, ready
from .peers import python_of

LOCALHOST = "127.0.0.1"


# The path at the ingress for each operation of `Asking`.
PATHS = {
    "call": "/{workflow}/{instance_id}/run",
    "start": "/{workflow}/{instance_id}/run/send",
    "send": "/{workflow}/{instance_id}/go",
    "wait": "/restate/workflow/{workflow}/{instance_id}/attach",
}


async def ask(ingress: HttpClient, do: str, workflow: str, instance_id: str, value: Any) -> Any:
    path = PATHS[do].format(workflow=workflow, instance_id=instance_id)
    answer = await (ingress.get(path) if do == "wait" else ingress.post(path, json.dumps(value).encode()))
    if answer.status not in (200, 201, 202):
        raise PeerFailed(f"{path} was answered {answer.status} {answer.body.decode(errors='replace')!r}")
    return json.loads(answer.body) if do in ("call", "wait") else None


def variables(ingress: int, admin: int, fabric: int) -> dict[str, str]:
    """The configuration of the server: its ports, and no telemetry."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RESTATE_")}
    return ours | {
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_INGRESS__BIND_ADDRESS": f"{LOCALHOST}:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"{LOCALHOST}:{admin}",
        "RESTATE_BIND_ADDRESS": f"{LOCALHOST}:{fabric}",
        "RESTATE_LOG_FILTER": "warn",
        "RESTATE_DISABLE_TELEMETRY": "true",
    }


@asynccontextmanager
async def restate(home: Path, folder: Path) -> AsyncIterator[tuple[Asking, Sequence[int]]]:
    """Run a server with its defaults on an empty folder, and register the workflows."""
    ingress, admin, fabric, service = (free_port() for _ in range(4))
    # Isolated, because modules in the script's folder have names of other packages.
    worker = [str(python_of(home)), "-I", str(Path(restate_worker.__file__)), str(service), str(workers())]
    command = [str(server_of(home)), "--base-dir", str(folder), "--no-logo"]
    with (
        logged(command, folder, "restate-server", env=variables(ingress, admin, fabric)) as server,
        logged(worker, folder, "hypercorn") as workflows,
    ):
        async with HttpClient(LOCALHOST, admin) as management, HttpClient(LOCALHOST, ingress) as client:
            deployment = json.dumps({"uri": f"http://{LOCALHOST}:{service}"}).encode()

            async def registered() -> bool:
                return (await management.post("/deployments", deployment)).status == 201

            async def accepts() -> bool:
                return (await client.get("/restate/health")).status == 200

            await ready(server, registered)
            await ready(server, accepts)
            yield partial(ask, client), [server.pid, workflows.pid]


def workers() -> int:
    """The number of processes for the workflows. On two cores, two were a fifth faster than one in W1 and W2."""
    return os.cpu_count() or 1


def server_of(home: Path) -> Path:
    """The path of the server; npm's command is a script that starts it."""
    return next(home.glob("node_modules/@restatedev/restate-server-*/bin/restate-server"))
