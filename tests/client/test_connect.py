"""The ways to a daemon: from one process, from several, from threads; with and without a token."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

import perdure
from perdure.client.errors import ClientClosed, ServerAddressInvalid, TokenInvalid, TokenRefused

from ..support.processes.daemon import Daemon
from ..support.processes.shop import TOKEN
from ..support.processes.shop_app import Receipt, app


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.anyio
async def test_an_app_tells_the_types_of_workflows_that_are_named(daemon: Daemon, new_id: str) -> None:
    async with perdure.connect(daemon.url, token=TOKEN, app=app) as client:
        assert await client.run("order", input=1.5, instance_id=new_id) == Receipt(1.5)
        state = await client.get(new_id)
        assert state is not None
        assert state.output == Receipt(1.5)


@pytest.mark.anyio
async def test_a_client_is_used_inside_of_its_block(daemon: Daemon) -> None:
    client = perdure.connect(daemon.url, token=TOKEN)
    with pytest.raises(ClientClosed, match="async with"):
        await client.get("x")
    async with client:
        assert await client.get("x") is None
    with pytest.raises(ClientClosed):
        await client.get("x")


def test_an_address_that_is_none_is_refused_at_once() -> None:
    for connect in (perdure.connect, perdure.connect_sync):
        with pytest.raises(ServerAddressInvalid):
            connect("ftp://here")
        with pytest.raises(TokenInvalid):
            connect(token="a token\n")  # noqa: S106  of a test


@pytest.mark.anyio
@pytest.mark.parametrize("token", [None, "guessed"])
async def test_a_daemon_with_tokens_takes_one_of_them(daemon: Daemon, token: str | None) -> None:
    async with perdure.connect(daemon.url, token=token) as client:
        with pytest.raises(TokenRefused):
            await client.list()


WEB = """
import os, contextlib, perdure

@contextlib.asynccontextmanager
async def live(_):
    async with perdure.connect(os.environ["PERDURE_SERVER"], token=os.environ["PERDURE_API_TOKEN"]) as client:
        yield {"client": client}

async def run(request):
    handle = await request.state.client.start("order", input=float(request.query_params["total"]))
    result = await handle.result(timeout=30)
    return JSONResponse({"id": handle, "total": result["total"], "pid": os.getpid()})

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
web = Starlette(routes=[Route("/orders", run)], lifespan=live)
"""


@pytest.mark.slow
def test_a_web_application_of_two_processes_shares_a_daemon(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "web.py").write_text(WEB)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "web:web",
        "--workers",
        "2",
        "--port",
        str(port),
        "--log-level",
        "error",
    ]
    environment = {**os.environ, "PERDURE_SERVER": daemon.url, "PERDURE_API_TOKEN": TOKEN}
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as server:
        try:
            pids: set[int] = set()
            deadline = time.monotonic() + 60
            while len(pids) < 2:
                assert time.monotonic() < deadline
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/orders?total=2.5", timeout=30) as answer:
                        told = json.load(answer)
                except OSError:
                    time.sleep(0.05)
                    continue
                assert told["total"] == 2.5
                pids.add(told["pid"])
        finally:
            server.terminate()
            server.wait(timeout=30)
