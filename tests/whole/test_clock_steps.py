"""The wall clock is set while instances wait: each short wait takes the time it asked for."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import anyio
import pytest

from perdure import ActivityContext, App, Engine, RetryPolicy, WorkflowContext
from perdure.runtime.history.status import Status
from perdure.runtime.settings import Settings
from perdure.testing.virtual_time import LoopClock, run_virtually

WAIT_S = 10.0
WAIT = timedelta(seconds=WAIT_S)
HOUR_S = 3600.0


def make_app() -> App:
    app = App("clocks")
    attempts: dict[str, int] = {}

    @app.activity
    async def fails_once(ctx: ActivityContext) -> int:
        attempts[ctx.workflow_id] = attempts.get(ctx.workflow_id, 0) + 1
        if attempts[ctx.workflow_id] == 1:
            raise ValueError("the first time")
        return attempts[ctx.workflow_id]

    @app.workflow
    async def timer(ctx: WorkflowContext) -> None:
        await ctx.create_timer(WAIT)

    @app.workflow
    async def absolute(ctx: WorkflowContext) -> None:
        await ctx.create_timer(ctx.now() + WAIT)

    @app.workflow
    async def timeout(ctx: WorkflowContext) -> str:
        try:
            await ctx.wait_for_external_event("never", timeout=WAIT)
        except TimeoutError:
            return "timed out"
        return "came"

    @app.workflow
    async def retry(ctx: WorkflowContext) -> int:
        policy = RetryPolicy(max_number_of_attempts=2, first_retry_interval=WAIT)
        return await ctx.call_activity(fails_once, retry_policy=policy)

    @app.workflow
    async def child(ctx: WorkflowContext) -> None:
        await ctx.call_child_workflow(timer)

    @app.workflow
    async def two_turns(ctx: WorkflowContext) -> list[float]:
        first = ctx.now()
        await ctx.wait_for_external_event("go")
        return [(ctx.now() - first).total_seconds()]

    return app


WAITS = ["timer", "absolute", "timeout", "retry", "child"]


def story(settings: Settings, tell: Callable[[Engine, LoopClock], Awaitable[None]]) -> None:
    async def with_engine() -> None:
        clock = LoopClock(may_be_set=True)
        async with Engine(make_app(), data=":memory:", settings=settings, clock=clock) as engine:
            await tell(engine, clock)

    run_virtually(with_engine)


async def seconds_until_it_completes(engine: Engine, instance_id: str) -> float:
    began_s = anyio.current_time()
    with anyio.fail_after(3 * HOUR_S):
        state = await engine.facade.wait(instance_id)
    assert state.status is Status.COMPLETED
    return anyio.current_time() - began_s


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("step_s", [-HOUR_S, -30.0, 30.0, HOUR_S])
def test_a_wait_that_begins_after_the_step_takes_its_own_time(wait: str, step_s: float, settings: Settings) -> None:
    async def tell(engine: Engine, clock: LoopClock) -> None:
        # Given an engine that has worked before the clock is set,
        await engine.facade.start("timer", instance_id="before")
        await engine.facade.wait("before")
        clock.step(step_s)
        # when an instance waits, then it waits as long as it asked for.
        await engine.facade.start(wait, instance_id="after")
        assert await seconds_until_it_completes(engine, "after") == pytest.approx(WAIT_S, abs=0.5)

    story(settings, tell)


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("step_s", [-HOUR_S, -30.0])
def test_a_wait_that_has_begun_is_not_prolonged(wait: str, step_s: float, settings: Settings) -> None:
    async def tell(engine: Engine, clock: LoopClock) -> None:
        await engine.facade.start(wait, instance_id="waits")
        await anyio.sleep(4)
        clock.step(step_s)
        assert await seconds_until_it_completes(engine, "waits") == pytest.approx(WAIT_S - 4, abs=0.5)

    story(settings, tell)


@pytest.mark.parametrize("wait", WAITS)
def test_an_hour_ahead_for_a_moment_prolongs_no_wait(wait: str, settings: Settings) -> None:
    async def tell(engine: Engine, clock: LoopClock) -> None:
        clock.step(HOUR_S)
        await engine.facade.start(wait, instance_id="during")
        await anyio.sleep(1)
        clock.step(-HOUR_S)
        await engine.facade.start(wait, instance_id="after")
        assert await seconds_until_it_completes(engine, "during") == pytest.approx(WAIT_S - 1, abs=0.5)
        assert await seconds_until_it_completes(engine, "after") == pytest.approx(1, abs=0.5)

    story(settings, tell)


def test_a_history_whose_times_go_back_is_replayed_and_read(settings: Settings) -> None:
    async def tell(engine: Engine, clock: LoopClock) -> None:
        # Given an instance whose second turn is an hour before its first,
        await engine.facade.start("two_turns", instance_id="back")
        await anyio.sleep(1)
        clock.step(-HOUR_S)
        await engine.facade.raise_event("back", "go", None)
        # when it ends, then its code has seen the clock go back, in the order of its turns,
        state: Any = await engine.facade.wait("back")
        assert state.status is Status.COMPLETED
        assert state.output == f"[{1 - HOUR_S}]"
        # the newest event is the last one, and not the latest one,
        assert state.updated_us - state.created_us == pytest.approx((1 - HOUR_S) * 1e6, abs=1e5)
        # and its history has the events in the order of the turns.
        rows = await engine.facade.history("back")
        assert rows is not None
        times = [row.at_us for row in rows]
        assert times[-1] < times[0]

    story(settings, tell)
