"""Engines that share a store are one: every instance ends once, wherever its shard goes, and no step counts twice."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import anyio
import pytest

from perdure import App, Settings, WorkflowContext
from perdure.actors.errors import PerdureError
from perdure.runtime.errors import InstanceExists
from perdure.runtime.history.event import ChildCompleted, TaskCompleted
from perdure.runtime.history.instance_state import InstanceState
from perdure.runtime.history.status import Status
from perdure.runtime.instance.message import RaiseEvent
from perdure.testing.virtual_time import run_virtually

from ..support.workflows.shared_engines import SharedEngine, SharedEngines, shared_engines

# Three seeds in each run of the suite, and many in the long one.
SEEDS = [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 40))]


def make_app() -> App:
    """Workflows whose messages cross hosts: activities, timers, children with ids and without, events."""
    app = App("shared")

    @app.activity
    async def work(ctx: object, n: int) -> int:
        await anyio.sleep(0.2)
        return n + 1

    @app.workflow
    async def leaf(ctx: WorkflowContext, n: int) -> int:
        n = await ctx.call_activity(work, input=n)
        await ctx.create_timer(timedelta(seconds=0.5))
        return await ctx.call_activity(work, input=n)

    @app.workflow
    async def tree(ctx: WorkflowContext, name: str) -> int:
        named = [ctx.call_child_workflow(leaf, input=n, instance_id=f"{name}.{n}") for n in range(3)]
        nameless = [ctx.call_child_workflow(leaf, input=10 + n) for n in range(2)]
        return sum([await each for each in (*named, *nameless)])

    @app.workflow
    async def waits(ctx: WorkflowContext) -> int:
        return sum([await ctx.wait_for_external_event("go") for _ in range(3)])

    return app


def story(
    settings: Settings, tell: Callable[[SharedEngines], Awaitable[None]], count: int = 2, *, seed: int = 0
) -> None:
    """Run a test of engines that share a store, in virtual time."""

    async def told() -> None:
        with anyio.fail_after(300):
            async with shared_engines(make_app(), settings, count, seed=seed) as engines:
                await tell(engines)

    run_virtually(told)


class Programs:
    """Instances that are begun, and get their events, through any engine; in the end all are checked."""

    def __init__(self, engines: SharedEngines) -> None:
        self.engines = engines
        self.expected: dict[str, str] = {}  # id -> result

    async def persistently(self, act: Callable[[SharedEngine], Awaitable[object]]) -> None:
        """Make a call that may be made twice, through a living engine, until it succeeds."""
        while True:
            through = self.engines.chance.choice(self.engines.running)
            try:
                await act(through)
            except InstanceExists:
                return
            except PerdureError:
                await anyio.sleep(0.1)
            else:
                return

    async def begin(self, name: str, instance_id: str, given: str | None, result: str) -> None:
        self.expected[instance_id] = result
        await self.persistently(lambda each: each.engine.facade.start(name, instance_id=instance_id, input=given))

    async def run(self, count: int) -> None:
        """Begin programs of both kinds, and raise the events that they wait for."""
        for number in range(count):
            tree, waits = f"tree-{number}", f"waits-{number}"
            await self.begin("tree", tree, f'"{tree}"', str(sum(n + 2 for n in (0, 1, 2, 10, 11))))
            await self.begin("waits", waits, None, "6")
            for n in range(3):
                await anyio.sleep(self.engines.chance.uniform(0, 0.2))
                key = f"{waits}.{n}".encode()
                await self.persistently(
                    lambda each, n=n, key=key, waits=waits: each.engine.facade.deliver(  # type: ignore[misc]
                        waits, RaiseEvent("go", str(n + 1), key)
                    )
                )

    async def check(self) -> None:
        """Wait for the end of each instance, through some engine, and check that each step happened once."""
        for instance_id, expected in self.expected.items():
            state = await self.end_of(instance_id)
            assert (state.status, state.output) == (Status.COMPLETED, expected), (instance_id, state)
        facade = self.engines.running[0].engine.facade
        everything = (await facade.list_ids(ids_max=10_000)).ids
        trees = sum(each.startswith("tree-") for each in self.expected)
        assert len(everything) == len(self.expected) + 5 * trees, "a child was started twice, or not at all"
        for instance_id in everything:
            rows = await facade.history(instance_id)
            assert rows is not None
            arrivals = (event for row in rows for event in (*(row.turn or ()), *row.held))
            done = [event.task_id for event in arrivals if isinstance(event, TaskCompleted | ChildCompleted)]
            assert len(done) == len(set(done)), (instance_id, rows)

    async def end_of(self, instance_id: str) -> InstanceState:
        while True:
            through = self.engines.chance.choice(self.engines.running)
            try:
                return await through.engine.facade.wait(instance_id)
            except PerdureError:
                await anyio.sleep(0.1)


def test_instances_of_several_engines_call_each_other_and_all_end() -> None:
    async def tell(engines: SharedEngines) -> None:
        programs = Programs(engines)
        await programs.run(5)
        await programs.check()

    story(Settings(), tell)


def test_a_host_that_joins_and_one_that_leaves_are_not_noticed() -> None:
    async def tell(engines: SharedEngines) -> None:
        programs = Programs(engines)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(programs.run, 12)
            await anyio.sleep(0.5)
            await engines.add()
            await anyio.sleep(2)
            await engines.engines[0].stop()
        await programs.check()

    story(Settings(), tell)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_host_that_is_killed_leaves_no_instance_behind(seed: int) -> None:
    async def tell(engines: SharedEngines) -> None:
        programs = Programs(engines)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(programs.run, 12)
            for _ in range(3):
                await anyio.sleep(engines.chance.uniform(0.1, 2))
                engines.chance.choice(engines.running).kill()
                await engines.add()
        await programs.check()

    story(Settings(), tell, 3, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_host_that_was_taken_for_dead_goes_on_and_nothing_of_it_counts_twice(seed: int) -> None:
    async def tell(engines: SharedEngines) -> None:
        programs = Programs(engines)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(programs.run, 12)
            await anyio.sleep(engines.chance.uniform(0.3, 1.5))
            host = engines.engines[0]
            host.link.away = True
            await anyio.sleep(engines.chance.uniform(2.5, 5))
            host.link.away = False
        await programs.check()

    story(Settings(), tell, 3, seed=seed)
