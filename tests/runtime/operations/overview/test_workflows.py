"""The overview lists the workflows and activities of the app, with the numbers of each."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from perdure import ActivityContext, App, Engine, Settings, WorkflowContext
from perdure.runtime.history.attribution import By
from perdure.runtime.operations.overview.workflows import added
from perdure.runtime.workers.activity_figures import ActivityLoad

pytestmark = pytest.mark.anyio


@dataclass
class Order:
    item: str
    count: int = 1


class Shop:
    """An app whose activity waits for a gate."""

    def __init__(self) -> None:
        self.app = App("shop")
        self.gate = anyio.Event()

        @self.app.activity
        async def charge(ctx: ActivityContext, order: Order) -> None:
            await self.gate.wait()
            if order.count < 0:
                raise ValueError("no")

        @self.app.activity
        def pack(ctx: ActivityContext) -> None:
            pass

        @self.app.workflow
        async def buy(ctx: WorkflowContext, order: Order) -> None:
            await ctx.call_activity(charge, input=order)

        @self.app.workflow
        async def bare(ctx: WorkflowContext, anything) -> None:  # type: ignore[no-untyped-def]
            pass

        @self.app.workflow
        async def none(ctx: WorkflowContext) -> None:
            pass

        self.buy, self.bare = buy, bare

    @asynccontextmanager
    async def open(self, **settings: Any) -> AsyncIterator[Engine]:
        with anyio.fail_after(10):
            async with Engine(self.app, data=":memory:", settings=Settings(**settings)) as engine:
                yield engine


async def test_a_workflow_has_its_counts_its_last_hour_and_the_schema_of_its_input() -> None:
    shop = Shop()
    async with shop.open() as engine:
        await engine.client.start(shop.buy, input=Order("x"))
        await engine.client.run(shop.bare, input=1)
        found = {each.name: each for each in await engine.management.inventory.workflows()}
        assert found.keys() == {"buy", "bare", "none"}
        assert found["buy"].counts == {"RUNNING": 1}
        assert found["bare"].counts == {"COMPLETED": 1}
        assert list(found["buy"].last_hour) == [1, 0, 0, 0]
        assert list(found["bare"].last_hour) == [1, 1, 0, 0]
        schema = found["buy"].input_schema
        assert schema is not None
        assert schema["$defs"]["Order"]["required"] == ["item"]
        assert found["bare"].input_schema is found["none"].input_schema is None
        shop.gate.set()


async def test_an_activity_has_what_runs_what_waits_and_how_the_newest_attempts_went() -> None:
    shop = Shop()
    async with shop.open(activities_max=1) as engine:
        handles = [await engine.client.start(shop.buy, input=Order("x", count)) for count in (1, 1, -1)]
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        charge, pack = await engine.management.inventory.activities()
        assert (charge.name, charge.registered, charge.limit) == ("charge", True, 1)
        assert (charge.load.running, charge.load.waiting, charge.figures) == (1, 2, None)
        assert charge.load.oldest_us is not None
        assert (pack.name, pack.load, pack.limit) == ("pack", ActivityLoad(), 40)
        shop.gate.set()
        for handle in handles:
            await engine.facade.wait(handle)
        charge, _ = await engine.management.inventory.activities()
        assert charge.load == ActivityLoad()
        assert charge.figures is not None
        assert (charge.figures.attempts, charge.figures.failed) == (3, 1)
        assert 0 <= charge.figures.p50_s <= charge.figures.p99_s


def test_the_loads_of_hosts_are_added_up_and_the_oldest_is_the_oldest() -> None:
    assert added(ActivityLoad(1, 2, 30), ActivityLoad(3, 4, 20)) == ActivityLoad(4, 6, 20)
    assert added(ActivityLoad(), ActivityLoad(1, 0, 20)) == ActivityLoad(1, 0, 20)
    assert added(ActivityLoad(), ActivityLoad()) == ActivityLoad()


async def test_an_instance_that_is_read_in_has_neither_begun_nor_ended_here() -> None:
    shop = Shop()
    async with shop.open() as engine:
        await engine.client.run(shop.bare, input=1, instance_id="a")
        lines = [line async for line in engine.transfer.export("a")]

        async def exported() -> AsyncIterator[bytes]:
            for line in lines:
                yield line

        await engine.transfer.import_(exported(), by=By("ann", "api"), new_id="b")
        bare = next(each for each in await engine.management.inventory.workflows() if each.name == "bare")
        assert bare.counts == {"COMPLETED": 2}
        assert list(bare.last_hour) == [1, 1, 0, 0]
