"""A daemon of several processes behaves as one to its operator, and outlives the death of a process."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import grpc
import httpx
import pytest

from ..support.doors.rpc_host import Client
from ..support.processes.daemon import READY_S
from ..support.processes.lines import Lines, ended

SHOP = """
import ctypes
import logging
import os
import perdure

app = perdure.App("shop")

# Said by each host when it imports this; only the hosts do.
logging.getLogger("shop").warning("pid %d", os.getpid())

@app.workflow
async def greet(ctx: perdure.WorkflowContext, name: str) -> str:
    return f"Hello, {name}!"

@app.activity
async def keeps_the_lock(ctx: object) -> None:
    ctypes.PyDLL(None).sleep(60)  # C code that does not give Python's lock back, so that no thread of its host runs

@app.workflow
async def hangs(ctx: perdure.WorkflowContext) -> None:
    await ctx.call_activity(keeps_the_lock)
"""

PROCESSES = 2


class Daemon:
    """`perdure run --processes`, on free ports unless the options name some."""

    def __init__(self, folder: Path, *options: str) -> None:
        (folder / "shop.py").write_text(SHOP)
        command = [sys.executable, "-m", "perdure", "run", "shop.py", "--processes", str(PROCESSES), *options]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PERDURE_", "DAPR_"))}
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out, self.err = Lines(self.process.stdout), Lines(self.process.stderr)

    def ready(self) -> "Daemon":
        match = re.fullmatch(r"Perdure ready: http=(http://\S+) grpc=(\S+)", self.out.hear("Perdure ready", self.err))
        assert match
        self.url, self.grpc = match[1], match[2]
        self.hosts = dict(self.heard_host() for _ in range(PROCESSES))
        return self

    def heard_host(self) -> tuple[str, int]:
        """The name of the next host that the log announces, and its process id."""
        match = re.search(r" WARNING (host-\d) shop: pid (\d+)$", self.err.hear("shop: pid"))
        assert match
        return match[1], int(match[2])

    def until_healthy(self) -> None:
        """Ask until each process reaches the others: 16 good answers in a row, over new connections, are from all."""
        deadline = time.monotonic() + READY_S
        while not all(self.healthy() for _ in range(16)):
            assert time.monotonic() < deadline, self.err.said

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/v1.0/healthz", timeout=READY_S).status_code == 204
        except httpx.TransportError:  # the process that was asked has died meanwhile
            return False

    def metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = httpx.get(f"{self.url}/v1.0/metadata", timeout=READY_S).json()
        return metadata

    def begin(self, workflow: str, instance_id: str) -> None:
        url = f"{self.url}/v1.0/workflows/dapr/{workflow}/start?instanceID={instance_id}"
        assert httpx.post(url, timeout=READY_S).status_code == 202

    def ended(self) -> int:
        return ended(self.process, self.out, self.err)


Start = Callable[..., Daemon]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start daemons in one folder; none of them outlives the test."""
    daemons: list[Daemon] = []

    def start(*options: str) -> Daemon:
        daemons.append(Daemon(tmp_path, *(options or ("--http-port", "0", "--grpc-port", "0"))))
        return daemons[-1].ready()

    yield start
    for daemon in daemons:
        if daemon.process.poll() is None:
            daemon.process.kill()
        daemon.process.wait()


def test_all_processes_are_one_daemon_until_it_stops(start: Start, tmp_path: Path) -> None:
    # Given a daemon of two processes, each of which has its file,
    daemon = start()
    assert sorted(daemon.hosts) == ["host-0", "host-1"]
    assert daemon.process.pid not in daemon.hosts.values()
    assert {"perdure.db", "perdure.db.1"} <= {path.name for path in tmp_path.iterdir()}
    # when it is asked over connections to either process, then each answers for both,
    daemon.until_healthy()
    assert httpx.put(f"{daemon.url}/v1.0/metadata/cliPID", content="7").status_code == 204
    for _ in range(16):
        metadata = daemon.metadata()
        assert metadata["extended"]["cliPID"] == "7"
        assert metadata["workflows"] == {"connectedWorkers": 1}
    # and a shutdown request to one stops both.
    assert httpx.post(f"{daemon.url}/v1.0/shutdown").status_code == 204
    assert daemon.ended() == 0
    assert len(daemon.out.said) == 1
    assert "Traceback" not in "\n".join(daemon.err.said)


def test_a_process_that_is_killed_comes_back_with_its_port_and_its_file(start: Start, tmp_path: Path) -> None:
    daemon = start()
    files = sorted(path.name for path in tmp_path.iterdir() if path.suffix in (".db", ".1"))
    daemon.until_healthy()
    assert httpx.put(f"{daemon.url}/v1.0/metadata/cliPID", content="7").status_code == 204
    # When a process is killed,
    os.kill(daemon.hosts["host-1"], signal.SIGKILL)
    # then another one takes its place, while the other process goes on,
    name, pid = daemon.heard_host()
    assert (name, pid == daemon.hosts["host-1"]) == ("host-1", False)
    daemon.err.hear("host-1 is ready again")
    daemon.until_healthy()
    # on the same file and port, and with the metadata that was set before.
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix in (".db", ".1")) == files
    for _ in range(16):
        assert daemon.metadata()["extended"]["cliPID"] == "7"
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.ended() == 0


@pytest.mark.slow
def test_a_process_that_hangs_is_killed_and_comes_back(start: Start) -> None:
    daemon = start()
    daemon.until_healthy()
    # When a process hangs, then it is killed after 5 s of silence, and another one takes its place.
    httpx.post(f"{daemon.url}/v1.0/workflows/dapr/hangs/start?instanceID=hangs")
    assert re.search(r"host-\d has sent no beat for", daemon.err.hear("has sent no beat for"))
    name, pid = daemon.heard_host()
    assert pid != daemon.hosts[name]


@pytest.mark.slow
def test_a_process_that_a_signal_has_stopped_goes_on(start: Start) -> None:
    daemon = start()
    daemon.until_healthy()
    # Given instances on both, when one process is stopped for good,
    for number in range(8):
        httpx.post(f"{daemon.url}/v1.0/workflows/dapr/greet/start?instanceID={number}", content='"you"')
    os.kill(daemon.hosts["host-1"], signal.SIGSTOP)
    # then it goes on after 5 s of silence: each instance is there, and it is the same process.
    daemon.err.hear("host-1 was stopped by a signal")
    daemon.until_healthy()
    for number in range(8):
        assert httpx.get(f"{daemon.url}/v1.0/workflows/dapr/{number}", timeout=READY_S).status_code == 200
    os.kill(daemon.hosts["host-1"], 0)
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.ended() == 0
    assert not [line for line in daemon.err.said if "killed" in line or "Traceback" in line]


@pytest.mark.slow
def test_a_daemon_that_was_stopped_as_a_whole_kills_nothing_when_it_goes_on(start: Start) -> None:
    daemon = start()
    daemon.until_healthy()
    processes = [daemon.process.pid, *daemon.hosts.values()]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    time.sleep(8)
    for process in processes:
        os.kill(process, signal.SIGCONT)
    time.sleep(3)
    daemon.until_healthy()
    assert not [line for line in daemon.err.said if "killed" in line]


def test_a_daemon_can_be_started_again_on_its_ports_at_once(start: Start) -> None:
    daemon = start()
    daemon.until_healthy()
    http_port, grpc_port = (address.rpartition(":")[2] for address in (daemon.url, daemon.grpc))
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.ended() == 0
    again = start("--http-port", http_port, "--grpc-port", grpc_port)
    assert (again.url, again.grpc) == (daemon.url, daemon.grpc)
    again.until_healthy()


def test_no_process_is_left_when_the_parent_is_killed(start: Start) -> None:
    daemon = start()
    daemon.process.kill()
    # The hosts keep the parent's output open as long as they live, and end in order.
    assert daemon.ended() == -signal.SIGKILL
    assert sum(line.endswith("perdure.daemon.daemon: stopped") for line in daemon.err.said) == PROCESSES


def test_a_worker_of_one_process_works_for_both_and_any_process_takes_its_answers(start: Start) -> None:
    daemon = start()

    async def visit() -> None:
        with anyio.fail_after(READY_S):
            async with grpc.aio.insecure_channel(daemon.grpc) as channel:
                client = Client(channel)
                # Given a worker that both processes know,
                stream = client.call("GetWorkItems")
                while {daemon.metadata()["workflows"]["connectedWorkers"] for _ in range(16)} != {2}:
                    await anyio.sleep(0.05)
                # when instances of its code are begun, whose ids spread over both,
                ids = {f"r{n}" for n in range(16)}
                for each in sorted(ids):
                    daemon.begin("remote", each)
                # then it is given one turn of each of them,
                items = [await stream.read() for _ in ids]
                assert {item.workflowRequest.instanceId for item in items} == ids
                # and its answers, over any connection, end them.
                for item in items:
                    async with grpc.aio.insecure_channel(daemon.grpc) as another:
                        await Client(another).call(
                            "CompleteOrchestratorTask",
                            instanceId=item.workflowRequest.instanceId,
                            completionToken=item.completionToken,
                            actions=[{"id": 1, "completeWorkflow": {"workflowStatus": 1}}],
                        )
                for each in ids:
                    ended = await client.call("WaitForInstanceCompletion", instanceId=each)
                    assert ended.workflowState.workflowStatus == 1
                stream.cancel()
                while {daemon.metadata()["workflows"]["connectedWorkers"] for _ in range(16)} != {1}:
                    await anyio.sleep(0.05)

    anyio.run(visit)


def test_each_process_has_a_port_for_its_metrics(start: Start) -> None:
    base = two_free_ports()
    start("--http-port", "0", "--grpc-port", "0", "--metrics-port", str(base))
    for port in (base, base + 1):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=READY_S) as answer:
            assert 'perdure_turns_total{app_id="shop"}' in answer.read().decode()


def two_free_ports() -> int:
    """The first of two free ports next to each other."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as one:
            base: int = one.getsockname()[1]
            try:
                with socket.create_server(("127.0.0.1", base + 1)):
                    return base
            except OSError:
                continue
