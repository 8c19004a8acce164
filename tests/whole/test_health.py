"""The probes of a real daemon: its ports answer from the first moment, and the database is never asked for them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from ..support.postgres import PostgresServer, installed

WAIT_S = 30.0

APP = """
import perdure

app = perdure.App("healthy")

@app.workflow
async def greet(ctx: perdure.WorkflowContext, name: str) -> str:
    return f"Hello, {name}!"
"""

with_postgres = pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")


class Starting:
    """A daemon on a port that is known before it is ready."""

    def __init__(self, folder: Path, data: str, *options: str) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        (folder / "healthy.py").write_text(APP)
        command = [sys.executable, "-m", "perdure", "run", "healthy.py", "--http-port", str(port), "--grpc-port", "0"]
        self.process = subprocess.Popen(
            [*command, "--data", data, *options], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def status(self, path: str) -> int:
        """The status of an answer; 0 if nothing listens."""
        try:
            return httpx.get(f"{self.url}{path}", timeout=5).status_code
        except httpx.ConnectError:
            return 0

    def until(self, path: str, status: int) -> None:
        end_s = time.monotonic() + WAIT_S
        while (found := self.status(path)) != status:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end_s, found
            time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Starting]]:
    running: list[Starting] = []

    def start(data: str, *options: str) -> Starting:
        running.append(Starting(tmp_path, data, *options))
        return running[-1]

    yield start
    for each in running:
        each.process.kill()
        each.process.communicate()


@with_postgres
def test_a_daemon_is_live_while_it_waits_for_its_database_and_ready_once_that_is_there(
    start: Callable[..., Starting], own_server: PostgresServer
) -> None:
    # Given a database that does not run, a daemon answers probes,
    data = own_server.url(schema="health")
    own_server.stop()
    daemon = start(data)
    daemon.until("/healthz/live", 200)
    assert daemon.status("/healthz/ready") == 503
    assert daemon.status("/v1.0/healthz") == 500
    # and once the database runs the daemon becomes ready by itself, and takes requests.
    own_server.start()
    daemon.until("/healthz/ready", 200)
    assert httpx.post(f"{daemon.url}/v1.0/workflows/dapr/greet/start?instanceID=a").status_code == 202
    # When the database stops again, shorter than the daemon's patience, the daemon stays ready: a balancer keeps it.
    own_server.crash()
    end_s = time.monotonic() + 3
    while time.monotonic() < end_s:
        assert daemon.status("/healthz/ready") == 200
        assert daemon.status("/healthz/live") == 200
        time.sleep(0.2)


@with_postgres
def test_a_database_that_does_not_come_ends_the_start_with_one_sentence(
    start: Callable[..., Starting], own_server: PostgresServer
) -> None:
    own_server.stop()
    daemon = start(own_server.url(schema="health"), "--store-patience", "1")
    daemon.until("/healthz/live", 200)
    _, told = daemon.process.communicate(timeout=WAIT_S)
    assert daemon.process.returncode == 1
    assert "Traceback" not in told
    assert "does not answer" in told or "cannot be reached" in told, told


@pytest.mark.parametrize("processes", [1, 2])
def test_a_daemon_on_files_is_ready_once_it_has_opened_them_and_not_while_it_stops(
    start: Callable[..., Starting], tmp_path: Path, processes: int
) -> None:
    options = ("--processes", str(processes)) if processes > 1 else ()
    daemon = start(str(tmp_path / "health.db"), *options)
    daemon.until("/healthz/ready", 200)
    assert daemon.status("/healthz/live") == 200
    assert httpx.post(f"{daemon.url}/v1.0/workflows/dapr/greet/start?instanceID=a").status_code == 202
    os.kill(daemon.process.pid, signal.SIGTERM)
    daemon.process.communicate(timeout=WAIT_S)
    assert daemon.process.returncode == 0
    assert daemon.status("/healthz/live") == 0
