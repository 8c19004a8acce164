"""Hosts with different apps share a store: each has the instances of its own app, and the apps call each other."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest

from perdure import App, Settings, WorkflowContext
from perdure.actors.errors import PerdureError
from perdure.runtime.history.status import Status
from perdure.runtime.operations.reading.listing import InstanceFilter
from perdure.testing.virtual_time import run_virtually

from ..support.workflows.shared_engines import SharedEngine, SharedEngines, shared_engines

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 30))]


class Apps:
    """Two apps that call each other."""

    def __init__(self) -> None:
        self.shop = shop = App("shop")
        self.bank = bank = App("bank")
        self.paid: list[str] = []
        self.pay_s = 0.0

        @shop.workflow
        async def order(ctx: WorkflowContext, what: int) -> Any:
            paid = await ctx.call_activity("pay", input=what, app_id="bank")
            name = f"kid-{ctx.instance_id}" if what % 2 else None
            return [paid, await ctx.call_child_workflow("transfer", input=what, instance_id=name, app_id="bank")]

        @shop.activity
        async def stamp(ctx: Any, what: int) -> int:
            return what + 1

        @bank.activity
        async def pay(ctx: Any, what: int) -> int:
            await anyio.sleep(self.pay_s)
            self.paid.append(ctx.workflow_id)
            return what

        @bank.workflow
        async def transfer(ctx: WorkflowContext, what: int) -> Any:
            return await ctx.call_activity("stamp", input=what, app_id="shop")

        @bank.workflow
        async def hold(ctx: WorkflowContext) -> Any:
            return await ctx.wait_for_external_event("go")


def run(tell: Callable[[SharedEngines, Apps], Awaitable[None]], *, seed: int = 0, count: int = 0) -> None:
    """Run a test of hosts in virtual time; the first ones have the shop."""

    async def told() -> None:
        apps = Apps()
        async with shared_engines(apps.shop, Settings(), count, seed=seed) as engines:
            await tell(engines, apps)

    run_virtually(told)


async def settled(engines: SharedEngines, *hosts: SharedEngine) -> None:
    """Wait until each shard belongs to a host with its app."""
    living = {each.store.host for each in hosts}
    while not all(row.host in living for row in engines.database.owners.values()):
        await anyio.sleep(0.1)


async def begin(engine: SharedEngine, instance_id: str, what: int) -> None:
    await engine.engine.facade.start("order", instance_id=instance_id, input=str(what))


async def end_of(engines: SharedEngines, app_id: str, instance_id: str) -> str | None:
    """Wait for the end of an instance at any living engine, and return its result."""
    while True:
        with suppress(PerdureError):
            facade = engines.running[0].engine.facade.of_app(app_id)
            with anyio.fail_after(120):
                state = await facade.wait(instance_id)
                assert state.status is Status.COMPLETED, state.failure
                return state.output
        await anyio.sleep(0.5)


def test_each_host_owns_the_shards_of_its_apps_only() -> None:
    async def tell(engines: SharedEngines, apps: Apps) -> None:
        shop = [await engines.add(apps.shop) for _ in range(2)]
        bank = await engines.add(apps.bank)
        await anyio.sleep(15)
        owners = {shard: row.host for shard, row in engines.database.owners.items()}
        assert len(owners) == 16
        assert {owners[shard] for shard in range(8)} == {each.store.host for each in shop}
        assert {owners[shard] for shard in range(8, 16)} == {bank.store.host}

    run(tell)


@pytest.mark.parametrize("seed", SEEDS)
def test_hosts_with_other_apps_perform_what_is_asked_of_these(seed: int) -> None:
    async def tell(engines: SharedEngines, apps: Apps) -> None:
        shop, bank = await engines.add(apps.shop), await engines.add(apps.bank)
        await settled(engines, shop, bank)
        for n in range(6):
            await begin(shop, f"o{n}", n)
        for n in range(6):
            assert await end_of(engines, "shop", f"o{n}") == f"[{n},{n + 1}]"
        assert sorted(apps.paid) == [f"o{n}" for n in range(6)]
        while any(address.type.startswith("call") for address in engines.database.contents._keys):
            await anyio.sleep(0.1)

    run(tell, seed=seed)


def test_a_request_to_an_app_waits_until_a_host_has_it() -> None:
    async def tell(engines: SharedEngines, apps: Apps) -> None:
        shop = await engines.add(apps.shop)
        await begin(shop, "o", 1)
        await anyio.sleep(60)
        found = await shop.engine.facade.inspect("o")
        assert found is not None
        assert found.status is Status.RUNNING
        await engines.add(apps.bank)
        assert await end_of(engines, "shop", "o") == "[1,2]"

    run(tell)


def test_what_waits_for_an_app_survives_the_end_of_its_sender() -> None:
    async def tell(engines: SharedEngines, apps: Apps) -> None:
        first = await engines.add(apps.shop)
        await begin(first, "o", 1)
        await anyio.sleep(5)
        first.kill()
        await engines.add(apps.shop)
        await anyio.sleep(20)
        await engines.add(apps.bank)
        assert await end_of(engines, "shop", "o") == "[1,2]"

    run(tell)


@pytest.mark.parametrize("seed", SEEDS)
def test_either_side_may_end_at_any_moment(seed: int) -> None:
    async def tell(engines: SharedEngines, apps: Apps) -> None:
        apps.pay_s = 0.5
        for app in (apps.shop, apps.bank, apps.shop, apps.bank):
            await engines.add(app)
        await anyio.sleep(15)
        for n in range(8):
            await begin(engines.running[0], f"o{n}", n)
        for victim, app in ((1, apps.bank), (0, apps.shop), (3, apps.bank)):
            await anyio.sleep(engines.chance.uniform(0.0, 1.0))
            engines.engines[victim].kill()
            await engines.add(app)
        for n in range(8):
            assert await end_of(engines, "shop", f"o{n}") == f"[{n},{n + 1}]"

    run(tell, seed=seed)


def test_an_app_is_asked_for_its_instances_at_any_host() -> None:
    async def tell(engines: SharedEngines, apps: Apps) -> None:
        shop, bank = await engines.add(apps.shop), await engines.add(apps.bank)
        await settled(engines, shop, bank)
        there = shop.engine.facade.of_app("bank")
        await there.start("hold", instance_id="h")
        hosted = shop.engine.app_of("bank")
        assert hosted is not None
        [item] = (await hosted.views.listing.list(InstanceFilter())).items
        assert (item.id, item.app_id) == ("h", "bank")
        await there.raise_event("h", "go", "7")
        assert (await there.wait("h")).output == "7"
        assert await shop.engine.facade.inspect("h") is None
        assert [report.name for report in (await hosted.management.reports.all()).values() if report is not None]
        assert shop.engine.app_of("moon") is None
        # The ids of all apps are known at each host, its own first.
        for host, expected in ((shop, ["shop", "bank"]), (bank, ["bank", "shop"])):
            assert host.engine.directory.reached(host.engine.apps) == expected

    run(tell)


def test_a_host_with_both_apps_takes_part_in_both() -> None:
    async def tell(engines: SharedEngines, apps: Apps) -> None:
        one = await engines.add(apps.shop)
        both = await engines.add(apps.shop, apps.bank)
        await settled(engines, one, both)
        await begin(one, "o", 3)
        assert await end_of(engines, "shop", "o") == "[3,4]"
        await both.stop()
        await anyio.sleep(5)
        await begin(one, "p", 3)
        await anyio.sleep(30)
        found = await one.engine.facade.inspect("p")
        assert found is not None
        assert found.status is Status.RUNNING
        await engines.add(apps.bank)
        assert await end_of(engines, "shop", "p") == "[3,4]"

    run(tell)
