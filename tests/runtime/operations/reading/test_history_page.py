"""Histories in pages: both ends, any size of page, keys that stay, and one payload at a time."""

from typing import Any

import anyio
import pytest

from perdure import ActivityContext, App, Engine, InstanceNotFound, Settings, WorkflowContext
from perdure.runtime.errors import InvalidRequest
from perdure.runtime.history.event import (
    EventRaised,
    ExecutionCompleted,
    ExecutionStarted,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
)
from perdure.runtime.history.failure import FailureDetails
from perdure.runtime.history.timed_event import TurnStarted
from perdure.runtime.operations.reading.history_page import EventMissing, HistoryChanged, HistoryPage

pytestmark = pytest.mark.anyio


def make_app() -> App:
    app = App("test")

    @app.activity
    async def double(ctx: ActivityContext, n: int) -> int:
        return 2 * n

    @app.activity
    async def fails(ctx: ActivityContext) -> None:
        raise ValueError("no")

    @app.workflow
    async def steps(ctx: WorkflowContext, n: int) -> int:
        for _ in range(n):
            await ctx.call_activity(double, input=1)
        return n

    @app.workflow
    async def broken(ctx: WorkflowContext) -> None:
        await ctx.call_activity(fails)

    @app.workflow
    async def listens(ctx: WorkflowContext) -> None:
        while True:
            await ctx.wait_for_external_event("e")

    @app.workflow
    async def again(ctx: WorkflowContext, n: int) -> None:
        await ctx.wait_for_external_event("e")
        ctx.continue_as_new(n + 1)

    return app


@pytest.fixture
def engine(settings: Settings) -> Engine:
    return Engine(make_app(), data=":memory:", settings=settings)


async def pages(engine: Engine, instance_id: str, **how: Any) -> list[HistoryPage]:
    found = [await engine.views.histories.page(instance_id, **how)]
    while found[-1].cursor is not None:
        found.append(await engine.views.histories.page(instance_id, after=found[-1].cursor, **how))
    return found


def kinds(page: HistoryPage) -> list[type]:
    return [type(each.timed.event) for each in page.events]


async def test_a_page_has_the_events_as_workers_see_them(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("steps", instance_id="i", input="1")
        await engine.facade.wait("i")
        page = await engine.views.histories.page("i")
    first_turn = [TurnStarted, ExecutionStarted, TaskScheduled]
    assert kinds(page) == [*first_turn, TurnStarted, TaskCompleted, ExecutionCompleted]
    assert page.cursor is None
    assert [each.timed.event_id for each in page.events] == [-1, -1, 1, -1, -1, 2]


@pytest.mark.parametrize("newest_first", [False, True])
async def test_pages_of_any_size_make_the_whole_and_each_event_keeps_its_key(
    engine: Engine, newest_first: bool
) -> None:
    async with engine:
        await engine.facade.start("steps", instance_id="i", input="4")
        await engine.facade.wait("i")
        [whole] = await pages(engine, "i", limit=500)
        assert len(whole.events) == 15
        expected = list(reversed(whole.events)) if newest_first else list(whole.events)
        for limit in (1, 2, 5, 14, 15, 16):
            found = await pages(engine, "i", limit=limit, newest_first=newest_first)
            assert [each for page in found for each in page.events] == expected
            assert max(len(page.events) for page in found) <= limit
            assert all(page.events for page in found)


async def test_a_page_goes_on_behind_any_event_also_when_more_have_come(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("listens", instance_id="i")
        before = await engine.views.histories.page("i")
        last = before.events[-1].key
        assert (await engine.views.histories.page("i", after=last)).events == []
        await engine.facade.raise_event("i", "e", "1")
        after = await engine.views.histories.page("i", after=last)
        assert kinds(after) == [TurnStarted, EventRaised]
        assert (await engine.views.histories.page("i")).events == [*before.events, *after.events]


async def test_a_payload_is_read_by_the_key_of_its_event(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("steps", instance_id="i", input="1")
        await engine.facade.wait("i")
        await engine.facade.start("broken", instance_id="f")
        await engine.facade.wait("f")
        histories = engine.views.histories
        keys = {type(each.timed.event): each.key for each in (await histories.page("i")).events}
        assert await histories.payload("i", keys[ExecutionStarted], "input") == "1"
        assert await histories.payload("i", keys[TaskScheduled], "input") == "1"
        assert await histories.payload("i", keys[TaskCompleted], "result") == "2"
        assert await histories.payload("i", keys[ExecutionCompleted], "result") == "1"
        assert await histories.payload("i", keys[ExecutionCompleted], "failure") is None
        failed = {type(each.timed.event): each.key for each in (await histories.page("f")).events}
        assert await histories.payload("f", failed[ExecutionStarted], "input") is None
        for kind in (TaskFailed, ExecutionCompleted):
            failure = await histories.payload("f", failed[kind], "failure")
            assert isinstance(failure, FailureDetails)
        for without, payload in [(TaskScheduled, "result"), (TurnStarted, "input"), (TaskCompleted, "failure")]:
            with pytest.raises(EventMissing, match=f"no {payload} at event"):
                await histories.payload("i", keys[without], payload)
        beyond = "99.0-" + keys[ExecutionCompleted].partition("-")[2]
        with pytest.raises(EventMissing, match=r"no event '99\.0-"):
            await histories.payload("i", beyond, "input")
        # A place behind the end counts as the end.
        assert (await histories.page("i", after=beyond)).events == []
        assert len((await histories.page("i", after=beyond, newest_first=True)).events) == 6


@pytest.mark.parametrize(
    "key", ["", "1", "x", "1-x", "1.-x", "-1.0-x", "1_0.0-x", "½.0-x", "9" * 20 + ".0-x", "٣.0-x", "1.0"]
)
async def test_anything_but_a_key_is_refused(engine: Engine, key: str) -> None:
    async with engine:
        await engine.facade.start("listens", instance_id="i")
        for newest_first in (False, True):
            with pytest.raises(InvalidRequest, match="is not the key of an event"):
                await engine.views.histories.page("i", after=key, newest_first=newest_first)
        with pytest.raises(InvalidRequest, match="is not the key of an event"):
            await engine.views.histories.payload("i", key, "input")


@pytest.mark.parametrize("limit", [-1, 0, 501])
async def test_a_page_of_another_size_is_refused(engine: Engine, limit: int) -> None:
    async with engine:
        await engine.facade.start("listens", instance_id="i")
        with pytest.raises(InvalidRequest, match="1 to 500 events"):
            await engine.views.histories.page("i", limit=limit)


async def test_a_key_of_an_earlier_generation_says_that_its_history_is_gone(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("again", instance_id="i", input="0")
        key = (await engine.views.histories.page("i")).events[0].key
        await engine.facade.raise_event("i", "e")
        with anyio.fail_after(5):
            while not (await engine.views.histories.page("i")).events:
                await anyio.sleep(0.005)
        with pytest.raises(HistoryChanged, match="instance 'i' has begun a new history"):
            await engine.views.histories.page("i", after=key)


async def test_an_instance_that_is_not_there_has_no_history(engine: Engine) -> None:
    async with engine:
        with pytest.raises(InstanceNotFound):
            await engine.views.histories.page("nobody")
        with pytest.raises(InstanceNotFound):
            await engine.views.histories.event("nobody", "1-x")
