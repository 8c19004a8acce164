"""Code that ends its process stops the daemon three times at most, and no code that runs beside it is set aside.

A real daemon, real ends, and a real file. `tests/actors/hosting/test_quarantine.py` tests each case of the rule.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import grpc
import httpx
import pytest

from ..support.doors.rpc_host import Client
from ..support.processes.daemon import Daemon

ENDS_MAX = 3
LOOK_S = 1.0  # how often to look whether an instance is set aside

APP = """
import asyncio, ctypes, faulthandler, os, signal, sys, threading, time
from perdure import ActivityContext, App, WorkflowContext

app = App("shop")

def keep_the_lock():
    mutex = ctypes.create_string_buffer(64)
    for _ in range(2):
        ctypes.PyDLL(None).pthread_mutex_lock(mutex)

def become(program):
    arguments = (ctypes.c_char_p * 2)(program, None)
    ctypes.CDLL(None).execv(program, arguments)

def daemonize():
    if os.fork() == 0:
        time.sleep(1)
    os._exit(0)

# Each passes the daemon's fence, or gets past it (`daemon/process/process_fence.py`).
ENDS = {
    "exit": lambda: os._exit(3),
    "exit in order": lambda: os._exit(0),
    "exit of C's": lambda: ctypes.CDLL(None).exit(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "raise": lambda: signal.raise_signal(signal.SIGSEGV),
    "signal without a handler": lambda: os.kill(os.getpid(), signal.SIGUSR1),
    "crash": lambda: ctypes.string_at(0),
    "segmentation fault": lambda: faulthandler._sigsegv(),
    "abort": os.abort,
    "close all": lambda: [ctypes.CDLL(None).close(each) for each in range(256)],
    "become another program": lambda: become(b"/bin/true"),
    "daemonize": daemonize,
    "keep the lock": keep_the_lock,
}

@app.activity
async def in_the_loop(ctx: ActivityContext, how: str) -> None:
    ENDS[how]()

@app.activity
def in_a_thread(ctx: ActivityContext, how: str) -> None:
    time.sleep(0.5)
    ENDS[how]()

@app.activity
async def takes_a_minute(ctx: ActivityContext) -> str:
    await asyncio.sleep(60)
    return "done"

@app.workflow
async def by_activity(ctx: WorkflowContext, given: list) -> None:
    await ctx.call_activity(given[0], input=given[1])

@app.workflow
async def by_its_own_turn(ctx: WorkflowContext, given: list) -> None:
    await ctx.wait_for_external_event("go")
    ENDS[given[1]]()

@app.workflow
async def at_once(ctx: WorkflowContext, given: list) -> None:
    ENDS[given[1]]()

@app.workflow
async def parent(ctx: WorkflowContext, how: str) -> None:
    await ctx.call_child_workflow("at_once", input=["", how], instance_id="poison")

@app.workflow
async def anew(ctx: WorkflowContext, how: str) -> None:
    if how.startswith("then "):
        ctx.continue_as_new(how.removeprefix("then "))
    else:
        ENDS[how]()

@app.workflow
async def innocent(ctx: WorkflowContext) -> str:
    return await ctx.call_activity("takes_a_minute")

@app.workflow
async def quick(ctx: WorkflowContext) -> str:
    return "done"
"""


class House:
    """A daemon that is started again each time it has ended."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.app = folder / "shop.py"
        self.app.write_text(APP)
        self.data = folder / "p.db"
        self.options = ("--stop-grace", "0.1", *options)
        self.ends = 0
        self.daemon = Daemon(self.app, self.data, *options)

    def outlast(self, *instance_ids: str) -> None:
        """Start it again until the instances are set aside."""
        deadline = time.monotonic() + 120
        while not all(map(self.stalled, instance_ids)):
            assert time.monotonic() < deadline
            if self.ended():
                self.ends += 1
                assert self.ends <= ENDS_MAX * len(instance_ids), self.data.with_suffix(".log").read_text()
                self.again()

    def stalled(self, instance_id: str) -> bool:
        try:
            return bool(self.daemon.get(instance_id).get("runtimeStatus") == "UNKNOWN")
        except httpx.TransportError:
            return False

    def ended(self) -> bool:
        try:
            self.daemon.process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            return False
        return True

    def again(self) -> None:
        self.daemon.close()
        self.daemon = Daemon(self.app, self.data, *self.options)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    with house.daemon:
        pass


def check_set_aside(house: House, instance_id: str) -> None:
    """An instance is stalled with the reason, and others complete."""
    state = house.daemon.get(instance_id)
    assert state["runtimeStatus"] == "UNKNOWN"
    assert stalls_of(house, instance_id) == [state["properties"]["perdure.workflow.stall"]]
    assert "set aside" in state["properties"]["perdure.workflow.stall"]
    house.daemon.start("quick", "other")
    house.daemon.wait_for("other", "COMPLETED")


def stalls_of(house: House, instance_id: str) -> list[str]:
    """The descriptions of the stalls that the history shows."""
    with grpc.insecure_channel(house.daemon.grpc) as channel:
        history = Client(channel).call("GetInstanceHistory", instanceId=instance_id).events
    return [event.executionStalled.description for event in history if event.HasField("executionStalled")]


@pytest.mark.parametrize(
    ("workflow", "activity", "how"),
    [
        ("by_activity", "in_the_loop", "exit"),
        pytest.param("by_activity", "in_a_thread", "exit", marks=pytest.mark.slow),
        pytest.param("by_activity", "in_the_loop", "kill", marks=pytest.mark.slow),
        pytest.param("by_activity", "in_a_thread", "crash", marks=pytest.mark.slow),
        pytest.param("by_activity", "in_a_thread", "abort", marks=pytest.mark.slow),
        pytest.param("by_activity", "in_a_thread", "kill", marks=pytest.mark.slow),
        pytest.param("by_activity", "in_a_thread", "raise", marks=pytest.mark.slow),
        pytest.param("by_activity", "in_the_loop", "signal without a handler", marks=pytest.mark.slow),
        pytest.param("by_activity", "in_the_loop", "exit in order", marks=pytest.mark.slow),
        pytest.param("by_activity", "in_a_thread", "exit of C's", marks=pytest.mark.slow),
        pytest.param("by_activity", "in_the_loop", "segmentation fault", marks=pytest.mark.slow),
        pytest.param("by_activity", "in_a_thread", "close all", marks=pytest.mark.slow),
        pytest.param("by_activity", "in_the_loop", "become another program", marks=pytest.mark.slow),
        pytest.param("by_activity", "in_a_thread", "daemonize", marks=pytest.mark.slow),
    ],
)
def test_an_activity_that_ends_the_process_is_found(house: House, workflow: str, activity: str, how: str) -> None:
    house.daemon.start(workflow, "poison", [activity, how])
    house.outlast("poison")
    assert house.ends == ENDS_MAX
    check_set_aside(house, "poison")
    # Also after an orderly restart.
    assert house.daemon.stop() == 0
    house.again()
    check_set_aside(house, "poison")
    # The instance can be terminated and purged over the API.
    assert house.daemon.post("poison", "terminate").status_code == 202
    assert house.daemon.wait_for("poison", "TERMINATED")
    assert house.daemon.post("poison", "purge").status_code == 202


@pytest.mark.slow
def test_a_turn_that_ends_the_process_is_found(house: House) -> None:
    house.daemon.start("by_its_own_turn", "poison", ["", "exit"])
    house.daemon.wait_for("poison", "RUNNING")
    for _ in range(ENDS_MAX):
        # The event is lost with the turn that takes it, so it comes again.
        with pytest.raises(httpx.TransportError):
            house.daemon.post("poison", "raiseEvent/go")
        house.daemon.process.wait(20)
        house.again()
    check_set_aside(house, "poison")
    assert house.daemon.post("poison", "raiseEvent/go").status_code == 202


@pytest.mark.slow
def test_a_first_turn_that_ends_the_process_is_found(house: House) -> None:
    for _ in range(ENDS_MAX):
        with pytest.raises(httpx.TransportError):
            house.daemon.start("at_once", "poison", ["", "exit"])
        house.daemon.process.wait(20)
        house.again()
    assert house.daemon.start("at_once", "poison", ["", "exit"]).status_code == 202
    check_set_aside(house, "poison")


def start_later(house: House) -> None:
    start: dict[str, Any] = {"name": "at_once", "instanceId": "poison", "input": {"value": '["", "exit"]'}}
    with grpc.insecure_channel(house.daemon.grpc) as channel:
        Client(channel).call("StartInstance", **start, scheduledStartTimestamp={"seconds": int(time.time()) + 1})


@pytest.mark.slow
def test_code_in_c_that_keeps_pythons_lock_is_ended_and_found(tmp_path: Path) -> None:
    house = House(tmp_path, "--workflow-step-max", "1", "--activity-step-max", "1")
    with suppress(httpx.TransportError):
        house.daemon.start("by_activity", "poison", ["in_the_loop", "keep the lock"])
    house.outlast("poison")
    with house.daemon:
        assert house.ends == ENDS_MAX
        check_set_aside(house, "poison")


FIRST_TURNS: dict[str, Callable[[House], object]] = {
    "of a scheduled start": start_later,
    "of a child": lambda house: house.daemon.start("parent", "parent", "exit"),
    "of a later generation": lambda house: house.daemon.start("anew", "poison", "then exit"),
}


@pytest.mark.slow
@pytest.mark.parametrize("begin", FIRST_TURNS.values(), ids=FIRST_TURNS)
def test_a_first_turn_that_runs_after_its_start_was_committed_is_found(
    house: House, begin: Callable[[House], object]
) -> None:
    with suppress(httpx.TransportError):
        begin(house)
    house.outlast("poison")
    assert house.ends == ENDS_MAX
    check_set_aside(house, "poison")


@pytest.mark.slow
def test_two_of_them_are_both_found_and_what_runs_beside_them_is_not(house: House) -> None:
    house.daemon.start("innocent", "innocent")
    house.daemon.start("by_activity", "poison-1", ["in_a_thread", "exit"])
    house.daemon.start("by_activity", "poison-2", ["in_a_thread", "exit"])
    house.outlast("poison-1", "poison-2")
    for name in ("poison-1", "poison-2"):
        check_set_aside(house, name)
    assert house.daemon.get("innocent")["runtimeStatus"] == "RUNNING"


@pytest.mark.parametrize(
    "period_s", [0.3, pytest.param(1.0, marks=pytest.mark.slow), pytest.param(3.0, marks=pytest.mark.slow)]
)
def test_five_kills_do_not_make_a_culprit_of_an_activity_that_was_under_way(house: House, period_s: float) -> None:
    house.daemon.start("innocent", "innocent")
    for _ in range(5):
        time.sleep(period_s)
        house.daemon.kill()
        house.again()
    assert house.daemon.get("innocent")["runtimeStatus"] == "RUNNING"


@pytest.mark.slow
@pytest.mark.parametrize("gaps_s", [(0.2, 8.0), (4.0, 25.0)], ids=["short gaps", "long gaps"])
def test_kills_at_random_moments_do_not_either(house: House, gaps_s: tuple[float, float]) -> None:
    # The seed is fixed: one kill in some hundred may look like a culprit's end.
    chance = Random(17)
    house.daemon.start("innocent", "innocent")
    for _ in range(5):
        time.sleep(chance.uniform(*gaps_s))
        house.daemon.kill()
        house.again()
    assert house.daemon.get("innocent")["runtimeStatus"] == "RUNNING"


@pytest.mark.slow
def test_a_daemon_of_several_processes_finds_it_too(tmp_path: Path) -> None:
    house = House(tmp_path, "--processes", "2")
    with house.daemon as daemon:
        daemon.start("by_activity", "poison", ["in_the_loop", "exit"])
        deadline = time.monotonic() + 30
        while True:
            assert time.monotonic() < deadline
            try:
                if daemon.get("poison")["runtimeStatus"] == "UNKNOWN":
                    break
            except (httpx.TransportError, KeyError):
                pass
            time.sleep(0.1)
        assert "host" in house.data.with_suffix(".log").read_text()
        daemon.stop()


def test_one_can_be_set_aside_by_name_and_released_while_no_daemon_runs(house: House) -> None:
    house.daemon.start("innocent", "order-1")
    house.daemon.wait_for("order-1", "RUNNING")
    house.daemon.kill()
    house.options = ("--set-aside", "order-1")
    house.again()
    check_set_aside(house, "order-1")
    # It stays aside without the flag too, until it is released.
    house.options = ("--stop-grace", "0.1")
    house.daemon.kill()
    house.again()
    check_set_aside(house, "order-1")
    assert house.daemon.stop() == 0
    command = [sys.executable, "-m", "perdure", "store", "release", "order-1", "--data", str(house.data)]
    subprocess.run(command, check=True, cwd=house.data.parent)
    house.again()
    assert house.daemon.get("order-1")["runtimeStatus"] == "RUNNING"
