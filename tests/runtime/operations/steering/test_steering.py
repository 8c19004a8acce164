"""Steering: families are suspended, resumed, terminated and purged as a whole, and what is stuck can be got rid of."""

from typing import Any

import anyio
import pytest

from perdure import App, Engine, InstanceNotFound, Settings, Status, WorkflowContext
from perdure.runtime.errors import InstanceUnfinished, RunChanged
from perdure.runtime.history.attribution import By
from perdure.runtime.instance.condition import Condition

pytestmark = pytest.mark.anyio

ADA = By("ada", "api", "a bad release")


def make_app(*, other: bool = False) -> App:
    app = App("test")

    @app.activity
    async def note(ctx: Any) -> None: ...

    @app.workflow
    async def leaf(ctx: WorkflowContext) -> object:
        if other:
            await ctx.call_activity(note)
        return await ctx.wait_for_external_event("go", timeout=3600)

    @app.workflow
    async def middle(ctx: WorkflowContext, name: str) -> object:
        return await ctx.call_child_workflow(leaf, instance_id=f"{name}-leaf")

    @app.workflow
    async def top(ctx: WorkflowContext) -> object:
        return await ctx.when_all(
            [ctx.call_child_workflow(middle, instance_id=f"m{n}", input=f"m{n}") for n in range(2)]
        )

    return app


FAMILY = ("t", "m0", "m1", "m0-leaf", "m1-leaf")


@pytest.fixture
def engine(settings: Settings) -> Engine:
    return Engine(make_app(), data=":memory:", settings=settings)


async def status(engine: Engine, instance_id: str) -> Status | None:
    state = await engine.facade.inspect(instance_id)
    return state.status if state is not None else None


async def until(engine: Engine, expected: Status | None, ids: tuple[str, ...] = FAMILY) -> None:
    with anyio.fail_after(5):
        while any([await status(engine, each) is not expected for each in ids]):
            await anyio.sleep(0.001)


async def family(engine: Engine) -> None:
    await engine.facade.start("top", instance_id="t")
    await until(engine, Status.RUNNING)


async def test_a_whole_family_is_suspended_and_resumed(engine: Engine) -> None:
    async with engine:
        await family(engine)
        await engine.steering.suspend("t", by=ADA, recurse=True)
        assert [await status(engine, each) for each in FAMILY] == [Status.SUSPENDED] * 5
        await engine.steering.resume("t", by=ADA, recurse=True)
        assert [await status(engine, each) for each in FAMILY] == [Status.RUNNING] * 5


async def test_without_recursion_only_the_instance_is_suspended(engine: Engine) -> None:
    async with engine:
        await family(engine)
        await engine.steering.suspend("m0", by=ADA)
        assert [await status(engine, each) for each in ("m0", "m0-leaf")] == [Status.SUSPENDED, Status.RUNNING]
        await engine.steering.resume("m0", by=ADA)
        assert await status(engine, "m0") is Status.RUNNING


async def test_the_reason_stands_in_the_history(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("leaf", instance_id="t")
        await engine.steering.suspend("t", by=ADA)
        rows = await engine.facade.history("t")
        assert rows is not None
        assert [getattr(event, "reason", None) for event in rows[-1].held] == ["a bad release"]


async def test_children_that_have_ended_and_ids_of_others_are_passed_over(engine: Engine) -> None:
    async with engine:
        await family(engine)
        await engine.steering.terminate("m0", by=ADA)
        await until(engine, Status.TERMINATED, ("m0", "m0-leaf"))
        await engine.steering.purge("m0-leaf", by=ADA)
        await engine.facade.start("leaf", instance_id="m0-leaf")  # another instance takes the id
        await engine.steering.suspend("m0", by=ADA, recurse=True)
        assert await status(engine, "m0") is Status.TERMINATED
        assert await status(engine, "m0-leaf") in (Status.PENDING, Status.RUNNING)


async def test_a_family_is_terminated_and_purged(engine: Engine) -> None:
    async with engine:
        await family(engine)
        with pytest.raises(InstanceUnfinished):
            await engine.steering.purge("t", by=ADA)
        await engine.steering.terminate("t", by=ADA)
        await until(engine, Status.TERMINATED)
        assert await engine.steering.purge("t", by=ADA) == 5
        await until(engine, None)


async def test_a_request_for_another_run_reaches_no_child_either(engine: Engine) -> None:
    async with engine:
        await family(engine)
        other = Condition(run="another")
        steering = engine.steering
        for request in (
            steering.suspend("t", by=ADA, recurse=True, condition=other),
            steering.resume("t", by=ADA, recurse=True, condition=other),
            steering.terminate("t", by=ADA, condition=other),
            steering.purge("t", by=ADA, force=True, condition=other),
            steering.release("t", by=ADA, condition=other),
        ):
            with pytest.raises(RunChanged):
                await request
        assert [await status(engine, each) for each in FAMILY] == [Status.RUNNING] * 5


async def test_what_is_not_there_is_said_to_be_missing(engine: Engine) -> None:
    async with engine:
        steering = engine.steering
        for request in (
            steering.suspend("t", by=ADA),
            steering.resume("t", by=ADA),
            steering.terminate("t", by=ADA),
            steering.purge("t", by=ADA),
            steering.release("t", by=ADA),
        ):
            with pytest.raises(InstanceNotFound):
                await request


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("way", ["terminate", "purge"])
async def test_a_stalled_family_can_be_got_rid_of(settings: Settings, tmp_path: Any, way: str) -> None:
    # Given a family whose code does not fit any more,
    data = tmp_path / "perdure.db"
    async with Engine(make_app(), data=data, settings=settings) as engine:
        await family(engine)
    async with Engine(make_app(other=True), data=data, settings=settings) as engine:
        for leaf in ("m0-leaf", "m1-leaf"):
            await engine.facade.raise_event(leaf, "go")
            await engine.facade.wait(leaf, lambda found: found is Status.STALLED)
        # when its root is terminated, or a part of it purged,
        if way == "terminate":
            await engine.steering.terminate("t", by=ADA)
            # then the stalled ones end too.
            await until(engine, Status.TERMINATED)
        else:
            assert await engine.steering.purge("m0-leaf", by=ADA) == 1
            assert await engine.steering.purge("m1", by=ADA, force=True) == 2
            await until(engine, None, ("m0-leaf", "m1", "m1-leaf"))
