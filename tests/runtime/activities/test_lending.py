"""An activity under way when its instance moves to another host continues at its host, and is performed once."""

from collections.abc import Awaitable, Callable, Sequence

import anyio
import pytest

from perdure import ActivityContext, App, Settings, WorkflowContext
from perdure.runtime.history.instance_state import InstanceState
from perdure.runtime.history.status import Status
from perdure.runtime.instance.message import workflow_address
from perdure.testing.virtual_time import run_virtually

from ...support.workflows.shared_engines import SharedEngine, SharedEngines, shared_engines

LASTS_S = 4.0  # an activity
STEPS = 30


class Works:
    """An app whose activities take long, and their progress."""

    def __init__(self) -> None:
        self.app = App("works")
        self.begun: list[str] = []  # an instance for each begin of its activity
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.lasts_s = LASTS_S

        @self.app.activity
        async def work(ctx: ActivityContext, _: None) -> str:
            self.begun.append(ctx.workflow_id)
            try:
                await anyio.sleep(self.lasts_s)
            except BaseException:
                self.cancelled.append(ctx.workflow_id)
                raise
            self.ended.append(ctx.workflow_id)
            return "done"

        @self.app.activity
        async def step(ctx: ActivityContext, lasts_s: float) -> None:
            self.begun.append(ctx.task_execution_id)
            await anyio.sleep(lasts_s)

        @self.app.workflow
        async def steps(ctx: WorkflowContext, lasts_s: float) -> None:
            for _ in range(STEPS):
                await ctx.call_activity(step, input=lasts_s)

        @self.app.workflow
        async def works(ctx: WorkflowContext) -> str:
            return await ctx.call_activity(work)


Tell = Callable[[SharedEngines, Works], Awaitable[None]]


def story(tell: Tell, count: int = 2, settings: Settings | None = None, *, seed: int = 0) -> None:
    works = Works()

    async def told() -> None:
        with anyio.fail_after(300):
            async with shared_engines(works.app, settings or Settings(), count, seed=seed) as engines:
                await tell(engines, works)

    run_virtually(told)


async def begun_at(engine: SharedEngine, engines: SharedEngines, works: Works, count: int = 1) -> Sequence[str]:
    """Instances of an engine whose activities have begun."""
    names = (engines.id_at(engine, f"w{n}") for n in range(count))
    ids = [await engine.engine.facade.start("works", instance_id=name, input=None) for name in names]
    while set(ids) - set(works.begun):
        await anyio.sleep(0.01)
    return ids


async def moved(engines: SharedEngines, instance_id: str, from_: SharedEngine) -> SharedEngine:
    """Wait until an instance has another owner, and has been recovered there; return that."""
    while (owner := engines.owner_of(instance_id)) is from_:
        await anyio.sleep(0.05)
    await anyio.sleep(1)
    return owner


async def end_of(instance_id: str, through: SharedEngine) -> InstanceState:
    return await through.engine.facade.wait(instance_id)


def test_it_is_performed_once_although_a_host_that_joins_gets_its_instance() -> None:
    async def tell(engines: SharedEngines, works: Works) -> None:
        first = engines.engines[0]
        ids = await begun_at(first, engines, works, 6)
        await engines.add()
        await anyio.sleep(2)
        assert any(engines.owner_of(each) is not first for each in ids), "none has moved"
        for each in ids:
            state = await end_of(each, engines.running[-1])
            assert (state.status, state.output) == (Status.COMPLETED, '"done"')
        assert sorted(works.begun) == sorted(ids)
        assert works.cancelled == []
        await anyio.sleep(1)
        assert not any(
            each.engine._first.activities.moving.lent or each.engine._first.activities._busy for each in engines.running
        )

    story(tell, count=1)


def test_it_is_performed_once_although_its_host_leaves() -> None:
    async def tell(engines: SharedEngines, works: Works) -> None:
        first, second = engines.engines
        ids = await begun_at(first, engines, works, 4)
        await first.stop()
        for each in ids:
            assert (await end_of(each, second)).status is Status.COMPLETED
        assert sorted(works.begun) == sorted(ids)

    story(tell)


def test_it_is_performed_once_although_the_new_owner_hears_of_the_shard_from_the_rows_only() -> None:
    async def tell(engines: SharedEngines, works: Works) -> None:
        first, second = engines.engines
        assert first.engine.peers is not None
        first.engine.peers.tell = lambda *told: None  # type: ignore[method-assign]
        ids = await begun_at(first, engines, works, 4)
        await first.stop()
        for each in ids:
            assert (await end_of(each, second)).status is Status.COMPLETED
        assert sorted(works.begun) == sorted(ids)

    story(tell)


def test_it_is_performed_once_although_its_answer_is_lost_once_when_its_host_ends() -> None:
    async def tell(engines: SharedEngines, works: Works) -> None:
        first, second = engines.engines
        ids = await begun_at(first, engines, works, 4)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.stop)
            await anyio.sleep(LASTS_S - 0.5)
            engines.network.cut(first.address, second.address)
            while len(works.ended) < len(ids):
                await anyio.sleep(0.05)
            engines.network.heal(first.address, second.address)
        for each in ids:
            assert (await end_of(each, second)).status is Status.COMPLETED
        assert sorted(works.begun) == sorted(ids)

    story(tell)


def test_it_is_performed_once_although_its_instance_moves_twice() -> None:
    async def tell(engines: SharedEngines, works: Works) -> None:
        first, second, third = engines.engines
        (instance_id,) = await begun_at(first, engines, works)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.stop)
            owner = await moved(engines, instance_id, first)
            tasks.start_soon(owner.stop)
            last = third if owner is second else second
            await moved(engines, instance_id, owner)
            assert engines.owner_of(instance_id) is last
            assert (await end_of(instance_id, last)).status is Status.COMPLETED
        assert works.begun == [instance_id]

    story(tell, count=3)


def test_it_is_performed_again_if_the_host_that_goes_on_with_it_is_killed() -> None:
    async def tell(engines: SharedEngines, works: Works) -> None:
        first, second = engines.engines
        (instance_id,) = await begun_at(first, engines, works)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.stop)
            await moved(engines, instance_id, first)
            assert works.begun == [instance_id]
            first.kill()
        assert (await end_of(instance_id, second)).status is Status.COMPLETED
        assert works.begun == [instance_id] * 2

    story(tell)


def test_it_is_performed_again_if_the_host_that_goes_on_with_it_is_cut_off() -> None:
    async def tell(engines: SharedEngines, works: Works) -> None:
        first, second = engines.engines
        works.lasts_s = 30.0
        (instance_id,) = await begun_at(first, engines, works)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.stop)
            await moved(engines, instance_id, first)
            engines.network.cut(first.address, second.address)
            with anyio.fail_after(10 + works.lasts_s):  # the cut is known by then, and the other host lives on
                assert (await end_of(instance_id, second)).status is Status.COMPLETED
        assert works.begun == [instance_id] * 2

    story(tell, settings=Settings(stop_grace_s=60))


def test_it_is_cancelled_where_it_runs_if_its_instance_is_terminated_elsewhere() -> None:
    async def tell(engines: SharedEngines, works: Works) -> None:
        first, second = engines.engines
        (instance_id,) = await begun_at(first, engines, works)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.stop)
            await moved(engines, instance_id, first)
            await second.engine.client.terminate(instance_id)
            await anyio.sleep(0.5)
            assert works.cancelled == [instance_id]
        assert works.begun == [instance_id]
        assert works.ended == []

    story(tell)


def test_it_is_said_to_run_by_its_new_owner() -> None:
    async def tell(engines: SharedEngines, works: Works) -> None:
        first, second = engines.engines
        (instance_id,) = await begun_at(first, engines, works)
        before = first.engine._first.activities.loads()["work"]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.stop)
            await moved(engines, instance_id, first)
            assert second.engine._first.activities.loads()["work"] == before
            assert second.engine._host.placement.owns(workflow_address(instance_id))
        await end_of(instance_id, second)

    story(tell)


def test_work_that_has_not_begun_is_begun_by_the_new_owner_only() -> None:
    async def tell(engines: SharedEngines, works: Works) -> None:
        first, second = engines.engines
        running = await begun_at(first, engines, works)
        waiting = await first.engine.facade.start("works", instance_id=engines.id_at(first, "late"), input=None)
        await anyio.sleep(0.1)
        assert works.begun == running, "there is room for one"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.stop)
            for each in (*running, waiting):
                assert (await end_of(each, second)).status is Status.COMPLETED
        assert sorted(works.begun) == sorted([*running, waiting])

    story(tell, settings=Settings(activities_max=1))


@pytest.mark.parametrize("seed", range(3))
def test_each_of_many_is_performed_once_while_hosts_come_and_go(seed: int) -> None:
    async def tell(engines: SharedEngines, works: Works) -> None:
        for engine in engines.engines:
            engine.link.delay_s = 0.03
        facade = engines.engines[0].engine.facade
        lasts = [engines.chance.uniform(0.01, 0.3) for _ in range(40)]
        ids = [await facade.start("steps", instance_id=f"s{n}", input=str(each)) for n, each in enumerate(lasts)]
        third = await engines.add()
        third.link.delay_s = 0.03
        await anyio.sleep(2)
        await engines.engines[0].stop()
        await engines.add()
        await anyio.sleep(1)
        await engines.engines[1].stop()
        for each in ids:
            assert (await end_of(each, third)).status is Status.COMPLETED
        assert len(works.begun) == len(ids) * STEPS
        assert len(set(works.begun)) == len(works.begun)

    story(tell, seed=seed)
