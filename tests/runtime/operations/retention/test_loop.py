"""Exactly the finished instances are forgotten, when their time is over and not earlier."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import pytest

from perdure import App, Engine, Settings, WorkflowContext
from perdure.actors.errors import HostStopping
from perdure.actors.store.contract import Store, Write
from perdure.actors.store.errors import StoreDamaged, StoreFailed
from perdure.actors.store.listing import ListFilter, ListPage, Order
from perdure.actors.store.memory import MemoryStore
from perdure.runtime.history.status import TERMINAL
from perdure.runtime.instance.message import workflow_address
from perdure.runtime.operations.facade import Facade
from perdure.runtime.operations.retention.loop import RetentionLoop
from perdure.runtime.operations.retention.policy import Retention
from perdure.testing.passing_store import PassingStore
from perdure.testing.virtual_time import LoopClock, run_virtually

pytestmark = pytest.mark.usefixtures("virtual_backend")

HOUR_S = 3600.0
HOUR_US = 3_600_000_000
STATUSES = len(TERMINAL)  # a look is one list for each


def make_app() -> App:
    app = App("test")

    @app.workflow
    def echo(ctx: WorkflowContext, value: object) -> object:
        return value

    @app.workflow
    def fails(ctx: WorkflowContext, value: object) -> object:
        raise ValueError("no")

    @app.workflow
    async def waits(ctx: WorkflowContext) -> object:
        return await ctx.wait_for_external_event("go")

    @app.workflow
    async def naps(ctx: WorkflowContext, hours: float) -> None:
        await ctx.create_timer(timedelta(hours=hours))

    @app.workflow
    async def parent(ctx: WorkflowContext) -> None:
        await ctx.call_child_workflow(echo, instance_id="child")
        await ctx.create_timer(timedelta(hours=1))

    return app


class CountedStore(PassingStore):
    """Counts the looks at the store, and fails on request."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.lists = 0
        self.failures: list[Exception] = []
        self.thinned: list[int] = []
        self.not_thinned: list[Exception] = []

    async def list(
        self, actor_type: str, wanted: ListFilter, *, order: Order, cursor: str | None, limit: int
    ) -> ListPage:
        self.lists += 1
        if self.failures:
            raise self.failures.pop()
        return await super().list(actor_type, wanted, order=order, cursor=cursor, limit=limit)

    async def thin_audit(self, before_us: int) -> int:
        self.thinned.append(before_us)
        if self.not_thinned:
            raise self.not_thinned.pop()
        return await super().thin_audit(before_us)


class HardFacade(Facade):
    """Cannot purge one instance."""

    def __init__(self, facade: Facade) -> None:
        super().__init__(facade._host)
        self.damaged: str | None = None
        self.tries = 0

    async def purge(self, instance_id: str, **options: Any) -> int:
        if instance_id == self.damaged:
            self.tries += 1
            raise StoreDamaged(workflow_address(instance_id), "no checksum")
        return await super().purge(instance_id, **options)


class World:
    """An engine, and a loop that can be stopped and started."""

    def __init__(self, engine: Engine, clock: LoopClock) -> None:
        self.engine = engine
        self.clock = clock
        self.facade = engine.facade
        self.store = CountedStore(engine.store)
        self.hard = HardFacade(engine.facade)

    @asynccontextmanager
    async def forgetting(self, retention: Retention) -> AsyncIterator[None]:
        happened = partial(getattr, self.engine, "turns")
        loop = RetentionLoop(self.store, self.hard, retention, clock=self.clock, happened=happened)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(loop.run)
            yield
            tasks.cancel_scope.cancel()

    async def finish(self, instance_id: str, workflow: str = "echo") -> None:
        await self.facade.start(workflow, instance_id=instance_id, input="1")
        await self.facade.wait(instance_id)

    async def ids(self) -> list[str]:
        return list((await self.facade.list_ids()).ids)


def story(settings: Settings, tell: Callable[[World], Awaitable[None]], *, may_be_set: bool = False) -> None:
    """Run a test of an engine, in virtual time."""

    async def with_engine() -> None:
        clock = LoopClock(may_be_set=may_be_set)
        async with Engine(make_app(), data=":memory:", settings=settings, clock=clock) as engine:
            await tell(World(engine, clock))

    run_virtually(with_engine)


def test_an_instance_goes_when_its_time_is_over_and_not_earlier(settings: Settings) -> None:
    async def tell(world: World) -> None:
        async with world.forgetting(Retention(any_terminal_us=2 * HOUR_US)):
            # Given an instance that finishes while the loop sleeps,
            await anyio.sleep(0.5 * HOUR_S)
            await world.finish("a")
            # when its time is not over, it is there;
            await anyio.sleep(2 * HOUR_S - 1)
            assert await world.ids() == ["a"]
            # when it is, it is not.
            await anyio.sleep(1.1)
            assert await world.ids() == []

    story(settings, tell)


def test_each_status_has_a_time_of_its_own(settings: Settings) -> None:
    async def tell(world: World) -> None:
        async with world.forgetting(Retention(completed_us=HOUR_US, terminated_us=3 * HOUR_US)):
            await world.finish("completed")
            await world.finish("failed", "fails")
            await world.facade.start("waits", instance_id="terminated")
            await world.facade.terminate("terminated")
            await world.facade.start("waits", instance_id="waiting")
            await anyio.sleep(2 * HOUR_S)
            assert await world.ids() == ["failed", "terminated", "waiting"]
            await anyio.sleep(2 * HOUR_S)
            assert await world.ids() == ["failed", "waiting"]

    story(settings, tell)


def test_at_once_is_within_a_second_or_so(settings: Settings) -> None:
    async def tell(world: World) -> None:
        async with world.forgetting(Retention(any_terminal_us=0)):
            await anyio.sleep(HOUR_S)
            await world.finish("a")
            await anyio.sleep(1.1)
            assert await world.ids() == []

    story(settings, tell)


def test_an_instance_that_was_started_again_has_its_time_from_its_new_end(settings: Settings) -> None:
    async def tell(world: World) -> None:
        async with world.forgetting(Retention(any_terminal_us=2 * HOUR_US)):
            # Given an instance that finished, and a long-running one with the same id,
            await world.finish("a")
            await anyio.sleep(HOUR_S)
            await world.facade.start("naps", instance_id="a", input="3")
            # when the time of the old run is over, the new one is there; an hour after its end too;
            await anyio.sleep(1.5 * HOUR_S)
            assert await world.ids() == ["a"]
            await anyio.sleep(2.5 * HOUR_S)
            assert await world.ids() == ["a"]
            # and two hours after it is gone.
            await anyio.sleep(1.1 * HOUR_S)
            assert await world.ids() == []

    story(settings, tell)


def test_a_child_has_a_time_of_its_own(settings: Settings) -> None:
    async def tell(world: World) -> None:
        async with world.forgetting(Retention(any_terminal_us=2 * HOUR_US)):
            await world.finish("parent", "parent")
            assert await world.ids() == ["child", "parent"]
            await anyio.sleep(1.5 * HOUR_S)
            assert await world.ids() == ["parent"]
            await anyio.sleep(HOUR_S)
            assert await world.ids() == []

    story(settings, tell)


def test_a_time_that_ended_without_a_look_ends_with_the_first_look(settings: Settings) -> None:
    async def tell(world: World) -> None:
        retention = Retention(any_terminal_us=HOUR_US)
        # Given an instance that finishes under a loop that is stopped early,
        async with world.forgetting(retention):
            await world.finish("a")
        await anyio.sleep(2 * HOUR_S)
        assert await world.ids() == ["a"]
        # when another loop starts, which knows nothing of it, then it is forgotten.
        async with world.forgetting(retention):
            await anyio.sleep(0.1)
            assert await world.ids() == []

    story(settings, tell)


def test_while_nothing_happens_the_store_is_left_alone(settings: Settings) -> None:
    async def tell(world: World) -> None:
        await world.facade.start("waits", instance_id="waiting")
        async with world.forgetting(Retention(any_terminal_us=60 * 1_000_000)):
            await anyio.sleep(HOUR_S)
            looks = world.store.lists
            await anyio.sleep(24 * HOUR_S)
            assert world.store.lists == looks <= STATUSES

    story(settings, tell)


def test_what_finishes_all_the_time_is_looked_for_when_it_is_due(settings: Settings) -> None:
    async def tell(world: World) -> None:
        async with world.forgetting(Retention(any_terminal_us=10 * HOUR_US)):
            for number in range(200):
                await world.finish(f"i{number:03}")
                await anyio.sleep(0.25 * HOUR_S)
            # Fifty hours, ten of which are kept.
            assert len(await world.ids()) == 40
            assert world.store.lists <= STATUSES * (160 + 6)  # a look for each date, and one in ten hours

    story(settings, tell)


def test_many_that_end_together_go_together(settings: Settings) -> None:
    async def tell(world: World) -> None:
        for number in range(600):
            await world.finish(f"i{number}")
        async with world.forgetting(Retention(completed_us=HOUR_US)):
            await anyio.sleep(HOUR_S - 1)
            assert len(await world.ids()) == 600
            looks = world.store.lists
            await anyio.sleep(2)
            assert await world.ids() == []
            assert world.store.lists - looks <= STATUSES + 2

    story(settings, tell)


def test_a_new_policy_holds_for_all_that_has_ended(settings: Settings) -> None:
    async def tell(world: World) -> None:
        for number in range(50):
            await world.finish(f"i{number}")
        await anyio.sleep(HOUR_S)
        await world.finish("later")
        async with world.forgetting(Retention(completed_us=HOUR_US // 2)):
            await anyio.sleep(1)
            assert await world.ids() == ["later"]

    story(settings, tell)


def test_the_audit_is_thinned_at_the_start_and_each_hour(settings: Settings) -> None:
    async def tell(world: World) -> None:
        async with world.forgetting(Retention(audit_us=24 * HOUR_US)):
            began_us = world.clock.now_us()
            await anyio.sleep(2.5 * HOUR_S)
        ages = [round((before_us + 24 * HOUR_US - began_us) / HOUR_US, 2) for before_us in world.store.thinned]
        assert ages == [0, 1, 2]

    story(settings, tell)


def test_a_clock_that_is_set_back_puts_off_no_look(settings: Settings) -> None:
    async def tell(world: World) -> None:
        async with world.forgetting(Retention(any_terminal_us=60_000_000)):
            await anyio.sleep(5)
            world.clock.step(-24 * HOUR_S)
            await world.finish("a")
            await anyio.sleep(2 * 60 + 2)
            assert await world.ids() == []

    story(settings, tell, may_be_set=True)


def test_a_clock_that_is_set_forward_is_noticed_within_a_minute(settings: Settings) -> None:
    async def tell(world: World) -> None:
        await world.finish("a")
        async with world.forgetting(Retention(any_terminal_us=24 * HOUR_US)):
            await anyio.sleep(5)
            world.clock.step(24 * HOUR_S)
            await anyio.sleep(61)
            assert await world.ids() == []

    story(settings, tell, may_be_set=True)


def test_a_store_that_fails_is_asked_again(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    async def tell(world: World) -> None:
        await world.finish("a")
        world.store.failures = [StoreFailed("read", OSError("disk on fire"))]
        async with world.forgetting(Retention(any_terminal_us=0)):
            await anyio.sleep(1)
            assert await world.ids() == ["a"]
            await anyio.sleep(60)
            assert await world.ids() == []

    story(settings, tell)
    (warning,) = [record for record in caplog.records if record.name == "perdure.runtime.operations.retention.loop"]
    assert "disk on fire" in warning.getMessage()


def test_an_audit_that_cannot_be_thinned_is_tried_again_after_a_pause(settings: Settings) -> None:
    async def tell(world: World) -> None:
        world.store.not_thinned = [StoreFailed("write", OSError("disk on fire")) for _ in range(3)]
        async with world.forgetting(Retention(audit_us=24 * HOUR_US)):
            await anyio.sleep(0.5 * HOUR_S)
        first_us, *later_us = world.store.thinned
        waited_s = [round((each - first_us) / 1e6) for each in later_us]
        assert waited_s == [round((at + 1) * RetentionLoop.TRY_AGAIN_S) for at in range(3)]

    story(settings, tell)


def test_one_that_is_damaged_does_not_keep_the_others(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    async def tell(world: World) -> None:
        for name in "abc":
            await world.finish(name)
        world.hard.damaged = "a"
        async with world.forgetting(Retention(any_terminal_us=0)):
            await anyio.sleep(1.5)
            assert await world.ids() == ["a"]
            await world.finish("d")
            await anyio.sleep(HOUR_S)
            assert await world.ids() == ["a"]
            assert world.hard.tries == 1

    story(settings, tell)
    (warning,) = [record for record in caplog.records if record.name == "perdure.runtime.operations.retention.loop"]
    assert "workflow/a is damaged" in warning.getMessage()


class SlowStore(PassingStore):
    """Its commits take so long that retention looks meanwhile."""

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        await anyio.sleep(5)
        await super().commit(writes, fences)


def test_an_instance_that_ended_in_a_commit_that_was_under_way_at_a_look_goes_too(settings: Settings) -> None:
    async def tell() -> None:
        settled = replace(settings, retention=Retention(any_terminal_us=1_000_000))
        async with Engine(make_app(), data=SlowStore(MemoryStore()), settings=settled, clock=LoopClock()) as engine:
            # Given an instance whose last turn was taken, and looks until its commit has ended,
            await engine.facade.start("echo", instance_id="a", input="1")
            await engine.facade.wait("a")
            # when nothing else happens, then it is forgotten.
            await anyio.sleep(60)
            assert list((await engine.facade.list_ids()).ids) == []

    run_virtually(tell)


def test_the_loop_ends_when_the_host_stops(settings: Settings) -> None:
    async def tell(world: World) -> None:
        world.store.failures = [HostStopping()]
        loop = RetentionLoop(
            world.store, world.facade, Retention(any_terminal_us=0), clock=world.clock, happened=lambda: 0
        )
        with anyio.fail_after(1):
            await loop.run()

    story(settings, tell)


def test_of_hosts_that_share_a_store_the_one_whose_turn_it_is_forgets(settings: Settings) -> None:
    async def tell(world: World) -> None:
        # Given a host whose turn it is not,
        mine = False
        await world.finish("a")
        loop = RetentionLoop(
            world.store,
            world.hard,
            Retention(completed_us=HOUR_US),
            clock=world.clock,
            happened=lambda: 0,
            is_mine=lambda: mine,
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(loop.run)
            await anyio.sleep(3 * HOUR_S)
            assert await world.ids() == ["a"]
            assert world.store.lists == 0
            # when its turn comes, then due instances are forgotten at once.
            mine = True
            await anyio.sleep(RetentionLoop.TURN_EVERY_S + 1)
            assert await world.ids() == []
            tasks.cancel_scope.cancel()

    story(settings, tell)
