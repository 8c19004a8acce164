"""A finished instance is run again from one of its events, and does not change itself (contract 3.22)."""

from datetime import timedelta
from typing import Any

import pytest

from perdure import App, Engine, InstanceNotFound, RetryPolicy, Settings, Status, WorkflowContext
from perdure.runtime.errors import LimitExceeded
from perdure.runtime.history.event import (
    ChildCreated,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    TaskScheduled,
)
from perdure.runtime.history.row import Row
from perdure.runtime.history.timeline import Timeline
from perdure.runtime.operations.rerun import (
    EventNotFound,
    EventNotRerunnable,
    Rerun,
    RerunExists,
    RerunRefused,
    copied,
)

pytestmark = pytest.mark.anyio


def make_app(diary: list[str]) -> App:
    app = App("test")

    @app.activity
    async def note(ctx: Any, text: str) -> str:
        diary.append(text)
        return text.upper()

    @app.workflow
    async def steps(ctx: WorkflowContext, given: str) -> list[str]:
        first = await ctx.call_activity(note, input=given)
        await ctx.create_timer(timedelta(milliseconds=1))
        second = await ctx.call_activity(note, input="second")
        third = await ctx.call_child_workflow(child, input="third")
        return [first, second, third]

    @app.workflow
    async def fan(ctx: WorkflowContext, given: str) -> list[Any]:
        calls = [ctx.call_activity(note, input=f"{given}{n}") for n in range(3)]
        timer = ctx.create_timer(timedelta(milliseconds=1))
        inner = ctx.call_child_workflow(child, input="inner")
        await timer
        return [await inner, *await ctx.when_all(calls)]

    @app.workflow
    async def leaves(ctx: WorkflowContext) -> str:
        ctx.call_activity(note, input="left behind")
        return "done"

    @app.workflow
    async def child(ctx: WorkflowContext, given: str) -> str:
        return await ctx.call_activity(note, input=given)

    @app.workflow
    async def waits(ctx: WorkflowContext) -> None:
        await ctx.wait_for_external_event("go")

    return app


class World:
    def __init__(self, settings: Settings) -> None:
        self.diary: list[str] = []
        self.engine = Engine(make_app(self.diary), data=":memory:", settings=settings)

    async def finish_one(self) -> None:
        await self.engine.client.run("steps", input="first", instance_id="abc")
        self.diary.clear()

    async def rerun(self, **how: Any) -> Any:
        new_id = await self.engine.facade.rerun(Rerun("abc", **how))
        state = await self.engine.client.wait(new_id, timeout=timedelta(seconds=5))
        assert state.status is Status.COMPLETED, state.details.failure
        return state


@pytest.fixture
def world(settings: Settings) -> World:
    return World(settings)


async def test_what_came_before_is_kept_and_what_comes_after_runs_again(world: World) -> None:
    async with world.engine:
        await world.finish_one()
        state = await world.rerun(event_id=3, new_id="new")
        assert state.output == ["FIRST", "SECOND", "THIRD"]
        assert world.diary == ["second", "third"]
        source = await world.engine.client.get("abc")
        assert source is not None
        assert source.output == state.output


async def test_an_activity_can_be_given_another_input(world: World) -> None:
    async with world.engine:
        await world.finish_one()
        state = await world.rerun(event_id=1, input='"other"', overwrite_input=True)
        assert state.output == ["OTHER", "SECOND", "THIRD"]


async def test_a_timer_is_waited_for_again(world: World) -> None:
    async with world.engine:
        await world.finish_one()
        state = await world.rerun(event_id=2)
        assert state.output == ["FIRST", "SECOND", "THIRD"]


async def test_a_child_gets_an_id_after_its_new_parent_or_the_one_that_is_given(world: World) -> None:
    async with world.engine:
        await world.finish_one()
        await world.rerun(event_id=4, new_id="new")
        assert await world.engine.client.get("new:0004") is not None
        await world.rerun(event_id=4, new_child_id="kid")
        assert await world.engine.client.get("kid") is not None


@pytest.mark.parametrize(
    ("how", "error", "text"),
    [
        ({"event_id": 9}, EventNotFound, "does not have history event with ID '9'"),
        ({"event_id": 5}, EventNotRerunnable, "is not an event that can be rerun"),
        ({"event_id": 1, "new_id": "abc"}, RerunRefused, "must be different from the original instance ID"),
        ({"event_id": 1, "new_id": "taken"}, RerunExists, "workflow 'taken' has already been created"),
        ({"event_id": 2, "input": "1", "overwrite_input": True}, RerunRefused, "cannot write input to timer event '2'"),
        ({"event_id": 1, "new_child_id": "c"}, RerunRefused, "cannot set new child workflow instance ID"),
        ({"event_id": 1, "new_id": "n" * 1025}, LimitExceeded, "the instance ID has 1025 bytes"),
        ({"event_id": 4, "new_child_id": "n" * 1025}, LimitExceeded, "the instance ID of the child has 1025 bytes"),
        ({"event_id": 1, "input": "x" * (2**25 + 1), "overwrite_input": True}, LimitExceeded, "payload_bytes_max"),
    ],
)
async def test_what_cannot_be_is_refused_in_daprs_words(
    world: World, how: dict[str, Any], error: type[Exception], text: str
) -> None:
    async with world.engine:
        await world.finish_one()
        await world.engine.client.run("child", input="x", instance_id="taken")
        with pytest.raises(error, match=text):
            await world.engine.facade.rerun(Rerun("abc", **how))


async def test_only_a_finished_root_is_run_again(world: World) -> None:
    async with world.engine:
        await world.finish_one()
        await world.engine.client.start("waits", instance_id="running")
        with pytest.raises(RerunRefused, match="'running' is not in a terminal state"):
            await world.engine.facade.rerun(Rerun("running", 1))
        with pytest.raises(RerunRefused, match="'abc:0004': cannot rerun from child-workflows"):
            await world.engine.facade.rerun(Rerun("abc:0004", 1))
        with pytest.raises(InstanceNotFound):
            await world.engine.facade.rerun(Rerun("nobody", 1))


async def test_a_child_that_has_ended_before_the_event_keeps_its_id_in_the_copy(settings: Settings) -> None:
    app = App("test")

    @app.workflow
    async def family(ctx: WorkflowContext) -> list[str]:
        first = await ctx.call_child_workflow(kid, input="first")
        return [first, await ctx.call_child_workflow(kid, input="second")]

    @app.workflow
    async def kid(ctx: WorkflowContext, name: str) -> str:
        return f"{name} {ctx.instance_id}"

    async with Engine(app, data=":memory:", settings=settings) as engine:
        assert await engine.client.run("family", instance_id="abc") == ["first abc:0001", "second abc:0002"]
        new_id = await engine.facade.rerun(Rerun("abc", 2, "new"))
        state = await engine.client.wait(new_id, timeout=timedelta(seconds=5))
        # The first child was not run again, so it has its former id.
        assert state.output == ["first abc:0001", "second new:0002"]
        events = [event for row in await engine.facade.history("new") or () for event in row.turn or ()]
        children = [event.instance_id for event in events if isinstance(event, ChildCreated)]
        assert children == ["abc:0001", "new:0002"]
        assert await engine.client.get("new:0001") is None


async def test_a_child_that_had_not_ended_at_the_event_is_run_again_under_an_id_of_its_own(settings: Settings) -> None:
    app = App("test")

    @app.workflow
    async def family(ctx: WorkflowContext) -> list[str]:
        early = ctx.call_child_workflow(kid, input="early")
        late = ctx.call_child_workflow(kid, input="late")
        return await ctx.when_all([early, late])

    @app.workflow
    async def kid(ctx: WorkflowContext, name: str) -> str:
        return f"{name} {ctx.instance_id}"

    async with Engine(app, data=":memory:", settings=settings) as engine:
        await engine.client.run("family", instance_id="abc")
        new_id = await engine.facade.rerun(Rerun("abc", 2, "new"))
        state = await engine.client.wait(new_id, timeout=timedelta(seconds=5))
        assert state.output == ["early new:0001", "late new:0002"]


async def test_a_history_with_retries_can_be_run_again_behind_them(settings: Settings) -> None:
    app = App("test")
    policy = RetryPolicy(first_retry_interval=timedelta(milliseconds=1), max_number_of_attempts=2)
    failures = iter([True, False])

    @app.activity
    async def first(ctx: Any) -> str:
        if next(failures, False):
            raise ValueError("not yet")
        return "first"

    @app.activity
    async def last(ctx: Any) -> str:
        return "last"

    @app.workflow
    async def retries(ctx: WorkflowContext) -> list[str]:
        return [await ctx.call_activity(first, retry_policy=policy), await ctx.call_activity(last)]

    async with Engine(app, data=":memory:", settings=settings) as engine:
        await engine.client.run("retries", instance_id="abc")
        new_id = await engine.facade.rerun(Rerun("abc", 4, "new"))
        state = await engine.client.wait(new_id, timeout=timedelta(seconds=5))
        assert state.output == ["first", "last"]


@pytest.mark.parametrize("event_id", range(1, 6))
async def test_what_was_asked_for_in_the_same_turn_is_asked_for_again(world: World, event_id: int) -> None:
    # Given an instance with several requests in one turn,
    async with world.engine:
        await world.engine.client.run("fan", input="n", instance_id="abc")
        world.diary.clear()
        # when it is run again from one of them,
        state = await world.rerun(event_id=event_id)
        # then all of them are carried out again, and the code fits the history, live and rebuilt.
        assert state.output == ["INNER", "N0", "N1", "N2"]
        assert sorted(world.diary) == ["inner", "n0", "n1", "n2"]


async def test_an_event_of_the_turn_that_ended_the_instance_is_refused(world: World) -> None:
    async with world.engine:
        await world.engine.client.run("leaves", instance_id="abc")
        with pytest.raises(RerunRefused, match="the turn that ended the instance"):
            await world.rerun(event_id=1)


async def test_what_had_arrived_and_was_not_fed_by_the_workers_turn_is_not_copied() -> None:
    # Given an instance of a worker that was suspended and resumed while the worker had its first turn,
    started = ExecutionStarted("w", None, "x1")
    rows = [
        Row(1, None, [started]),
        Row(2, None, [ExecutionSuspended(None)]),
        Row(3, None, [ExecutionResumed(None)]),
        Row(4, [TaskScheduled(1, "a", None, "x1-1")], [], 1),
        Row(5, [TaskScheduled(2, "b", None, "x1-2")], []),
    ]
    # when it is run again from a request of that turn,
    copy = copied(rows, Rerun("i", 1, "again"), new_id="again", execution_id="x2", now_us=9, remote=True)
    # then the new instance begins with the events that the turn was fed, and none is left for its next turn.
    assert [(row.held, row.consumed) for row in copy.rows] == [([started._replace(execution_id="x2")], None), ([], 1)]
    assert Timeline.of(copy.rows).held == []
