"""The pulse names code that blocks the event loop, interrupts it, answers meanwhile, and sees a disk that hangs."""

import asyncio
import logging
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import anyio
import httpx
import pytest

from perdure import ActivityContext, App, Engine, RetryPolicy, WorkflowContext
from perdure.actors.store.contract import Store
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.memory import MemoryStore
from perdure.daemon.pulse import watchdog
from perdure.daemon.pulse.stand_in import StandIn
from perdure.daemon.pulse.thread_cpu import ThreadCpu
from perdure.daemon.pulse.watchdog import Pulse, PulseLimits
from perdure.http.serving.listener import listen
from perdure.runtime.activities import steps
from perdure.runtime.errors import InstanceStalled
from perdure.runtime.history.status import Status
from perdure.testing.faulty_store import FaultyStore

from ...support.processes.daemon import Daemon

pytestmark = pytest.mark.anyio

STEP_S = 0.4


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the daemon needs it


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "TICK_S", 0.05)
    monkeypatch.setattr(watchdog, "WARN_S", 0.1)
    # A machine under load does not fail these tests.
    monkeypatch.setattr(watchdog, "LATE_S", 5.0)
    monkeypatch.setattr(ThreadCpu, "starved", lambda self, elapsed_s: False)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with listen("127.0.0.1", 0) as taken:
        yield taken


@asynccontextmanager
async def watched(
    app: App, listener: socket.socket, limits: PulseLimits, store: Store | None = None
) -> AsyncIterator[Engine]:
    pulse = Pulse(
        asyncio.get_running_loop(), engine := Engine(app, data=store or MemoryStore()), StandIn(listener), limits
    )
    with anyio.fail_after(20), pulse.running():
        async with engine:
            yield engine


def spin() -> None:
    while True:
        pass


def backtrack() -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")  # keeps Python's lock, for hours


def swallow_once() -> None:
    with suppress(BaseException):
        spin()


BLOCKERS = {"spins": spin, "sleeps": lambda: time.sleep(1000), "swallows once": swallow_once}


def blocking_app() -> App:
    app = App("blocks")

    @app.activity
    async def block(ctx: ActivityContext, how: str) -> str:
        BLOCKERS[how]()
        return "went on"

    @app.workflow
    async def in_an_activity(ctx: WorkflowContext, how: str) -> str:
        return await ctx.call_activity(block, input=how)

    @app.workflow
    async def in_two_attempts(ctx: WorkflowContext, how: str) -> str:
        policy = RetryPolicy(max_number_of_attempts=2, first_retry_interval=timedelta(0))
        return await ctx.call_activity(block, input=how, retry_policy=policy)

    @app.workflow
    async def first_turn(ctx: WorkflowContext, how: str) -> str:
        BLOCKERS[how]()
        return "went on"

    @app.workflow
    def plain(ctx: WorkflowContext, how: str) -> str:
        BLOCKERS[how]()
        return "went on"

    @app.workflow
    async def later_turn(ctx: WorkflowContext, how: str) -> str:
        await ctx.create_timer(timedelta(0))
        BLOCKERS[how]()
        return "went on"

    @app.workflow
    async def waits_on_its_way_out(ctx: WorkflowContext, how: str) -> str:
        try:
            BLOCKERS[how]()
        finally:
            await ctx.wait_for_external_event("never")
        return "went on"

    @app.workflow
    async def fine(ctx: WorkflowContext) -> int:
        return 1

    return app


LIMITS = PulseLimits(workflow_step_s=STEP_S, activity_step_s=STEP_S)


async def others_go_on(engine: Engine) -> bool:
    await engine.facade.start("fine", instance_id="other")
    return (await engine.facade.wait("other")).status is Status.COMPLETED


@pytest.mark.parametrize("workflow", ["first_turn", "plain", "later_turn", "waits_on_its_way_out"])
@pytest.mark.parametrize("how", BLOCKERS)
async def test_workflow_code_that_blocks_is_named_and_its_instance_stalls(
    workflow: str, how: str, listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched(blocking_app(), listener, LIMITS) as engine:
        await engine.facade.start(workflow, instance_id="culprit", input=f'"{how}"')
        while (state := await engine.facade.inspect("culprit")) is None or state.status is not Status.STALLED:
            await anyio.sleep(0.01)
        assert state.stall is not None
        assert f"Workflow '{workflow}' of culprit was interrupted" in state.stall
        assert "test_watchdog.py:" in state.stall
        assert await others_go_on(engine)
        # A later event does not start the code again.
        with suppress(InstanceStalled):
            await engine.facade.raise_event("culprit", "never", None)
        state = await engine.facade.inspect("culprit")
        assert state is not None
        assert state.status is Status.STALLED
    (warning,) = [each for each in caplog.records if "has blocked the event loop" in each.getMessage()][:1]
    assert warning.levelno == logging.WARNING
    assert vars(warning)["instance_id"] == "culprit"
    assert vars(warning)["workflow"] == workflow
    assert "test_watchdog.py:" in warning.getMessage()


async def test_in_a_compiled_build_the_frame_of_the_turn_stands_for_the_code(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "WORKFLOW_CODE", frozenset())
    async with watched(blocking_app(), listener, LIMITS) as engine:
        await engine.facade.start("later_turn", instance_id="culprit", input='"sleeps"')
        while (state := await engine.facade.inspect("culprit")) is None or state.status is not Status.STALLED:
            await anyio.sleep(0.01)
        assert "Workflow 'later_turn' of culprit was interrupted" in str(state.stall)


@pytest.mark.parametrize("how", ["spins", "sleeps"])
async def test_an_activity_that_blocks_is_named_and_its_attempt_fails(
    how: str, listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched(blocking_app(), listener, LIMITS) as engine:
        await engine.facade.start("in_two_attempts", instance_id="culprit", input=f'"{how}"')
        state = await engine.facade.wait("culprit")
        assert state.status is Status.FAILED
        assert state.failure is not None
        assert "Activity 'block' of culprit was interrupted" in str(state.failure)
        assert await others_go_on(engine)
    assert len([each for each in caplog.messages if "block' of culprit is interrupted" in each]) == 2


async def test_an_activity_that_takes_an_interruption_for_nothing_has_its_result(listener: socket.socket) -> None:
    async with watched(blocking_app(), listener, LIMITS) as engine:
        await engine.facade.start("in_an_activity", instance_id="culprit", input='"swallows once"')
        assert (await engine.facade.wait("culprit")).output == '"went on"'


async def test_a_regular_expression_that_keeps_pythons_lock_is_interrupted(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BLOCKERS, "backtracks", backtrack)
    async with watched(blocking_app(), listener, LIMITS) as engine:
        await engine.facade.start("in_an_activity", instance_id="culprit", input='"backtracks"')
        assert (await engine.facade.wait("culprit")).status is Status.FAILED
        assert await others_go_on(engine)


@pytest.mark.parametrize("limits", [PulseLimits(activity_step_s=0), PulseLimits(activity_step_s=5)])
async def test_a_step_within_its_limit_is_not_interrupted(
    limits: PulseLimits, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BLOCKERS, "a while", lambda: time.sleep(0.8))
    async with watched(blocking_app(), listener, limits) as engine:
        await engine.facade.start("in_an_activity", instance_id="slow", input='"a while"')
        assert (await engine.facade.wait("slow")).output == '"went on"'


async def test_a_loop_that_gets_no_cpu_is_no_alarm(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ThreadCpu, "starved", lambda self, elapsed_s: True)
    monkeypatch.setitem(BLOCKERS, "a while", lambda: time.sleep(1.0))
    async with watched(blocking_app(), listener, LIMITS) as engine:
        await engine.facade.start("in_an_activity", instance_id="innocent", input='"a while"')
        assert (await engine.facade.wait("innocent")).output == '"went on"'
    assert not [each for each in caplog.messages if "blocked" in each]


async def test_callers_hear_that_the_daemon_is_not_well_while_the_loop_is_blocked(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given callers that ask while the event loop is blocked, and not before,
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    blocked = threading.Event()
    answers: list[httpx.Response] = []

    def call() -> None:
        blocked.wait()
        time.sleep(0.4)
        answers.append(httpx.get(f"{url}/v1.0/healthz", timeout=5))
        answers.append(httpx.post(f"{url}/v1.0/workflows/dapr/fine/start", content=b"1" * 100_000, timeout=5))

    def block() -> None:
        blocked.set()
        time.sleep(2)

    monkeypatch.setitem(BLOCKERS, "a while", block)
    caller = threading.Thread(target=call)
    caller.start()
    async with watched(blocking_app(), listener, PulseLimits()) as engine:
        await engine.facade.start("in_an_activity", instance_id="slow", input='"a while"')
        await engine.facade.wait("slow")
        await anyio.to_thread.run_sync(caller.join)
    # then health is 500, and other requests get 503.
    health, start = answers
    assert health.status_code == 500
    assert start.status_code == 503
    assert start.headers["retry-after"] == "1"
    assert start.json()["errorCode"] == "ERR_EVENT_LOOP_BLOCKED"


async def test_as_long_as_a_commit_hangs_new_work_is_refused_and_nothing_is_acknowledged(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    store = FaultyStore(MemoryStore())
    async with (
        watched(blocking_app(), listener, PulseLimits(commit_s=0.3), store) as engine,
        anyio.create_task_group() as tasks,
    ):
        await engine.facade.start("fine", instance_id="before")
        await engine.facade.wait("before")
        acknowledged = anyio.Event()

        async def start() -> None:
            await engine.facade.start("fine", instance_id="during")
            acknowledged.set()

        # Given a disk that hangs,
        store.hold()
        tasks.start_soon(start)
        while engine.ready:
            await anyio.sleep(0.01)
        # then new work is refused, instances can be read, and the request that is under way is not answered;
        with pytest.raises(StoreFailed, match="the disk does not answer"):
            await engine.facade.start("fine", instance_id="refused")
        assert await engine.facade.inspect("before") is not None
        assert not acknowledged.is_set()
        # when the disk works again, then the engine does too.
        store.release()
        await acknowledged.wait()
        while not engine.ready:
            await anyio.sleep(0.01)
        assert await engine.facade.inspect("refused") is None
        assert await others_go_on(engine)
    assert any("a commit has been under way for" in each for each in caplog.messages)


async def test_a_host_beats_with_the_age_of_its_loop(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "BEAT_S", 0.05)
    ages: list[float] = []
    engine = Engine(blocking_app(), data=MemoryStore())
    pulse = Pulse(asyncio.get_running_loop(), engine, StandIn(listener), PulseLimits(), beat=ages.append)
    with anyio.fail_after(10), pulse.running():
        while len(ages) < 3:
            await anyio.sleep(0.01)
        assert max(ages) < 0.3
        time.sleep(0.8)  # noqa: ASYNC251  the test needs a blocked loop
    assert max(ages) > 0.3


ENDLESS = """
import time, perdure
app = perdure.App("endless")

@app.activity
async def busy(ctx: perdure.ActivityContext) -> None:
    while True:
        try:
            time.sleep(0.1)
        except BaseException:
            pass

@app.workflow
async def run(ctx: perdure.WorkflowContext) -> None:
    await ctx.call_activity(busy)
"""


def test_two_signals_end_a_daemon_whose_loop_is_blocked(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(ENDLESS)
    with Daemon(tmp_path / "app.py", tmp_path / "a.db") as daemon:
        daemon.start("run", "one")
        time.sleep(0.5)
        daemon.process.terminate()
        time.sleep(0.2)
        daemon.process.terminate()
        assert daemon.process.wait(timeout=10) == 1


@pytest.mark.slow
def test_code_that_takes_every_interruption_for_nothing_ends_its_process(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(ENDLESS)
    with Daemon(tmp_path / "app.py", tmp_path / "a.db", "--activity-step-max", "1") as daemon:
        daemon.start("run", "one")
        assert daemon.process.wait(timeout=40) == 1
    log = (tmp_path / "a.log").read_text()
    assert "activity 'busy' of one cannot be interrupted" in log
    assert "Thread" in log  # all stacks
