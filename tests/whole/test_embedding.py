"""An engine can be entered in one place and left in another: fixtures, hooks, cells of a notebook, other threads.

The first tests are programs as their users write them, each in a process of its own.
"""

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest

from perdure import ActivityContext, App, Engine, Settings, Status, WorkflowContext
from perdure.actors.errors import ForeignLoop, ForeignThread, HostBroken, HostCancelled, HostNotRunning, HostStopping
from perdure.actors.reminders.loop import ReminderLoop
from perdure.actors.store.errors import StoreLocked
from perdure.actors.store.memory import MemoryStore
from perdure.runtime.errors import AsyncioNeeded, EngineUsed

APP = """
import asyncio, threading, perdure

app = perdure.App("shop")

@app.activity
async def add(ctx, n):
    return n + 1

@app.workflow
async def twice(ctx, n):
    return await ctx.call_activity(add, input=await ctx.call_activity(add, input=n))

@app.workflow
async def waits(ctx):
    return await ctx.wait_for_external_event("go")
"""

# Given a suite for pytest-asyncio, with engines in fixtures of each kind.
SUITE = """
import pytest, pytest_asyncio

from shop import *

@pytest_asyncio.fixture
async def by_block():
    async with perdure.Engine(app, data=":memory:") as engine:
        yield engine

@pytest_asyncio.fixture
async def by_calls():
    engine = perdure.Engine(app, data=":memory:")
    await engine.start()
    yield engine
    await engine.stop()

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared():
    async with perdure.Engine(app, data="./perdure.db") as engine:
        yield engine

@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["by_block", "by_calls"])
async def test_one_of_its_own(name, by_block, by_calls):
    engine = {"by_block": by_block, "by_calls": by_calls}[name]
    assert await engine.client.run(twice, input=40) == 42

@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("n", [1, 2])
async def test_shared(shared, n):
    assert await shared.client.run(twice, input=n) == n + 2

@pytest.mark.asyncio
async def test_shared_from_another_loop_is_told(shared):
    with pytest.raises(perdure.PerdureError, match="loop_scope"):
        await shared.client.run(twice, input=1)
"""

PROGRAMS = {
    "a block that is entered in one task and left in another": """
async def main():
    engine = perdure.Engine(app, data="perdure.db")
    await asyncio.create_task(engine.__aenter__())
    print(await asyncio.create_task(engine.client.run(twice, input=40)))
    await asyncio.create_task(engine.__aexit__(None, None, None))
    print(len(asyncio.all_tasks()) - 1, "tasks left")
asyncio.run(main())
""",
    "start and stop hooks": """
engine = perdure.Engine(app, data="perdure.db")

async def serve(on_startup, on_shutdown):
    for hook in on_startup:
        await asyncio.create_task(hook())
    print(await asyncio.create_task(engine.client.run(twice, input=40)))
    for hook in on_shutdown:
        await asyncio.create_task(hook())
    print(len(asyncio.all_tasks()) - 1, "tasks left")

asyncio.run(serve([engine.start], [engine.stop]))
""",
    "cells of a notebook": """
loop = asyncio.new_event_loop()
cell = loop.run_until_complete
engine = perdure.Engine(app, data="perdure.db")
cell(engine.start())
print(cell(engine.client.run(twice, input=40)))
cell(engine.stop())
print(len(asyncio.all_tasks(loop)), "tasks left")
loop.close()
""",
    "a thread of its own": """
async def main():
    loop = asyncio.get_running_loop()
    async with perdure.Engine(app, data="perdure.db") as engine:
        def elsewhere():
            print(asyncio.run_coroutine_threadsafe(engine.client.run(twice, input=40), loop).result())
        await asyncio.to_thread(elsewhere)
    print(len(asyncio.all_tasks()) - 1, "tasks left")
asyncio.run(main())
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=60)


def test_fixtures_of_pytest_asyncio_have_an_engine(folder: Path) -> None:
    (folder / "test_shop.py").write_text(SUITE)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    ran = run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "5 passed" in ran.stdout


def test_programs_enter_and_leave_their_engines_from_anywhere(folder: Path) -> None:
    told = [f"print({name!r})\n{program}" for name, program in PROGRAMS.items()]
    (folder / "program.py").write_text("\n".join(("from shop import *", *told)))
    ran = run(folder, "program.py")
    assert ran.stdout == "".join(f"{name}\n42\n0 tasks left\n" for name in PROGRAMS)
    assert ran.stderr == ""


class Shop:
    """An app with an activity that waits, and one engine after another on its store."""

    def __init__(self) -> None:
        self.app = App("shop")
        self.store = MemoryStore()
        self.began = anyio.Event()
        self.cancelled = 0

        @self.app.activity
        async def hang(ctx: ActivityContext) -> None:
            self.began.set()
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                self.cancelled += 1
                raise

        @self.app.workflow
        async def hangs(ctx: WorkflowContext) -> None:
            await ctx.call_activity(hang)

        @self.app.workflow
        async def waits(ctx: WorkflowContext) -> Any:
            return await ctx.wait_for_external_event("go")

    def engine(self, stop_grace_s: float = 30.0) -> Engine:
        return Engine(self.app, data=self.store, settings=Settings(stop_grace_s=stop_grace_s))

    async def left_in_order(self) -> None:
        """Check that the store is whole and not locked, and that nothing of the engine still runs."""
        assert {task.get_name() for task in asyncio.all_tasks()} & {"perdure engine"} == set()
        async with self.engine(stop_grace_s=0) as again:
            state = await again.client.get("w")
            assert state is not None
            assert state.status is Status.RUNNING


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def shop() -> Shop:
    return Shop()


async def cancel_by_task(story: Callable[[], Coroutine[Any, Any, None]], begun: anyio.Event) -> None:
    task = asyncio.ensure_future(story())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancel_by_scope(story: Callable[[], Coroutine[Any, Any, None]], begun: anyio.Event) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(story)
        await begun.wait()
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
@pytest.mark.parametrize("cancel", [cancel_by_task, cancel_by_scope])
async def test_a_block_that_is_cancelled_stops_its_engine_in_order(shop: Shop, cancel: Any) -> None:
    begun = anyio.Event()

    async def story() -> None:
        async with shop.engine() as engine:
            await engine.client.start("waits", instance_id="w")
            begun.set()
            await anyio.sleep_forever()

    with anyio.fail_after(10):
        await cancel(story, begun)
    await shop.left_in_order()


@pytest.mark.anyio
@pytest.mark.parametrize("cancel", [cancel_by_task, cancel_by_scope])
async def test_a_stop_that_is_cancelled_ends_the_grace_of_activities_and_saves_the_rest(
    shop: Shop, cancel: Any
) -> None:
    begun = anyio.Event()
    engine = shop.engine()
    await engine.start()
    await engine.client.start("waits", instance_id="w")
    await engine.client.start("hangs")
    await shop.began.wait()

    async def story() -> None:
        begun.set()
        await engine.stop()

    with anyio.fail_after(10):
        await cancel(story, begun)
    assert shop.cancelled == 1
    await shop.left_in_order()


@pytest.mark.anyio
async def test_an_activity_that_stops_its_own_engine_does_not_keep_it_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("perdure.actors.waiting.own_task.HURRY_S", 0.05)
    app = App("shop")
    ended: list[bool] = []

    @app.activity
    async def stop(ctx: ActivityContext) -> None:
        try:
            await engine.stop()
        finally:
            ended.append(True)

    @app.workflow
    async def stops(ctx: WorkflowContext) -> None:
        await ctx.call_activity(stop)

    engine = Engine(app, data=":memory:", settings=Settings(stop_grace_s=0.05))
    await engine.start()
    await engine.client.start("stops")
    with anyio.fail_after(10):
        while not ended:
            await anyio.sleep(0.01)
        await engine.stop()
    assert not engine.ready


@pytest.mark.anyio
async def test_a_start_that_is_cancelled_leaves_nothing_behind(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = anyio.Event()
    closed: list[bool] = []

    class SlowStore(MemoryStore):
        async def open(self) -> None:
            await super().open()
            opening.set()
            await anyio.sleep_forever()

        async def close(self) -> None:
            closed.append(True)
            await super().close()

    shop.store = SlowStore()
    engine = shop.engine()
    await cancel_by_task(engine.start, opening)
    assert {task.get_name() for task in asyncio.all_tasks()} & {"perdure engine"} == set()
    await engine.stop()


@pytest.mark.anyio
async def test_starting_and_stopping_out_of_order_is_told_or_harmless(shop: Shop, tmp_path: Path) -> None:
    engine = shop.engine()
    await engine.stop()  # a hook stops an engine also when its start has failed
    with pytest.raises(HostNotRunning):
        await engine.client.get("w")
    await engine.start()
    with pytest.raises(EngineUsed):
        await engine.start()
    assert engine.ready
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(engine.stop)
    await engine.stop()
    assert not engine.ready
    with pytest.raises(HostStopping):
        await engine.client.get("w")
    async with Engine(shop.app, data=tmp_path / "p.db"):
        second = Engine(shop.app, data=tmp_path / "p.db")
        with pytest.raises(StoreLocked):
            await second.start()
        await second.stop()


@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.anyio
async def test_on_trio_start_says_what_to_write(shop: Shop) -> None:
    with pytest.raises(AsyncioNeeded, match="async with"):
        await shop.engine().start()


class Crash(Exception):
    """A bug of the engine."""


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> anyio.Event:
    """Set, it ends each engine."""
    crash = anyio.Event()

    async def run(self: ReminderLoop) -> None:
        await crash.wait()
        raise Crash("a bug")

    monkeypatch.setattr(ReminderLoop, "run", run)
    return crash


@pytest.mark.anyio
async def test_an_error_that_ends_an_engine_is_told_at_the_next_call_and_at_the_stop(
    shop: Shop, crash: anyio.Event
) -> None:
    engine = shop.engine()
    await engine.start()
    await engine.client.start("waits", instance_id="w")
    waiting = asyncio.ensure_future(engine.client.wait("w"))
    await anyio.wait_all_tasks_blocked()
    crash.set()
    with pytest.raises(HostBroken, match="Crash: a bug"):
        await waiting
    assert not engine.ready
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: engine.client.start("waits"),
        lambda: engine.client.get("x"),
        lambda: engine.client.wait("w"),
    ]
    for call in calls:
        with pytest.raises(HostBroken, match="Crash: a bug"):
            await call()
    with pytest.raises(Crash):
        await engine.stop()
    await engine.stop()  # the error is raised once
    assert {task.get_name() for task in asyncio.all_tasks()} & {"perdure engine"} == set()


@pytest.mark.anyio
@pytest.mark.parametrize("swallow", [False, True])
async def test_an_error_that_ends_an_engine_ends_the_block_around_which_it_stands(
    shop: Shop, crash: anyio.Event, swallow: bool
) -> None:
    with pytest.raises(Crash):
        async with shop.engine():
            crash.set()
            try:
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                if not swallow:
                    raise
    await asyncio.sleep(0)  # the cancellation is taken back
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.anyio
async def test_an_error_of_the_block_goes_before_that_of_the_engine(
    shop: Shop, crash: anyio.Event, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with shop.engine():
            crash.set()
            try:
                await anyio.sleep_forever()
            finally:
                raise ZeroDivisionError
    assert "the engine has ended" in caplog.text
    assert "Crash: a bug" in caplog.text


def test_an_engine_whose_event_loop_has_ended_says_so() -> None:
    engine = Engine(App("shop"), data=":memory:")
    asyncio.run(engine.start())
    with pytest.raises(HostBroken, match="event loop in which it was started"):
        asyncio.run(_get(engine))
    with pytest.raises(HostCancelled):
        asyncio.run(engine.stop())
    gc.collect()


def test_a_call_or_a_stop_from_another_event_loop_is_refused() -> None:
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    engine = Engine(App("shop"), data=":memory:")
    first.run_until_complete(engine.start())
    calls: list[Callable[[], Coroutine[Any, Any, object]]] = [lambda: _get(engine), engine.stop]
    for call in calls:
        with pytest.raises(ForeignLoop):
            second.run_until_complete(call())
    first.run_until_complete(engine.stop())
    second.run_until_complete(engine.stop())
    first.close()
    second.close()


@pytest.mark.anyio
async def test_a_stop_from_another_thread_is_refused(shop: Shop) -> None:
    async with shop.engine() as engine:

        def elsewhere() -> None:
            with pytest.raises(ForeignThread, match="run_coroutine_threadsafe"):
                asyncio.run(engine.stop())

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await anyio.to_thread.run_sync(thread.join)
        assert engine.ready


async def _get(engine: Engine) -> object:
    return await engine.client.get("x")
