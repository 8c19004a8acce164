"""Reruns: a finished instance is run again as a new one, from its beginning or from an event, and does not change."""

from typing import Any

import anyio
import pytest

from perdure import ActivityContext, App, Engine, InstanceNotFound, Settings, Status, WorkflowContext
from perdure.actors.store.audit import AuditFilter
from perdure.runtime.errors import IdTaken, LimitExceeded, RunChanged, WorkflowUnknown
from perdure.runtime.history.attribution import By
from perdure.runtime.history.audit import unpack_audit
from perdure.runtime.instance.condition import of_run
from perdure.runtime.operations.rerun import EventNotFound, EventNotRerunnable, RerunRefused
from perdure.runtime.operations.steering.rerunning import RerunPlan, RerunStep
from perdure.runtime.operations.steering.starting import StartRequest

pytestmark = pytest.mark.anyio

ADA = By("ada", "api", "the bank is back", "op-1")


class World:
    def __init__(self, settings: Settings, data: Any = ":memory:") -> None:
        self.diary: list[str] = []
        self.fails = False
        self.app = App("shop")

        @self.app.activity
        async def note(ctx: ActivityContext, text: str) -> str:
            self.diary.append(text)
            if self.fails:
                raise ValueError("no")
            return text.upper()

        @self.app.workflow
        async def order(ctx: WorkflowContext, text: str) -> list[Any]:
            loose = ctx.call_activity(note, input="loose")
            first = await ctx.call_activity(note, input=text)
            await ctx.create_timer(0)
            return [first, await ctx.call_child_workflow(child, input="child"), await loose]

        @self.app.workflow
        async def child(ctx: WorkflowContext, text: str) -> str:
            return await ctx.call_activity(note, input=text)

        @self.app.workflow
        async def counts(ctx: WorkflowContext, n: int) -> int | None:
            if n < 3:
                ctx.continue_as_new(n + 1)
                return None
            return n

        @self.app.workflow
        async def waits(ctx: WorkflowContext) -> object:
            return await ctx.wait_for_external_event("go")

        self.engine = Engine(self.app, data=data, settings=settings)

    async def finish(self, name: str = "order", input_: str = '"a"', **how: Any) -> None:
        request = StartRequest(name=name, instance_id="s", input=input_, **how)
        await self.engine.steering.start(request, by=ADA)
        await self.engine.facade.wait("s")
        self.diary.clear()

    async def output(self, instance_id: str) -> str | None:
        state = await self.engine.facade.wait(instance_id)
        assert state.status is Status.COMPLETED, state.failure
        return state.output


@pytest.fixture
def world(settings: Settings) -> World:
    return World(settings)


async def test_from_its_beginning_everything_runs_again_and_the_source_stays(world: World) -> None:
    async with world.engine as engine:
        await world.finish(tags={"region": "eu"})
        before = await engine.facade.inspect("s")
        new_id = await engine.steering.rerun("s", by=ADA)
        assert await world.output(new_id) == '["A","CHILD","LOOSE"]'
        assert sorted(world.diary) == ["a", "child", "loose"]
        assert await engine.facade.inspect("s") == before
        described = await engine.views.descriptions.describe(new_id)
        assert described is not None
        assert (described.item.name, described.item.tags) == ("order", (("region", "eu"),))


@pytest.mark.parametrize(
    ("how", "output"),
    [
        ({}, '["A","CHILD","LOOSE"]'),
        ({"input": '"b"', "overwrite_input": True}, '["B","CHILD","LOOSE"]'),
        ({"from_event": 2, "input": '"b"', "overwrite_input": True}, '["B","CHILD","LOOSE"]'),
    ],
)
async def test_another_input_counts_if_it_is_given(world: World, how: dict[str, Any], output: str) -> None:
    async with world.engine as engine:
        await world.finish()
        assert await engine.steering.rerun("s", by=ADA, new_id="new", **how) == "new"
        assert await world.output("new") == output


async def test_the_input_is_that_of_the_last_generation(world: World) -> None:
    async with world.engine as engine:
        await world.finish("counts", "0")
        new_id = await engine.steering.rerun("s", by=ADA)
        state = await engine.facade.wait(new_id)
        assert (state.input, state.output) == ("3", "3")


async def test_from_an_event_on_what_was_answered_before_is_kept(world: World) -> None:
    async with world.engine as engine:
        world.fails = True
        await engine.facade.start("order", instance_id="s", input='"a"')
        await engine.facade.wait("s")
        world.fails = False
        world.diary.clear()
        new_id = await engine.steering.rerun("s", by=ADA, from_event=2)
        assert await world.output(new_id) == '["A","CHILD","LOOSE"]'
        assert "a" in world.diary


async def test_a_child_is_run_again_from_its_beginning_only(world: World) -> None:
    async with world.engine as engine:
        await world.finish()
        new_id = await engine.steering.rerun("s:0004", by=ADA)
        assert await world.output(new_id) == '"CHILD"'
        state = await engine.facade.inspect(new_id)
        assert state is not None
        assert state.parent_id is None
        for call in (
            engine.steering.plan_rerun("s:0004", from_event=1),
            engine.steering.rerun("s:0004", by=ADA, from_event=1),
        ):
            with pytest.raises(RerunRefused, match="is a child of 's'"):
                await call


async def test_the_audit_has_an_entry_of_the_new_instance_that_names_the_source(world: World) -> None:
    async with world.engine as engine:
        await world.finish()
        ids = [await engine.steering.rerun("s", by=ADA), await engine.steering.rerun("s", by=ADA, from_event=2)]
        page = await engine._host.lists.audit(AuditFilter(action="rerun"), cursor=None, limit=10)
        entries = [unpack_audit(row.body) for row in reversed(page.rows)]
        assert [(each.instance_id, each.source, each.reason, each.operation) for each in entries] == [
            (new_id, "s", "the bank is back", "op-1") for new_id in ids
        ]


async def test_a_refusal_says_why_and_starts_nothing(world: World) -> None:
    async with world.engine as engine:
        await world.finish()
        await engine.facade.start("waits", instance_id="w")
        steering = engine.steering
        refusals: list[tuple[Any, type[Exception]]] = [
            (lambda: steering.rerun("nobody", by=ADA), InstanceNotFound),
            (lambda: steering.rerun("w", by=ADA), RerunRefused),
            (lambda: steering.rerun("w", by=ADA, from_event=1), RerunRefused),
            (lambda: steering.rerun("s", by=ADA, new_id="s"), RerunRefused),
            (lambda: steering.rerun("s", by=ADA, new_id="w"), IdTaken),
            (lambda: steering.rerun("s", by=ADA, new_id="w", from_event=1), IdTaken),
            (lambda: steering.rerun("s", by=ADA, new_id="s:0004"), IdTaken),
            (lambda: steering.rerun("s", by=ADA, from_event=99), EventNotFound),
            (lambda: steering.rerun("s", by=ADA, from_event=5), EventNotRerunnable),
            (lambda: steering.rerun("s", by=ADA, condition=of_run("another")), RunChanged),
            (lambda: steering.rerun("s", by=ADA, new_id="x" * 100_000), LimitExceeded),
            (
                lambda: steering.rerun("s", by=ADA, from_event=3, input="1", overwrite_input=True),
                RerunRefused,
            ),
            (lambda: steering.plan_rerun("w"), RerunRefused),
            (lambda: steering.plan_rerun("s", from_event=99), EventNotFound),
            (lambda: steering.plan_rerun("s", condition=of_run("another")), RunChanged),
        ]
        before = await engine.facade.list_ids()
        for number, (call, error) in enumerate(refusals):
            with pytest.raises(error):
                await call()
                pytest.fail(f"number {number}")
        assert await engine.facade.list_ids() == before
        with pytest.raises(RerunRefused) as refused:
            await steering.rerun("w", by=ADA)
        assert "is RUNNING" in str(refused.value) or "is PENDING" in str(refused.value)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_one_whose_workflow_is_gone_is_refused(settings: Settings, tmp_path: Any) -> None:
    world = World(settings, tmp_path / "perdure.db")
    async with world.engine:
        await world.finish("counts", "3")
    async with Engine(App("other"), data=tmp_path / "perdure.db", settings=settings) as engine:
        with pytest.raises(WorkflowUnknown):
            await engine.steering.rerun("s", by=ADA)


async def test_a_plan_says_what_is_kept_and_what_is_asked_for_again(world: World) -> None:
    async with world.engine as engine:
        await world.finish()
        loose, first = RerunStep(1, "activity", "note"), RerunStep(2, "activity", "note")
        timer, third = RerunStep(3, "timer", None), RerunStep(4, "child", "child")
        plan = await engine.steering.plan_rerun("s")
        assert plan == RerunPlan((), [loose, first, timer, third])
        plan = await engine.steering.plan_rerun("s", from_event=4)
        assert third not in plan.kept
        assert {*plan.kept, *plan.repeated} == {loose, first, timer, third}
        assert first in plan.kept
        assert timer in plan.kept
        # The rerun starts nothing.
        world.diary.clear()
        await anyio.sleep(0.01)
        assert world.diary == []
        assert len((await engine.facade.list_ids()).ids) == 2


async def test_a_plan_is_what_then_happens(world: World) -> None:
    async with world.engine as engine:
        await world.finish()
        for event_id in (1, 2, 3, 4):
            plan = await engine.steering.plan_rerun("s", from_event=event_id)
            world.diary.clear()
            await world.output(await engine.steering.rerun("s", by=ADA, from_event=event_id))
            performed = sum(step.kind in ("activity", "child") for step in plan.repeated)
            assert len(world.diary) == performed, event_id
