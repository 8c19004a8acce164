"""A hostile or broken client takes nothing from the other clients of a real daemon of one process or of several."""

import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ..support.processes.daemon import Daemon

APP = """
import asyncio
import perdure

app = perdure.App("edges")

@app.activity
async def long(ctx):
    await asyncio.sleep(600)

@app.workflow
async def waiting(ctx, given=None):
    return await ctx.wait_for_external_event("go")

@app.workflow
async def working(ctx, given=None):
    return await ctx.call_activity(long)
"""

FILES_MAX = 256


@pytest.fixture(params=[1, 2], ids=["one", "several"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that may open few files."""
    (tmp_path / "edges.py").write_text(APP)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_MAX, before[1]))
    try:
        flags = ("--processes", str(request.param), "--stop-grace", "2")
        daemon = Daemon(tmp_path / "edges.py", tmp_path / "p.db", *flags)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    with daemon:
        yield daemon


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.removeprefix("http://"), int(port)), 10)


def test_a_web_page_changes_nothing_and_reads_nothing_under_its_own_name(daemon: Daemon) -> None:
    page = {"origin": "http://evil.example", "sec-fetch-site": "cross-site", "content-type": "text/plain"}
    with httpx.Client(base_url=f"{daemon.url}/v1.0") as client:
        assert client.post("workflows/dapr/waiting/start?instanceID=mine").status_code == 202
        for path in (
            "workflows/dapr/waiting/start?instanceID=theirs",
            "workflows/dapr/mine/terminate",
            "workflows/dapr/mine/purge",
            "shutdown",
        ):
            assert client.post(path, headers=page).status_code == 403
        assert client.get("workflows/dapr/mine", headers={"host": "evil.example"}).status_code == 403
        assert client.get("workflows/dapr/theirs").status_code == 404
        assert client.get("workflows/dapr/mine").json()["runtimeStatus"] == "RUNNING"


def test_silent_connections_to_either_port_keep_no_other_client_out(daemon: Daemon) -> None:
    # Given more silent connections than the daemon may have files,
    silent = [connect(address) for address in (daemon.url, daemon.grpc) for _ in range(FILES_MAX + 50)]
    try:
        for each in silent[:FILES_MAX:2]:
            each.sendall(b"POST /v1.0/workflows/dapr/waiting/start HTTP/1.1\r\ncontent-le")
        time.sleep(0.5)
        # when other clients connect, then they are answered, and the instances that they start are kept.
        with httpx.Client(base_url=f"{daemon.url}/v1.0") as client:
            for number in range(20):
                assert client.get("healthz").status_code == 204
                assert client.post(f"workflows/dapr/waiting/start?instanceID=i{number}").status_code == 202
    finally:
        for each in silent:
            each.close()
    assert daemon.stop() == 0


def test_half_a_body_and_an_activity_together_take_one_grace(daemon: Daemon) -> None:
    daemon.start("working", "one")
    half_sent = [connect(daemon.url) for _ in range(20)]
    for each in half_sent:
        each.sendall(b"POST /v1.0/workflows/dapr/waiting/start HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf")
    time.sleep(0.3)
    began_s = time.monotonic()
    assert daemon.stop() == 0
    took_s = time.monotonic() - began_s
    assert 1.5 < took_s < 5, took_s
    for each in half_sent:
        each.close()
