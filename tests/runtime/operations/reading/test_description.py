"""Descriptions of real instances: the app's own code and a worker's, while they run and after a restart."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from perdure import ActivityContext, App, Engine, RetryPolicy, Settings, WorkflowContext
from perdure.actors.store.memory import MemoryStore
from perdure.runtime.history.event import (
    TaskScheduled,
    TimerCreated,
    TimerOrigin,
)
from perdure.runtime.instance.message import WorkflowAnswer, workflow_address
from perdure.runtime.operations.reading.description import Description
from perdure.runtime.operations.reading.listing import InstanceFilter
from perdure.runtime.operations.reading.waiting import WaitKind, WorkPlace
from perdure.runtime.settings import Opening
from perdure.runtime.workers.items import ActivityItem, Worker, WorkflowItem

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)


class World:
    """An app whose workflows each wait for one thing, and whose activities wait for a gate."""

    def __init__(self) -> None:
        self.app = App("test")
        self.gate = anyio.Event()
        self.ran: list[str] = []

        @self.app.activity
        async def gated(ctx: ActivityContext) -> None:
            self.ran.append(ctx.workflow_id)
            await self.gate.wait()

        @self.app.activity
        async def fails(ctx: ActivityContext) -> None:
            raise ValueError("no")

        @self.app.workflow
        async def activity(ctx: WorkflowContext) -> None:
            await ctx.call_activity(gated)

        @self.app.workflow
        async def retry(ctx: WorkflowContext) -> None:
            policy = RetryPolicy(first_retry_interval=DAY, max_number_of_attempts=3)
            await ctx.call_activity(fails, retry_policy=policy)

        @self.app.workflow
        async def event(ctx: WorkflowContext) -> None:
            ctx.set_custom_status("é" * 200)
            await ctx.wait_for_external_event("Approve")

        @self.app.workflow
        async def event_until(ctx: WorkflowContext) -> None:
            await ctx.wait_for_external_event("Approve", timeout=DAY)

        @self.app.workflow
        async def timer(ctx: WorkflowContext) -> None:
            await ctx.create_timer(DAY)

        @self.app.workflow
        async def child(ctx: WorkflowContext) -> None:
            await ctx.when_any([ctx.call_child_workflow(event), ctx.call_child_workflow(done, input="x")])
            await ctx.call_child_workflow(event)

        @self.app.workflow
        async def done(ctx: WorkflowContext, value: Any) -> Any:
            return value

        @self.app.workflow
        async def broken(ctx: WorkflowContext, value: Any) -> None:
            raise ValueError("no")

        @self.app.workflow
        async def again(ctx: WorkflowContext, n: int) -> None:
            if n:
                ctx.continue_as_new(n - 1)
            else:
                await ctx.wait_for_external_event("Approve")


async def described(engine: Engine, instance_id: str) -> Description:
    found = await engine.views.descriptions.describe(instance_id)
    assert found is not None
    return found


async def waits(engine: Engine, instance_id: str) -> list[tuple[Any, ...]]:
    """The waits of an instance, without times."""
    found = (await described(engine, instance_id)).waiting_for
    return [
        (each.kind.value, each.name, each.state and each.state.value, each.attempt, each.event_id) for each in found
    ]


EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "activity": [("activity", "gated", "running", 1, 1)],
    "retry": [("activity", "fails", "queued", 2, 2)],
    "event": [("event", "Approve", None, None, None)],
    "event_until": [("event", "Approve", None, None, 1)],
    "timer": [("timer", None, None, None, 1)],
    "child": [("child", "event", None, 1, 1), ("child", "event", None, 1, 3)],
    "scheduled": [("start", None, None, None, None)],
    "suspended": [("resume", None, None, None, None), ("event", "Approve", None, None, None)],
    "elsewhere": [("worker", "elsewhere", "queued", None, None)],
}
# The special starts of some; the others are started by their names.
WORKFLOWS = {"scheduled": "event", "suspended": "event"}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_each_instance_says_what_it_waits_for_while_it_runs_and_after_a_restart(
    tmp_path: Path, settings: Settings
) -> None:
    settings = replace(settings, wait_for_workers=True)
    data, world = tmp_path / "perdure.db", World()

    async def settled(engine: Engine) -> None:
        with anyio.fail_after(5):
            while (found := {name: await waits(engine, name) for name in EXPECTED}) != EXPECTED:
                await anyio.sleep(0.005)
        assert found == EXPECTED

    async with Engine(world.app, data=data, settings=settings) as engine:
        for name in EXPECTED:
            later_us = 2**52 if name == "scheduled" else None
            await engine.facade.start(WORKFLOWS.get(name, name), instance_id=name, start_at_us=later_us)
        await engine.facade.suspend("suspended")
        await settled(engine)
        before = {name: await described(engine, name) for name in EXPECTED}
    world = World()
    async with Engine(world.app, data=data, settings=settings) as engine:
        await settled(engine)
        for name, then in before.items():
            now = await described(engine, name)
            if name != "activity":  # it has begun once more
                assert now == then
            assert now.item == then.item
        listed = await engine.views.listing.list(InstanceFilter(root=True), limit=50, with_waiting=True)
        assert {id_: len(waiting) for id_, waiting in listed.waiting.items()} == {
            name: len(waiting) for name, waiting in EXPECTED.items()
        }
    assert before["child"].children == {"RUNNING": 2, "COMPLETED": 1}
    assert before["event"].children == {}


async def test_a_description_runs_no_code(settings: Settings) -> None:
    store, world = MemoryStore(), World()
    async with Engine(world.app, data=store, settings=settings) as engine:
        await engine.facade.start("activity", instance_id="i")
        with anyio.fail_after(5):
            while not world.ran:
                await anyio.sleep(0.005)
    async with Engine(None, data=store, settings=settings) as engine:
        found = await described(engine, "i")
    [waiting] = found.waiting_for
    assert (waiting.kind, waiting.name, waiting.state) == (WaitKind.ACTIVITY, "gated", WorkPlace.QUEUED)


async def test_an_activity_is_queued_until_there_is_room_for_it(settings: Settings) -> None:
    world = World()
    async with Engine(world.app, data=":memory:", settings=replace(settings, activities_max=1)) as engine:
        await engine.facade.start("activity", instance_id="first")
        with anyio.fail_after(5):
            while not world.ran:
                await anyio.sleep(0.005)
        await engine.facade.start("activity", instance_id="second")
        assert await waits(engine, "first") == [("activity", "gated", "running", 1, 1)]
        assert await waits(engine, "second") == [("activity", "gated", "queued", 1, 1)]
        [running] = (await described(engine, "first")).waiting_for
        asked_us = (await described(engine, "first")).item.created_us
        assert running.since_us >= asked_us
        world.gate.set()


async def test_an_instance_that_has_ended_waits_for_nothing_and_has_its_sizes(settings: Settings) -> None:
    async with Engine(World().app, data=":memory:", settings=settings) as engine:
        await engine.facade.start("done", instance_id="i", input='"é"', tags={"team": "billing"})
        state = await engine.facade.wait("i")
        found = await described(engine, "i")
    assert (found.input_bytes, found.output_bytes) == (4, 4)
    assert (found.turns, found.events) == (1, 2)
    assert found.bytes > 0
    assert list(found.waiting_for) == []
    assert (found.failure, found.stall) == (None, None)
    assert found.execution_id == found.first_execution_id == state.execution_id
    item = found.item
    assert (item.id, item.name, item.status, item.generation) == ("i", "done", "COMPLETED", 0)
    assert (item.custom_status, item.parent, item.root, item.app_id) == (None, None, None, "test")
    assert item.tags == (("team", "billing"),)
    assert item.created_us == state.created_us
    assert item.updated_us == item.ended_us == state.updated_us


async def test_a_failed_instance_says_with_what(settings: Settings) -> None:
    async with Engine(World().app, data=":memory:", settings=settings) as engine:
        await engine.facade.start("broken", instance_id="i", input="1")
        await engine.facade.wait("i")
        found = await described(engine, "i")
    assert found.item.status == "FAILED"
    assert found.failure is not None
    assert (found.failure.error_type, found.failure.message) == ("ValueError", "no")


async def test_an_item_has_the_first_128_characters_of_the_custom_status(settings: Settings) -> None:
    async with Engine(World().app, data=":memory:", settings=settings) as engine:
        await engine.facade.start("event", instance_id="i")
        assert (await described(engine, "i")).item.custom_status == "é" * 128


async def test_it_is_updated_with_a_change_and_not_with_each_turn(settings: Settings) -> None:
    async with Engine(World().app, data=":memory:", settings=settings) as engine:
        await engine.facade.start("event", instance_id="i")
        before = await described(engine, "i")
        await engine.facade.raise_event("i", "unheard")
        after = await described(engine, "i")
        assert after.events == before.events + 1
        assert after.item == before.item
        await engine.facade.suspend("i")
        suspended = await described(engine, "i")
    assert suspended.item.updated_us > before.item.updated_us
    assert suspended.item.status == "SUSPENDED"
    assert [each.kind for each in suspended.waiting_for] == [WaitKind.RESUME, WaitKind.EVENT]


async def test_the_first_start_is_kept_over_generations(settings: Settings) -> None:
    async with Engine(World().app, data=":memory:", settings=settings) as engine:
        await engine.facade.start("again", instance_id="i", input="3")
        with anyio.fail_after(5):
            while (found := await described(engine, "i")).item.generation < 3 or not found.turns:
                await anyio.sleep(0.005)
        state = await engine.facade.inspect("i")
        assert state is not None
        assert found.first_execution_id != found.execution_id == state.execution_id
        assert found.item.created_us < state.created_us
        assert await waits(engine, "i") == [("event", "Approve", None, None, None)]


async def test_a_scheduled_start_is_waited_for(settings: Settings) -> None:
    async with Engine(World().app, data=":memory:", settings=settings) as engine:
        await engine.facade.start("event", instance_id="i", start_at_us=2**52)
        [waiting] = (await described(engine, "i")).waiting_for
    assert (waiting.kind, waiting.due_us) == (WaitKind.START, 2**52)


async def test_code_that_no_longer_fits_is_waited_for_and_a_release_too(settings: Settings) -> None:
    store = MemoryStore()
    async with Engine(World().app, data=store, settings=settings) as engine:
        await engine.facade.start("event", instance_id="i")
        await engine.facade.start("event", instance_id="aside")
    other = App("test")
    async with Engine(other, data=store, settings=settings, opening=Opening(set_aside=("aside",))) as engine:
        await engine.facade.raise_event("i", "Approve")
        found = await described(engine, "i")
        assert found.item.status == "STALLED"
        assert found.stall is not None
        assert (found.stall.kind, "was not registered" in found.stall.reason) == ("PATCH_MISMATCH", True)
        assert found.waiting_for[0].kind is WaitKind.CODE
        with anyio.fail_after(5):
            while (aside := await described(engine, "aside")).item.status != "SET_ASIDE":
                await anyio.sleep(0.005)
        assert aside.stall is not None
        assert aside.stall.kind == "SET_ASIDE"
        assert aside.waiting_for[0].kind is WaitKind.RELEASE


async def test_a_missing_instance_has_no_description(settings: Settings) -> None:
    async with Engine(World().app, data=":memory:", settings=settings) as engine:
        assert await engine.views.descriptions.describe("nobody") is None
        assert await engine.views.descriptions.waiting_for("nobody") == ()


@pytest.mark.parametrize("what", ["record", "row"])
async def test_an_instance_that_cannot_be_read_is_described_as_stalled(settings: Settings, what: str) -> None:
    store = MemoryStore()
    async with Engine(World().app, data=store, settings=settings) as engine:
        await engine.facade.start("event", instance_id="i")
    key = store._keys[workflow_address("i")]
    if what == "record":
        store._records[key] = (workflow_address("i"), b"?")
    else:
        store._logs[key].append((99, b"?"))
    async with Engine(World().app, data=store, settings=settings) as engine:
        found = await described(engine, "i")
        assert (found.item.status, found.item.name, found.item.ended_us) == ("STALLED", "event", None)
        assert found.stall is not None
        assert (found.stall.kind, "cannot be read" in found.stall.reason) == ("UNREADABLE", True)
        assert [each.kind for each in found.waiting_for] == [WaitKind.CODE]
        assert await engine.views.descriptions.waiting_for("i") == ()
        page = await engine.views.listing.list(InstanceFilter(), limit=50, with_waiting=True)
        assert [item.id for item in page.items] == ["i"]


# Workers of SDKs.


async def test_a_turn_and_an_activity_of_a_worker_are_seen_where_they_are(settings: Settings) -> None:
    store = MemoryStore()
    async with Engine(None, data=store, settings=settings) as engine:
        await engine.facade.start("remote", instance_id="i")
        assert await waits(engine, "i") == [("worker", "remote", "queued", None, None)]
        async with engine.dispatcher.connect(Worker("peer", "agent", False)) as items:
            turn = await anext(items)
            assert isinstance(turn, WorkflowItem)
            assert await waits(engine, "i") == [("worker", "remote", "running", None, None)]
            sentinel = TimerCreated(2, 2**60, TimerOrigin.EXTERNAL_EVENT, "Approve")
            commands = (TaskScheduled(1, "charge", None, "x-1"), sentinel)
            await engine.dispatcher.complete_workflow(WorkflowAnswer("i", turn.token, commands))
            task = await anext(items)
            assert isinstance(task, ActivityItem)
            both = [("activity", "charge", "running", 1, 1), ("event", "Approve", None, None, 2)]
            assert await waits(engine, "i") == both
        assert await waits(engine, "i") == [("activity", "charge", "queued", 1, 1), both[1]]
    async with Engine(None, data=store, settings=settings) as engine:
        assert await waits(engine, "i") == [("activity", "charge", "queued", 1, 1), both[1]]


async def test_code_of_an_sdk_that_sets_no_timer_is_just_waited_for(settings: Settings) -> None:
    store = MemoryStore()
    async with Engine(None, data=store, settings=settings) as engine:
        await engine.facade.start("remote", instance_id="i")
        async with engine.dispatcher.connect(Worker("peer", "agent", False)) as items:
            turn = await anext(items)
            await engine.dispatcher.complete_workflow(WorkflowAnswer("i", turn.token, ()))
            with anyio.fail_after(5):
                while await waits(engine, "i") != [("code", "remote", None, None, None)]:
                    await anyio.sleep(0.005)


async def test_an_outline_is_the_item_of_a_description_and_reads_no_history() -> None:
    world = World()
    with anyio.fail_after(10):
        async with Engine(world.app, data=":memory:") as engine:
            await engine.facade.start("event", instance_id="a", tags={"team": "x"})
            descriptions = engine.views.descriptions
            described, outline = await descriptions.describe("a"), await descriptions.outline("a")
            assert described is not None
            assert outline is not None
            assert (outline.item, outline.run_id) == (described.item, described.first_execution_id)
            assert await descriptions.outline("nobody") is None
