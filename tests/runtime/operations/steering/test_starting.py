"""Starts under an id that may be in use, and repeated starts: no instance begins twice."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from perdure import App, Engine, Settings, Status, WorkflowContext
from perdure.runtime.errors import (
    ChildUnfinished,
    EventRefused,
    IdTaken,
    InstanceNotFound,
    InvalidRequest,
    KeyReused,
    RunChanged,
    WorkflowUnknown,
)
from perdure.runtime.history.attribution import By
from perdure.runtime.history.keys import instance_id_of
from perdure.runtime.instance.condition import of_run
from perdure.runtime.operations.steering.starting import Begun, IfExists, StartRequest

pytestmark = pytest.mark.anyio

ADA = By("ada", "api")


def make_app() -> App:
    app = App("shop")

    @app.workflow
    async def order(ctx: WorkflowContext, n: Any) -> Any:
        return await ctx.wait_for_external_event("go")

    @app.workflow
    async def quick(ctx: WorkflowContext, n: Any) -> Any:
        return n

    @app.workflow
    async def loose(ctx: WorkflowContext) -> None:
        ctx.call_child_workflow(order, instance_id="child")

    @app.workflow
    async def endless(ctx: WorkflowContext, n: int) -> None:
        await ctx.wait_for_external_event("go")
        ctx.continue_as_new(n + 1)

    @app.workflow
    async def listens(ctx: WorkflowContext, taken: list[Any]) -> list[Any]:
        value = await ctx.wait_for_external_event("tick")
        if value == "end":
            return taken
        ctx.continue_as_new([*taken, value])
        return []

    return app


@pytest.fixture
def engine(settings: Settings) -> Engine:
    return Engine(make_app(), data=":memory:", settings=settings)


async def run_of(engine: Engine, instance_id: str) -> str:
    state = await engine.facade.inspect(instance_id)
    assert state is not None
    return state.execution_id


async def start(engine: Engine, name: str, **how: Any) -> Begun:
    return await engine.steering.start(StartRequest(name=name, **how), by=ADA)


async def running(engine: Engine) -> None:
    await engine.facade.start("order", instance_id="i", input="1")


async def finished(engine: Engine) -> None:
    await engine.facade.start("quick", instance_id="i", input="1")
    await engine.facade.wait("i")


async def suspended(engine: Engine) -> None:
    await running(engine)
    await engine.facade.suspend("i")


@pytest.mark.parametrize("if_exists", IfExists)
async def test_a_free_id_is_taken(engine: Engine, if_exists: IfExists) -> None:
    async with engine:
        begun = await start(engine, "quick", instance_id="i", input="7", if_exists=if_exists)
        assert begun == Begun("i", True)
        assert (await engine.facade.wait("i")).output == "7"


@pytest.mark.parametrize("reach", [running, suspended, finished])
async def test_reject_refuses_any_holder_and_says_what_it_is(engine: Engine, reach: Callable[..., Any]) -> None:
    async with engine:
        await reach(engine)
        state = await engine.facade.inspect("i")
        assert state is not None
        with pytest.raises(IdTaken) as refused:
            await start(engine, "order", instance_id="i")
        assert (refused.value.name, refused.value.status) == (state.name, state.status.name)
        assert "if_exists=restart" in str(refused.value)


@pytest.mark.parametrize(("reach", "name"), [(running, "order"), (suspended, "order"), (finished, "quick")])
async def test_return_gives_the_holder_if_it_is_of_the_same_workflow(
    engine: Engine, reach: Callable[..., Any], name: str
) -> None:
    async with engine:
        await reach(engine)
        before = await run_of(engine, "i")
        begun = await start(engine, name, instance_id="i", if_exists=IfExists.RETURN)
        assert begun == Begun("i", False)
        assert await run_of(engine, "i") == before
        with pytest.raises(IdTaken):
            await start(engine, "loose", instance_id="i", if_exists=IfExists.RETURN)


async def test_restart_begins_a_finished_instance_again(engine: Engine) -> None:
    async with engine:
        await finished(engine)
        before = await run_of(engine, "i")
        begun = await start(engine, "quick", instance_id="i", input="2", if_exists=IfExists.RESTART)
        assert begun == Begun("i", True)
        assert (await engine.facade.wait("i")).output == "2"
        assert await run_of(engine, "i") != before


@pytest.mark.parametrize("reach", [running, suspended])
async def test_restart_terminates_a_running_one_by_force_only(engine: Engine, reach: Callable[..., Any]) -> None:
    async with engine:
        await reach(engine)
        with pytest.raises(IdTaken, match="force=true"):
            await start(engine, "quick", instance_id="i", if_exists=IfExists.RESTART)
        begun = await start(engine, "quick", instance_id="i", input="2", if_exists=IfExists.RESTART, force=True)
        assert begun == Begun("i", True)
        assert (await engine.facade.wait("i")).output == "2"


@pytest.mark.parametrize("if_exists", [IfExists.REJECT, IfExists.RETURN])
async def test_force_without_restart_is_refused_and_starts_nothing(engine: Engine, if_exists: IfExists) -> None:
    async with engine:
        with pytest.raises(InvalidRequest, match=f"force=true goes with if_exists=restart, not with {if_exists}"):
            await start(engine, "quick", instance_id="i", if_exists=if_exists, force=True)
        assert await engine.facade.inspect("i") is None


async def test_restart_ends_descendants_by_force_only(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("loose", instance_id="i")
        await engine.facade.wait("i")
        await engine.facade.wait("child", lambda status: status is Status.RUNNING, await_creation=True)
        with pytest.raises(ChildUnfinished):
            await start(engine, "quick", instance_id="i", if_exists=IfExists.RESTART)
        begun = await start(engine, "quick", instance_id="i", if_exists=IfExists.RESTART, force=True)
        assert begun.created
        state = await engine.facade.inspect("child")
        assert state is not None
        assert state.status is Status.TERMINATED


@pytest.mark.parametrize("if_exists", IfExists)
@pytest.mark.parametrize("instance_id", [None, "i"])
@pytest.mark.parametrize("name", ["order", "quick", "endless"])
async def test_a_start_that_is_sent_again_with_its_key_begins_nothing(
    engine: Engine, name: str, instance_id: str | None, if_exists: IfExists
) -> None:
    async with engine:

        async def again(input_: str = "1", key: str = "k") -> Begun:
            return await start(engine, name, instance_id=instance_id, input=input_, key=key, if_exists=if_exists)

        first = await again()
        assert first == Begun(instance_id or instance_id_of(name, "k"), True)
        if name == "quick":
            await engine.facade.wait(first.instance_id)
        if name == "endless":
            before = await run_of(engine, first.instance_id)
            await engine.steering.raise_event(first.instance_id, "go")
            while await run_of(engine, first.instance_id) == before:
                await anyio.sleep(0.001)
        before = await run_of(engine, first.instance_id)
        assert await again() == Begun(first.instance_id, False)
        assert await run_of(engine, first.instance_id) == before
        with pytest.raises(KeyReused):
            await again(input_="2")
        assert await run_of(engine, first.instance_id) == before


async def test_of_many_starts_at_once_with_a_key_one_begins(engine: Engine) -> None:
    async with engine:
        begun: list[Begun] = []

        async def begin() -> None:
            begun.append(await start(engine, "order", input="1", key="k"))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(begin)
        assert sorted(each.created for each in begun) == [False] * 19 + [True]
        assert len({each.instance_id for each in begun}) == 1


async def test_another_key_for_the_same_id_is_another_start(engine: Engine) -> None:
    async with engine:
        await start(engine, "quick", instance_id="i", input="1", key="k")
        await engine.facade.wait("i")
        with pytest.raises(IdTaken):
            await start(engine, "quick", instance_id="i", input="1", key="k2")
        begun = await start(engine, "quick", instance_id="i", input="1", key="k2", if_exists=IfExists.RESTART)
        assert begun.created


@pytest.mark.parametrize("key", ["", "x" * 257])
async def test_a_key_that_cannot_be_is_refused(engine: Engine, key: str) -> None:
    async with engine:
        with pytest.raises(InvalidRequest, match="1 to 256 visible characters"):
            await start(engine, "quick", key=key)
        with pytest.raises(InvalidRequest, match="1 to 256 visible characters"):
            await engine.steering.raise_event("i", "go", key=key)


async def test_an_unregistered_workflow_is_refused_with_the_nearest_names(engine: Engine) -> None:
    async with engine:
        with pytest.raises(WorkflowUnknown) as refused:
            await start(engine, "Ordr")
        assert refused.value.nearest == ("order",)
        assert (
            str(refused.value)
            == "app 'shop' has no workflow 'Ordr'; nothing was started. The nearest names are 'order'."
        )
        with pytest.raises(WorkflowUnknown, match="lists its workflows"):
            await start(engine, "xyzzy")


async def test_a_workflow_that_a_worker_may_have_is_started() -> None:
    async with Engine(make_app(), data=":memory:", settings=Settings(wait_for_workers=True)) as engine:
        assert (await start(engine, "elsewhere")).created
    async with Engine(None, data=":memory:") as engine:
        assert (await start(engine, "elsewhere")).created


async def test_tags_are_kept(engine: Engine) -> None:
    async with engine:
        with pytest.raises(InvalidRequest):
            await start(engine, "order", tags={"": "x"})
        assert (await start(engine, "order", tags={"region": "eu"})).created


# Events.


async def test_an_event_with_a_key_is_taken_once_over_generations_and_after_the_end(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("listens", instance_id="i", input="[]")
        for _ in range(3):
            for key in ("a", "b"):
                await engine.steering.raise_event("i", "tick", f'"{key}"', key=key)
        await engine.steering.raise_event("i", "tick", '"end"', key="end")
        state = await engine.facade.wait("i")
        assert state.output == '["a","b"]'
        # A repeat is accepted and dropped, another event is refused.
        for key in ("a", "b", "end"):
            await engine.steering.raise_event("i", "tick", "7", key=key)
        for other in ("c", None):
            with pytest.raises(EventRefused) as refused:
                await engine.steering.raise_event("i", "tick", "7", key=other)
            assert (refused.value.instance_id, refused.value.status) == ("i", "COMPLETED")


async def test_without_a_key_each_event_is_taken(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("listens", instance_id="i", input="[]")
        for _ in range(2):
            await engine.steering.raise_event("i", "tick", '"a"')
        await engine.steering.raise_event("i", "tick", '"end"')
        assert (await engine.facade.wait("i")).output == '["a","a"]'


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_keys_of_events_are_known_after_a_restart(settings: Settings, tmp_path: Any) -> None:
    data = tmp_path / "perdure.db"
    async with Engine(make_app(), data=data, settings=settings) as engine:
        await engine.facade.start("listens", instance_id="i", input="[]")
        await engine.facade.start("quick", instance_id="j", input="1")
        for number in range(60):
            await engine.steering.raise_event("i", "tick", "0", key=str(number))
    async with Engine(make_app(), data=data, settings=settings) as engine:
        for number in range(60):
            await engine.steering.raise_event("i", "tick", "1", key=str(number))
        await engine.steering.raise_event("i", "tick", '"end"')
        assert (await engine.facade.wait("i")).output == f"[{','.join(['0'] * 60)}]"
        await engine.steering.raise_event("i", "tick", "1", key="0")


async def test_an_event_for_another_run_or_a_missing_instance_is_refused(engine: Engine) -> None:
    async with engine:
        with pytest.raises(InstanceNotFound):
            await engine.steering.raise_event("i", "go", key="k")
        await running(engine)
        with pytest.raises(RunChanged):
            await engine.steering.raise_event("i", "go", condition=of_run("another"))
        with pytest.raises(InvalidRequest):
            await engine.steering.raise_event("i", "")
        with pytest.raises(InvalidRequest):
            await engine.steering.raise_event("i", "x" * 100_000)
        await engine.steering.raise_event("i", "go", "1", condition=of_run(await run_of(engine, "i")))
        assert (await engine.facade.wait("i")).output == "1"
