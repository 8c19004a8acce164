"""An engine hosts an app: workflows from start to end, through restarts, in real and in virtual time."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from perdure import (
    ActivityContext,
    App,
    Engine,
    InstanceExists,
    InstanceNotFound,
    NonRetryableError,
    RetryPolicy,
    Settings,
    Status,
    TaskFailedError,
    WorkflowContext,
    WorkflowFailed,
)
from perdure.actors.cluster.membership import FixedMembership
from perdure.actors.errors import ForeignThread, HostNotRunning, HostStopping
from perdure.actors.store.errors import StoreFailed, StoreLocked
from perdure.actors.store.memory import MemoryStore
from perdure.actors.store.part import WHOLE, Part
from perdure.actors.store.presence.apps import AppNames
from perdure.runtime.errors import AppError, AsyncioNeeded, EngineUsed
from perdure.runtime.execution.drive import ContinuedAsNew
from perdure.runtime.history.event import EventRaised, EventSent, ExecutionCompleted, ExecutionStarted
from perdure.runtime.instance.message import EventsTaken, WorkflowAnswer
from perdure.runtime.instance.receiving import RECEIVERS
from perdure.runtime.observing.observer import Observer
from perdure.runtime.operations.event_sender import EventSender
from perdure.runtime.operations.reading.listing import InstanceFilter
from perdure.runtime.settings import Opening, OtherApp
from perdure.runtime.workers.items import Worker, WorkflowItem
from perdure.testing.faulty_store import FaultyStore
from perdure.testing.virtual_time import LoopClock, run_virtually

pytestmark = pytest.mark.anyio


class World:
    """An app whose activities write into a diary."""

    def __init__(self) -> None:
        self.app = App("test")
        self.diary: list[str] = []
        self.keys: list[str] = []
        self.open = anyio.Event()  # `gate` waits for it
        self.failures = 0
        self._fill()

    def _fill(self) -> None:
        app = self.app

        @app.activity
        async def add_one(ctx: ActivityContext, n: int) -> int:
            self.diary.append(f"add_one {n}")
            return n + 1

        @app.activity
        def in_a_thread(ctx: ActivityContext) -> bool:
            return threading.current_thread() is threading.main_thread()

        @app.activity
        async def gate(ctx: ActivityContext, name: str) -> str:
            self.diary.append(f"gate {name}")
            self.keys.append(ctx.task_execution_id)
            await self.open.wait()
            return name

        @app.activity
        async def unsteady(ctx: ActivityContext) -> str:
            self.diary.append("unsteady")
            self.keys.append(ctx.task_execution_id)
            if self.failures > 0:
                self.failures -= 1
                raise ConnectionError("no route")
            return "steady"

        @app.activity
        async def hopeless(ctx: ActivityContext) -> None:
            self.diary.append("hopeless")
            raise NonRetryableError("do not try")

        @app.activity
        async def exits(ctx: ActivityContext) -> None:
            raise SystemExit(3)

        @app.workflow
        async def chain(ctx: WorkflowContext, n: int) -> int:
            for _ in range(3):
                n = await ctx.call_activity(add_one, input=n)
            return n

        @app.workflow
        def chain_by_yield(ctx: WorkflowContext, n: int) -> Any:
            for _ in range(3):
                n = yield ctx.call_activity(add_one, input=n)
            return n

        @app.workflow
        async def fan(ctx: WorkflowContext, n: int) -> int:
            return sum(await ctx.when_all([ctx.call_activity(add_one, input=i) for i in range(n)]))

        @app.workflow
        async def thread(ctx: WorkflowContext) -> bool:
            return await ctx.call_activity(in_a_thread)

        @app.workflow
        async def gated(ctx: WorkflowContext) -> str:
            return await ctx.call_activity(gate, input=ctx.instance_id)

        @app.workflow
        async def steady(ctx: WorkflowContext) -> Any:
            policy = RetryPolicy(
                first_retry_interval=timedelta(hours=1), max_number_of_attempts=3, backoff_coefficient=2
            )
            return await ctx.call_activity(unsteady, retry_policy=policy)

        @app.workflow
        async def hope(ctx: WorkflowContext) -> str:
            policy = RetryPolicy(first_retry_interval=timedelta(hours=1), max_number_of_attempts=9)
            try:
                await ctx.call_activity(hopeless, retry_policy=policy)
            except TaskFailedError as error:
                return error.details.error_type
            return "?"

        @app.workflow
        async def calls_exits(ctx: WorkflowContext) -> None:
            await ctx.call_activity(exits)

        @app.workflow
        async def calls_nobody(ctx: WorkflowContext) -> None:
            await ctx.call_activity("nobody", input=1)

        @app.workflow
        async def sleeps(ctx: WorkflowContext, days: int) -> str:
            await ctx.create_timer(timedelta(days=days))
            return ctx.now().isoformat()

        @app.workflow
        async def waits(ctx: WorkflowContext) -> Any:
            return await ctx.wait_for_external_event("go")

        @app.workflow
        async def family(ctx: WorkflowContext, ids: list[str | None]) -> list[int]:
            children = [ctx.call_child_workflow(chain, input=i, instance_id=child) for i, child in enumerate(ids)]
            return await ctx.when_all(children)

        @app.workflow
        def leaves(ctx: WorkflowContext) -> None:
            raise SystemExit(3)

        @app.workflow
        async def opens_a_scope(ctx: WorkflowContext) -> Any:
            async with asyncio.timeout(0.01):
                return await ctx.wait_for_external_event("never")

        @app.workflow
        async def noisy_end(ctx: WorkflowContext) -> None:
            try:
                await ctx.wait_for_external_event("never")
            finally:
                raise SystemExit(3)

        @app.workflow
        async def forever(ctx: WorkflowContext) -> None:
            ctx.continue_as_new(None)

        @app.workflow
        async def guardian(ctx: WorkflowContext, child_id: str) -> Any:
            return await ctx.call_child_workflow(waits, instance_id=child_id)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def engine(world: World, settings: Settings) -> Callable[..., Engine]:
    def make(store: Any = None, **more: Any) -> Engine:
        return Engine(world.app, data=store or MemoryStore(), settings=settings, **more)

    return make


Make = Callable[..., Engine]


@pytest.mark.parametrize(("workflow", "given", "result"), [("chain", 0, 3), ("chain_by_yield", 0, 3), ("fan", 20, 210)])
async def test_a_workflow_runs_its_activities_and_returns(engine: Make, workflow: str, given: int, result: int) -> None:
    async with engine() as running:
        assert await running.client.run(workflow, input=given) == result


async def test_a_plain_function_runs_in_a_thread(engine: Make) -> None:
    async with engine() as running:
        assert await running.client.run("thread") is False


async def test_a_result_is_recorded_once_however_many_wait(engine: Make, world: World) -> None:
    async with engine() as running:
        instance_id = await running.client.start("chain", input=0)
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(running.client.wait, instance_id)
    assert world.diary == ["add_one 0", "add_one 1", "add_one 2"]


async def test_starting_the_same_id_at_once_has_one_winner(engine: Make, world: World) -> None:
    async with engine() as running:
        refused: list[InstanceExists] = []

        async def start() -> None:
            try:
                await running.client.start("waits", instance_id="one")
            except InstanceExists as error:
                refused.append(error)

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(start)
        assert len(refused) == 9


async def test_a_failed_run_says_what_failed(engine: Make) -> None:
    async with engine() as running:
        with pytest.raises(WorkflowFailed, match="Activity function named 'nobody' was not registered"):
            await running.client.run("calls_nobody")


async def test_an_activity_that_exits_fails_and_the_engine_lives(engine: Make) -> None:
    async with engine() as running:
        with pytest.raises(WorkflowFailed):
            await running.client.run("calls_exits")
        assert await running.client.run("chain", input=0) == 3


async def test_a_plain_function_that_exits_fails_its_instance_and_the_engine_lives(engine: Make) -> None:
    async with engine() as running:
        with pytest.raises(WorkflowFailed, match="SystemExit"):
            await running.client.run("leaves")
        assert await running.client.run("chain", input=0) == 3


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_scope_of_the_event_loop_in_a_workflow_fails_it_at_once_and_cancels_no_task(engine: Make) -> None:
    async with engine() as running:
        with pytest.raises(WorkflowFailed, match="inside a task"):
            await running.client.run("opens_a_scope")
        await anyio.sleep(0.02)
        assert await running.client.run("chain", input=0) == 3


async def test_code_that_raises_while_it_is_put_away_harms_no_other_instance(world: World) -> None:
    settings = Settings(activations_max=1)
    async with Engine(world.app, data=":memory:", settings=settings) as running:
        await running.client.start("noisy_end")
        for _ in range(3):
            assert await running.client.run("chain", input=0) == 3


async def test_workflows_that_never_rest_do_not_keep_an_engine_from_stopping(engine: Make) -> None:
    with anyio.fail_after(8):
        async with engine() as running:
            await running.client.start("forever")


@pytest.mark.usefixtures("virtual_backend")
def test_retries_follow_the_policy_and_keep_their_key(settings: Settings) -> None:
    async def story() -> None:
        world = World()
        clock = LoopClock()
        async with Engine(world.app, data=MemoryStore(), clock=clock, settings=settings) as running:
            world.failures = 2
            before_us = clock.now_us()
            assert await running.client.run("steady") == "steady"
            # One hour after the first try, two after the second.
            assert (clock.now_us() - before_us) // 3_600_000_000 == 3
            assert len(world.keys) == 3
            assert len(set(world.keys)) == 1

    run_virtually(story)


@pytest.mark.usefixtures("virtual_backend")
def test_a_non_retryable_error_is_not_tried_again(settings: Settings) -> None:
    async def story() -> None:
        world = World()
        async with Engine(world.app, data=MemoryStore(), clock=LoopClock(), settings=settings) as running:
            assert await running.client.run("hope") == "NonRetryableError"
            assert world.diary == ["hopeless"]

    run_virtually(story)


@pytest.mark.usefixtures("virtual_backend")
def test_months_of_sleep_end_on_time(settings: Settings) -> None:
    async def story() -> None:
        clock = LoopClock()
        async with Engine(World().app, data=MemoryStore(), clock=clock, settings=settings) as running:
            woke = datetime.fromisoformat(await running.client.run("sleeps", input=90))
            state = await running.client.get("x")
            assert state is None
            assert woke.isoformat().startswith("2026-04-01T00:00:00")

    run_virtually(story)


@pytest.mark.usefixtures("virtual_backend")
def test_a_wait_has_a_limit(settings: Settings) -> None:
    async def story() -> None:
        async with Engine(World().app, data=MemoryStore(), clock=LoopClock(), settings=settings) as running:
            instance_id = await running.client.start("waits")
            with pytest.raises(TimeoutError):
                await running.client.wait(instance_id, timeout=timedelta(days=1))
            with pytest.raises(InstanceNotFound):
                await running.client.wait("nobody")

    run_virtually(story)


async def test_instances_go_on_after_a_stop_where_they_were(engine: Make, world: World) -> None:
    store = MemoryStore()
    # Given an instance that waits for an event and one whose activity is under way,
    async with engine(store) as running:
        await running.client.start("waits", instance_id="waiting")
        await running.client.start("gated", instance_id="working")
        await anyio.wait_all_tasks_blocked()
        assert world.diary == ["gate working"]
    # when another engine opens the store,
    world.open.set()
    async with engine(store) as running:
        # then the activity is performed again, with the same key,
        assert (await running.client.wait("working")).output == "working"
        assert world.diary == ["gate working", "gate working"]
        assert len(set(world.keys)) == 1
        # and the other continues when its event comes.
        await running.client.raise_event("waiting", "GO", [1])
        assert (await running.client.wait("waiting")).output == [1]


async def test_a_stop_gives_running_activities_their_grace(engine: Make, world: World) -> None:
    store = MemoryStore()
    async with engine(store) as running, anyio.create_task_group() as tasks:
        await running.client.start("gated", instance_id="working")
        await anyio.wait_all_tasks_blocked()

        async def finish_soon() -> None:
            await anyio.sleep(0.05)
            world.open.set()

        tasks.start_soon(finish_soon)
    async with engine(store) as running:
        assert (await running.client.wait("working")).output == "working"
    assert world.diary == ["gate working"]


async def test_an_engine_says_when_it_waits_for_nothing_but_activities_that_do_not_end() -> None:
    app, released = App("stays"), anyio.Event()

    @app.activity
    async def shielded(ctx: ActivityContext) -> None:
        with anyio.CancelScope(shield=True):
            await released.wait()

    @app.workflow
    async def waits(ctx: WorkflowContext) -> None:
        await ctx.call_activity(shielded)

    async def release() -> None:
        while not staying.waits_for_activities:
            await anyio.sleep(0.001)
        released.set()

    staying = Engine(app, data=MemoryStore(), settings=Settings(stop_grace_s=0.01))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks, staying:
            await staying.client.start(waits, instance_id="i")
            await anyio.wait_all_tasks_blocked()
            assert not staying.waits_for_activities
            tasks.start_soon(release)
    assert not staying.waits_for_activities


async def test_an_error_in_the_block_stops_the_engine_and_comes_out_as_it_is(engine: Make) -> None:
    store = MemoryStore()
    with pytest.raises(ZeroDivisionError):
        async with engine(store) as running:
            await running.client.start("waits", instance_id="waiting")
            raise ZeroDivisionError
    async with engine(store) as running:
        assert await running.client.get("waiting") is not None


async def test_who_waits_when_the_engine_stops_is_told(engine: Make) -> None:
    async with anyio.create_task_group() as tasks:

        async def wait() -> None:
            with pytest.raises(HostStopping):
                await running.client.wait("waiting")

        async with engine() as running:
            await running.client.start("waits", instance_id="waiting")
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()


async def test_children_run_and_their_results_come_back_in_order(engine: Make) -> None:
    async with engine() as running:
        assert await running.client.run("family", input=[None, None, None], instance_id="f") == [3, 4, 5]
        child = await running.client.get("f:0002")
        assert child is not None
        assert child.details.parent_id == "f"


async def test_a_child_whose_id_is_held_by_a_running_instance_fails_its_task(engine: Make) -> None:
    async with engine() as running:
        await running.client.start("waits", instance_id="taken")
        with pytest.raises(WorkflowFailed, match="an active workflow with ID 'taken' already exists"):
            await running.client.run("family", input=["taken"])


async def test_a_child_takes_the_id_of_a_finished_instance(engine: Make) -> None:
    async with engine() as running:
        await running.client.run("chain", input=9, instance_id="used")
        assert await running.client.run("family", input=["used"]) == [3]


async def test_two_parents_that_ask_for_one_id_at_once_both_get_an_answer(engine: Make) -> None:
    async with engine() as running:
        for parent in ("p1", "p2"):
            await running.client.start("guardian", input="shared", instance_id=parent)
        while await running.client.get("shared") is None:
            await anyio.sleep(0.001)
        await running.client.raise_event("shared", "go", 1)
        ends = [(await running.client.wait(parent)).status for parent in ("p1", "p2")]
        assert sorted(status.name for status in ends) == ["COMPLETED", "FAILED"]


async def test_a_purge_leaves_a_stranger_alone_whose_id_a_parent_once_asked_for(engine: Make) -> None:
    async with engine() as running:
        await running.client.start("waits", instance_id="stranger")
        with pytest.raises(WorkflowFailed):
            await running.client.run("family", input=["stranger"], instance_id="f")
        assert await running.client.purge("f") == 1
        assert await running.client.get("stranger") is not None


async def test_termination_reaches_the_children(engine: Make) -> None:
    async with engine() as running:
        await running.client.start("guardian", input="ward", instance_id="g")
        while await running.client.get("ward") is None:
            await anyio.sleep(0.001)
        await running.client.terminate("g", output="stop")
        state = await running.client.wait("g")
        assert (state.status, state.output) == (Status.TERMINATED, "stop")
        assert (await running.client.wait("ward")).status is Status.TERMINATED


async def test_an_id_with_an_unfinished_descendant_is_not_used_again(engine: Make) -> None:
    async with engine() as running:
        await running.client.start("guardian", input="ward", instance_id="g")
        while await running.client.get("ward") is None:
            await anyio.sleep(0.001)
        await running.client.terminate("g", recurse=False)
        with pytest.raises(Exception, match="cannot recreate workflow with ID 'g': child workflow 'ward'"):
            await running.client.start("chain", input=1, instance_id="g")
        await running.client.terminate("ward")
        assert await running.client.run("chain", input=1, instance_id="g") == 4


async def test_a_purge_takes_the_children_along(engine: Make) -> None:
    async with engine() as running:
        await running.client.run("family", input=[None, None], instance_id="f")
        assert await running.client.purge("f") == 3
        assert await running.client.get("f") is None
        assert await running.client.get("f:0001") is None
        with pytest.raises(InstanceNotFound):
            await running.client.purge("f")


async def test_nothing_is_lost_when_commits_fail_now_and_then(engine: Make, world: World) -> None:
    # Given a store that fails every third commit,
    store = FaultyStore(MemoryStore())
    async with engine(store) as running, anyio.create_task_group() as tasks:
        for nth in range(3, 3_000, 3):
            store.fail_commit(nth)

        async def start(number: int) -> None:
            while True:
                try:
                    await running.client.start("chain", input=number, instance_id=f"i{number}")
                except StoreFailed:
                    await anyio.sleep(0.01)
                else:
                    return

        # when many are started,
        for number in range(20):
            tasks.start_soon(start, number)
        # then all of them complete.
        for number in range(20):
            while await running.client.get(f"i{number}") is None:
                await anyio.sleep(0.01)
            assert (await running.client.wait(f"i{number}")).output == number + 3


async def test_two_engines_live_in_one_program(world: World, settings: Settings) -> None:
    first = Engine(world.app, data=":memory:", settings=settings)
    second = Engine(world.app, data=":memory:", settings=settings)
    async with first as one, second as two:
        assert await one.client.run("chain", input=0, instance_id="x") == 3
        assert await two.client.get("x") is None
        assert one.ready
        assert two.ready


async def test_an_engine_without_an_app_keeps_instances_for_one_that_has_their_code(
    world: World, settings: Settings
) -> None:
    store = MemoryStore()
    async with Engine(None, data=store, settings=settings) as waiting:
        await waiting.client.start("chain", input=0, instance_id="i")
        state = await waiting.client.get("i")
        assert state is not None
        assert state.status is Status.PENDING
    async with Engine(world.app, data=store, settings=settings) as running:
        assert (await running.client.wait("i")).output == 3


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_store_that_is_taken_is_the_error_that_it_is(engine: Make, tmp_path: Path) -> None:
    async with engine(tmp_path / "p.db"):
        with pytest.raises(StoreLocked):
            await engine(tmp_path / "p.db").__aenter__()


# Engines with workers that send events.


async def work(engine: Engine, turns: Callable[[WorkflowItem], dict[str, Any]]) -> None:
    """Be a worker: answer each turn with the result of `turns`."""
    async with engine.dispatcher.connect(Worker("here", "test", stateful=False)) as items:
        async for item in items:
            assert isinstance(item, WorkflowItem)
            answer = turns(item)
            commands = answer.pop("commands", [])
            await engine.dispatcher.complete_workflow(WorkflowAnswer(item.instance_id, item.token, commands, **answer))


def sends_and_collects(item: WorkflowItem) -> dict[str, Any]:
    """A sender sends five events in its only turn; a collector ends with the tenth, after some generations."""
    if item.instance_id.startswith("sender"):
        sent = [EventSent(n, "collector", "tick", f'"{item.instance_id} {n}"') for n in range(5)]
        return {"commands": [*sent, ExecutionCompleted(9, Status.COMPLETED.value, None)]}
    events = [timed.event for timed in (*item.past, *item.new)]
    [started] = [event for event in events if isinstance(event, ExecutionStarted)]
    got = json.loads(started.input or "[]")
    got += [json.loads(event.input or "") for event in events if isinstance(event, EventRaised)]
    if len(got) >= 10:
        return {"commands": [ExecutionCompleted(1, Status.COMPLETED.value, json.dumps(got))]}
    if len(got) > len(json.loads(started.input or "[]")):
        return {"continued": ContinuedAsNew(json.dumps(got), [])}
    return {}


TICKS = [f"sender-{s} {n}" for s in range(2) for n in range(5)]


async def test_events_that_workflows_send_arrive_once_and_in_order() -> None:
    store = MemoryStore()
    async with engine_of_workers(store) as workers, anyio.create_task_group() as tasks:
        tasks.start_soon(work, workers, sends_and_collects)
        await workers.facade.start("collect", instance_id="collector")
        for n in range(2):
            await workers.facade.start("send", instance_id=f"sender-{n}")
        state = await workers.facade.wait("collector")
        got = json.loads(state.output or "")
        assert sorted(got) == TICKS
        assert [tick for tick in got if tick.startswith("sender-0")] == TICKS[:5]
        tasks.cancel_scope.cancel()
    # No work is left.
    async with engine_of_workers(store) as again:
        assert again.active_actors()["workflow"] == 0


async def test_events_that_were_not_delivered_when_the_engine_ended_are_delivered_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given an engine that ends before it has delivered anything,
    store = MemoryStore()
    with monkeypatch.context() as patched:
        patched.setattr(EventSender, "receive", lambda *_: None)
        async with engine_of_workers(store) as first, anyio.create_task_group() as tasks:
            tasks.start_soon(work, first, sends_and_collects)
            await first.facade.start("collect", instance_id="collector")
            for n in range(2):
                await first.facade.start("send", instance_id=f"sender-{n}")
                await first.facade.wait(f"sender-{n}")
            tasks.cancel_scope.cancel()
    # and one that delivers everything and forgets it,
    with monkeypatch.context() as patched:
        patched.setitem(RECEIVERS, EventsTaken, lambda *_: None)
        async with engine_of_workers(store) as second, anyio.create_task_group() as tasks:
            tasks.start_soon(work, second, sends_and_collects)
            with anyio.fail_after(10):
                await second.facade.wait("collector")
            tasks.cancel_scope.cancel()
    # when the next engine delivers everything again, then each event has arrived once.
    async with engine_of_workers(store) as third:
        state = await third.facade.inspect("collector")
        assert state is not None
        assert sorted(json.loads(state.output or "")) == TICKS
        with anyio.fail_after(10):
            while await third.store.active():
                await anyio.sleep(0.01)


async def test_what_the_engine_keeps_for_itself_is_no_actor_of_the_app() -> None:
    async with engine_of_workers(MemoryStore()) as engine, anyio.create_task_group() as tasks:
        tasks.start_soon(work, engine, sends_and_collects)
        await engine.facade.start("collect", instance_id="collector")
        await engine.facade.wait("collector", lambda status: status is Status.RUNNING)
        assert engine.active_actors() == {"workflow": 1, "activity": 0}
        tasks.cancel_scope.cancel()


def engine_of_workers(store: MemoryStore) -> Engine:
    return Engine(None, data=store, settings=Settings(stop_grace_s=0))


CALLS: dict[str, Callable[[Engine], Awaitable[Any]]] = {
    "start": lambda engine: engine.client.start("greet"),
    "start with an id": lambda engine: engine.client.start("greet", instance_id="x"),
    "run": lambda engine: engine.client.run("greet"),
    "get": lambda engine: engine.client.get("x"),
    "wait": lambda engine: engine.client.wait("x"),
    "raise_event": lambda engine: engine.client.raise_event("x", "e"),
    "suspend": lambda engine: engine.client.suspend("x"),
    "resume": lambda engine: engine.client.resume("x"),
    "terminate": lambda engine: engine.client.terminate("x"),
    "purge": lambda engine: engine.client.purge("x"),
    "list_ids": lambda engine: engine.facade.list_ids(),
    "history": lambda engine: engine.facade.history("x"),
    "purge_where": lambda engine: engine.facade.purge_where(),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_client_that_is_used_before_its_engine_runs_is_told_so(call: str) -> None:
    engine = Engine(App("shop"), data=":memory:")
    with pytest.raises(HostNotRunning, match="async with Engine"):
        await CALLS[call](engine)


@pytest.mark.parametrize("call", CALLS)
async def test_a_client_that_is_used_in_another_thread_is_told_so_and_does_not_wait_for_ever(call: str) -> None:
    async with Engine(App("shop"), data=":memory:") as engine:

        def elsewhere() -> None:
            with pytest.raises(ForeignThread, match=r"anyio\.from_thread\.run"):
                anyio.run(CALLS[call], engine)

        await anyio.to_thread.run_sync(elsewhere)


async def test_a_thread_of_anyios_reaches_the_client_as_the_error_says() -> None:
    async with Engine(App("shop"), data=":memory:") as engine:
        assert await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(engine.client.get, "x")) is None


async def test_an_engine_that_is_to_run_again_is_refused() -> None:
    engine = Engine(App("shop"), data=":memory:")
    async with engine:
        pass
    with pytest.raises(EngineUsed, match="Make another"):
        async with engine:
            pass


def test_these_errors_do_not_vanish_without_asserts() -> None:
    script = """
import anyio
from perdure import App, Engine, PerdureError

async def main():
    engine = Engine(App("shop"), data=":memory:")
    for use in (lambda: engine.client.get("x"), lambda: engine.client.start("w"), lambda: engine.facade.list_ids()):
        try:
            await use()
        except PerdureError as error:
            print(type(error).__name__)
    async with engine:
        pass
    try:
        await engine.__aenter__()
    except PerdureError as error:
        print(type(error).__name__)

anyio.run(main)
"""
    command = [sys.executable, "-O", "-c", script]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split()
    assert said == ["HostNotRunning"] * 3 + ["EngineUsed"]


class Ends(Observer):
    """Keeps the names of everything that ends."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def workflow_ended(self, name: str, status: Status, took_s: float) -> None:
        self.names.append(name)

    def app_activity_ended(self, name: str, *, failed: bool, took_s: float) -> None:
        self.names.append(name)


async def test_an_engine_says_how_it_is_and_what_it_has_done(world: World, settings: Settings) -> None:
    store = MemoryStore()
    engine = Engine(world.app, data=store, settings=settings)
    ready_at_stop: list[bool] = []
    engine.on_stop(lambda: ready_at_stop.append(engine.ready))
    observer = Ends()
    engine.observe(observer)
    assert (engine.ready, engine.alone, engine.store_intact, engine.commit_under_way) == (False, True, True, None)
    async with engine:
        assert engine.ready
        assert await engine.client.run("chain", input=0) == 3
        assert engine.turns >= engine.commits > 0
        assert observer.names == ["add_one"] * 3 + ["chain"]
        assert engine.active_actors()["activity"] == 0
        # The engine's state shows a commit that hangs, and a file that is gone.
        engine.set_hanging(True)
        assert not engine.ready
        engine.set_hanging(False)
        engine.tell_blocked()
        store.intact = False
        assert (engine.ready, engine.store_intact) == (False, False)
        facade = engine.facade
        assert await engine.management_through(facade).views.listing.count(InstanceFilter(), ()) is not None
    assert ready_at_stop == [False]
    assert (engine.ready, engine.store_intact) == (False, True)


async def test_an_engine_is_started_and_stopped_without_a_block(
    world: World, settings: Settings, anyio_backend_name: str
) -> None:
    engine = Engine(world.app, data=":memory:", settings=settings)
    await engine.stop()  # it was never started
    if anyio_backend_name == "trio":
        with pytest.raises(AsyncioNeeded):
            await engine.start()
        return
    await engine.start()
    with pytest.raises(EngineUsed):
        await engine.start()
    assert await engine.client.run("chain", input=0) == 3
    await engine.stop()
    await engine.stop()
    assert not engine.ready


class UnclosableStore(MemoryStore):
    """A store that fails to close."""

    async def close(self) -> None:
        await super().close()
        raise StoreFailed("the disk is away")


async def test_an_error_of_the_stop_is_told_and_hides_no_error_of_the_block(
    world: World, anyio_backend_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StoreFailed, match="the disk is away"):
        async with Engine(world.app, data=UnclosableStore()):
            pass
    if anyio_backend_name == "asyncio":
        with pytest.raises(LookupError, match="of the block"):
            async with Engine(world.app, data=UnclosableStore()):
                raise LookupError("of the block")
        assert "the engine did not stop in order" in caplog.text


async def store_of_apps(*names: str, part: Part = WHOLE) -> MemoryStore:
    """A store with these apps."""
    store = MemoryStore(part=part)
    await store.open()
    await store.enter_apps(AppNames(names))
    await store.close()
    return store


async def test_an_engine_that_only_looks_has_all_apps_of_its_store() -> None:
    store = await store_of_apps("shop", "stock")
    async with Engine(data=store, opening=Opening(dormant=True)) as engine:
        stock = engine.app_of("stock")
        assert stock is engine.apps["stock"]
        assert engine.app_of("nobody") is None


async def test_a_part_of_a_store_with_another_first_app_is_refused(tmp_path: Path) -> None:
    # Given a part of a store that was begun for billing,
    member = FixedMembership(part=Part(0, 2), directory=str(tmp_path))
    store = await store_of_apps("billing", part=member.part)
    # when a process of a daemon that names the shop first opens it,
    opening = Opening(others=[OtherApp("billing", App("billing"))])
    engine = Engine(App("shop"), data=store, membership=member, settings=Settings(app_id="shop"), opening=opening)
    # then it says which app to name first.
    with pytest.raises(StoreFailed, match=r"is 'billing', and this daemon .* has 'shop' .* Name 'billing' first"):
        async with engine:
            pass


async def test_a_name_stands_for_one_app_of_an_engine() -> None:
    opening = Opening(others=[OtherApp("shop", App("shop"))])
    with pytest.raises(AppError, match="two apps have the ID 'shop'"):
        Engine(App("shop"), data=":memory:", settings=Settings(app_id="shop"), opening=opening)


def test_the_address_of_a_database_is_a_store_on_it() -> None:
    engine = Engine(App("shop"), data="postgresql://host/shop")
    assert engine.store.kind == "postgresql"
    assert engine.peers is not None, "other hosts may share it"
