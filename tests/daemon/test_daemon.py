"""The daemon as its operator sees it: a process that says when it is ready, answers, and stops when told."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import grpc
import pytest

from ..support.doors.rpc_host import Client
from ..support.processes.lines import PATIENCE_S, Lines, ended

# An activity that says when it begins, and lasts until the file that it waits for is there.
SHOP = """
import logging
import time
from pathlib import Path
import anyio
import perdure

app = perdure.App("shop")
logger = logging.getLogger("shop")

@app.activity
async def deliver(ctx: perdure.ActivityContext, door: str) -> str:
    logger.info("deliver begun")
    print("a line of the app's own")
    while not Path(door).exists():
        await anyio.sleep(0.01)
    return "delivered"

@app.activity
def carry(ctx: perdure.ActivityContext, door: str) -> str:
    logger.info("carry begun")
    while not Path(door).exists():
        time.sleep(0.01)
    return "carried"

@app.workflow
async def order(ctx: perdure.WorkflowContext, door: str) -> str:
    return await ctx.call_activity(deliver, input=door)

@app.workflow
async def order_in_a_thread(ctx: perdure.WorkflowContext, door: str) -> str:
    return await ctx.call_activity(carry, input=door)
"""


class Daemon:
    """A real process."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], variables: dict[str, str]) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PERDURE_", "DAPR_"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "perdure", "run", *arguments],
            cwd=folder,
            env=environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out = Lines(self.process.stdout)
        self.err = Lines(self.process.stderr)

    def ready(self) -> "Daemon":
        """Wait for the ready line and learn the address from it."""
        line = self.out.hear("Perdure ready:", self.err)
        match = re.fullmatch(r"Perdure ready: http=(http://\S+) grpc=(\S+)", line)
        assert match, line
        self.url, self.grpc = match[1], match[2]
        return self

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Send one request; return status and body (decoded, if it is JSON)."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.url}/v1.0/{path}", data, headers or {}, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def order(self, door: Path) -> None:
        """Start an order whose delivery waits for `door`, and wait until the delivery has begun."""
        assert self.ask("POST", "workflows/dapr/order/start?instanceID=o1", str(door))[0] == 202
        self.err.hear("deliver begun")

    def until_completed(self) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while (state := self.ask("GET", "workflows/dapr/o1")[1])["runtimeStatus"] != "COMPLETED":
            assert time.monotonic() < deadline, state
            time.sleep(0.02)
        return state

    def tell(self, what: signal.Signals) -> None:
        os.kill(self.process.pid, what)

    def ended(self) -> int:
        """Wait for the end of the process, and of its output; return the exit code."""
        return ended(self.process, self.out, self.err)


Start = Callable[..., Daemon]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start daemons in a folder with `shop.py`; none of them outlives the test."""
    (tmp_path / "shop.py").write_text(SHOP)
    daemons: list[Daemon] = []

    def start(*arguments: str, **variables: str) -> Daemon:
        ports = ("--http-port", "0", "--grpc-port", "0")
        daemons.append(Daemon(tmp_path, (*arguments, *ports), variables))
        return daemons[-1]

    yield start
    for daemon in daemons:
        if daemon.process.poll() is None:
            daemon.process.kill()
        daemon.process.wait()


def test_the_ready_line_names_addresses_that_answer(start: Start) -> None:
    daemon = start("shop.py").ready()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", daemon.url)
    assert re.fullmatch(r"127\.0\.0\.1:\d+", daemon.grpc)
    ports = {int(address.rpartition(":")[2]) for address in (daemon.url, daemon.grpc)}
    assert len(ports) == 2
    assert 0 not in ports
    assert daemon.ask("GET", "healthz") == (204, "")


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order(start: Start, told: signal.Signals) -> None:
    daemon = start("shop.py").ready()
    daemon.tell(told)
    assert daemon.ended() == 0
    assert told.name in "\n".join(daemon.err.said)
    assert "Traceback" not in "\n".join(daemon.err.said)


def test_a_request_stops_it_in_order(start: Start) -> None:
    daemon = start("shop.py").ready()
    assert daemon.ask("POST", "shutdown") == (204, "")
    assert daemon.ended() == 0


def test_standard_output_holds_the_ready_line_and_nothing_else(start: Start, tmp_path: Path) -> None:
    # Given an app that prints,
    daemon = start("shop.py").ready()
    daemon.order(tmp_path / "shop.py")
    daemon.until_completed()
    # when all is over,
    daemon.tell(signal.SIGTERM)
    daemon.ended()
    # then its output is not on standard output, where a program waits for the ready line.
    assert len(daemon.out.said) == 1
    assert "a line of the app's own" in daemon.err.said


def test_without_an_app_it_serves_all_the_same(start: Start) -> None:
    daemon = start().ready()
    status, metadata = daemon.ask("GET", "metadata")
    assert (status, metadata["id"]) == (200, "perdure")
    assert "workflows" not in metadata


def test_metadata_names_the_app_its_worker_and_the_version(start: Start) -> None:
    daemon = start("shop.py").ready()
    _, metadata = daemon.ask("GET", "metadata")
    assert metadata["id"] == "shop"
    assert metadata["workflows"] == {"connectedWorkers": 1}
    assert re.match(r"\d+\.\d+", metadata["runtimeVersion"])


def test_the_configuration_reaches_the_api(start: Start) -> None:
    daemon = start("--app-id", "till", "--max-body-size", "10", PERDURE_API_TOKEN="old,new").ready()  # noqa: S106
    assert daemon.ask("GET", "metadata")[0] == 401
    token = {"dapr-api-token": "new"}
    assert daemon.ask("GET", "metadata", headers=token)[1]["id"] == "till"
    path = "workflows/dapr/order/start"
    assert daemon.ask("POST", path, "no more than ten bytes", headers=token)[0] == 413


@pytest.mark.parametrize(("flags", "code"), [(("--max-body-size", "4Mi"), "RESOURCE_EXHAUSTED"), ((), None)])
def test_a_stated_size_holds_for_grpc_too_and_without_one_workers_may_say_more(
    start: Start, flags: tuple[str, ...], code: str | None
) -> None:
    daemon = start(*flags).ready()

    async def end_of_a_large_call() -> str | None:
        async with grpc.aio.insecure_channel(daemon.grpc) as channel:
            try:
                await Client(channel).call("Hello")
                await Client(channel).call("PurgeInstances", instanceId="x" * 5_000_000)
            except grpc.aio.AioRpcError as error:
                return error.code().name if "larger than max" in (error.details() or "") else None
        return None

    assert anyio.run(end_of_a_large_call) == code


def test_the_app_s_workflows_and_activities_are_counted(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    daemon = start("shop.py", "--metrics-port", str(port)).ready()
    door = tmp_path / "open"
    door.touch()
    daemon.order(door)
    daemon.until_completed()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as answer:
        text = answer.read().decode()
    lines = [line for line in text.splitlines() if "_execution_count{" in line]
    [activity] = [line for line in lines if line.startswith("dapr_runtime_workflow_activity_")]
    [workflow] = [line for line in lines if line.startswith("dapr_runtime_workflow_execution_")]
    assert ('activity_name="deliver"' in activity, 'workflow_name="order"' in workflow) == (True, True)
    assert all('status="success"' in line and line.endswith(" 1.0") for line in lines)


def test_a_second_daemon_on_the_same_store_is_refused_at_once(start: Start) -> None:
    start().ready()
    second = start()
    assert second.ended() == 1
    assert second.out.said == []
    (line,) = second.err.said
    assert line.startswith("Error: ")
    assert "perdure.db" in line


def test_a_running_activity_may_finish_before_the_daemon_stops(start: Start, tmp_path: Path) -> None:
    # Given an activity that is under way,
    daemon = start("shop.py").ready()
    daemon.order(tmp_path / "door")
    # when the daemon is told to stop, and the activity can finish,
    daemon.tell(signal.SIGTERM)
    daemon.err.hear("stopping because of SIGTERM")
    (tmp_path / "door").touch()
    assert daemon.ended() == 0
    # then its result is recorded: the next start does not run it again.
    daemon = start("shop.py").ready()
    assert daemon.until_completed()["properties"]["dapr.workflow.output"] == '"delivered"'
    daemon.tell(signal.SIGTERM)
    daemon.ended()
    assert not [line for line in daemon.err.said if "deliver begun" in line]


def test_an_activity_that_outlasts_the_grace_runs_again_after_the_restart(start: Start, tmp_path: Path) -> None:
    daemon = start("shop.py", "--stop-grace", "0.1").ready()
    daemon.order(tmp_path / "door")
    daemon.tell(signal.SIGTERM)
    assert daemon.ended() == 0

    daemon = start("shop.py").ready()
    daemon.err.hear("deliver begun")
    (tmp_path / "door").touch()
    daemon.until_completed()


def test_a_thread_that_outlasts_the_grace_does_not_keep_the_process(start: Start, tmp_path: Path) -> None:
    # Given an activity in a thread, which cannot be stopped,
    daemon = start("shop.py", "--stop-grace", "0.1").ready()
    daemon.ask("POST", "workflows/dapr/order_in_a_thread/start?instanceID=o1", str(tmp_path / "door"))
    daemon.err.hear("carry begun")
    # when the daemon is told to stop,
    daemon.tell(signal.SIGTERM)
    # then it ends, and the activity runs again after the restart.
    assert daemon.ended() == 0
    (tmp_path / "door").touch()
    daemon = start("shop.py").ready()
    daemon.err.hear("carry begun")
    daemon.until_completed()


def test_a_forced_shutdown_does_not_wait_for_activities(start: Start, tmp_path: Path) -> None:
    daemon = start("shop.py", "--stop-grace", "600").ready()
    daemon.order(tmp_path / "door")
    assert daemon.ask("POST", "shutdown", headers={"dapr-force-shutdown": "true"}) == (204, "")
    assert daemon.ended() == 0


def test_a_second_signal_stops_it_at_once(start: Start, tmp_path: Path) -> None:
    daemon = start("shop.py", "--stop-grace", "600").ready()
    daemon.order(tmp_path / "door")
    daemon.tell(signal.SIGTERM)
    daemon.err.hear("stopping because of SIGTERM")
    daemon.tell(signal.SIGTERM)
    assert daemon.ended() == 1


def test_what_was_acknowledged_survives_a_kill(start: Start, tmp_path: Path) -> None:
    daemon = start("shop.py").ready()
    daemon.order(tmp_path / "door")
    daemon.tell(signal.SIGKILL)
    daemon.ended()
    (tmp_path / "door").touch()
    assert start("shop.py").ready().until_completed()["workflowName"] == "order"
