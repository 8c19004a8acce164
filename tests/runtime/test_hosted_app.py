"""Several apps in one engine: each has its own instances and activities, and calls those of the others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from perdure import App, Engine, InstanceNotFound, RetryPolicy, Settings, Status, TaskFailedError, WorkflowContext
from perdure.actors.address import Address
from perdure.actors.errors import RingUnknown
from perdure.actors.store.memory import MemoryStore
from perdure.runtime.errors import AppError, ChildUnfinished
from perdure.runtime.hosted_app import HostedApp
from perdure.runtime.operations.reading.listing import InstanceFilter
from perdure.runtime.settings import Opening, OtherApp
from perdure.runtime.state.state import StateChange

pytestmark = pytest.mark.anyio


class Apps:
    """Two apps that call each other."""

    def __init__(self) -> None:
        self.billed: list[str] = []
        self.shop = shop = App("shop")
        self.bank = bank = App("bank")

        @shop.workflow
        async def order(ctx: WorkflowContext, what: str) -> str:
            paid: str = await ctx.call_activity("pay", input=what, app_id="bank")
            return f"{paid} by {ctx.instance_id}"

        @shop.workflow
        async def parent(ctx: WorkflowContext, child_id: str | None) -> Any:
            return await ctx.call_child_workflow("transfer", input="5", instance_id=child_id, app_id="bank")

        @shop.workflow
        async def hopeful(ctx: WorkflowContext) -> Any:
            return await ctx.call_activity("pay", input="x", app_id="moon")

        @shop.workflow
        async def refused(ctx: WorkflowContext) -> str:
            try:
                await ctx.call_activity("refuse", app_id="bank")
            except TaskFailedError as error:
                return str(error.details.message)
            return "it did not fail"

        @shop.workflow
        async def waiting(ctx: WorkflowContext) -> Any:
            return await ctx.call_child_workflow("hold", instance_id="held", app_id="bank")

        @shop.activity
        async def pay(ctx: Any, what: str) -> str:
            return f"{what} paid in the shop"

        @bank.activity(name="pay")
        async def pay_in_bank(ctx: Any, what: str) -> str:
            self.billed.append(f"{ctx.workflow_id}: {what}")
            return f"{what} paid"

        @bank.activity
        async def refuse(ctx: Any) -> None:
            raise ValueError("no money")

        @bank.workflow
        async def transfer(ctx: WorkflowContext, amount: str) -> str:
            name = await ctx.call_activity("where", app_id="shop")
            return f"{amount} for {name}, child of {ctx.parent_instance_id}"

        @bank.workflow
        async def hold(ctx: WorkflowContext) -> Any:
            return await ctx.wait_for_external_event("go")

        @shop.activity
        async def where(ctx: Any) -> str:
            return "the shop"


@pytest.fixture
def apps() -> Apps:
    return Apps()


@asynccontextmanager
async def both(apps: Apps, settings: Settings, data: Any = ":memory:") -> AsyncIterator[Engine]:
    """An engine with both."""
    others = Opening(others=(OtherApp("bank", apps.bank),))
    with anyio.fail_after(20):
        async with Engine(apps.shop, data=data, settings=settings, opening=others) as engine:
            yield engine


def bank_of(engine: Engine) -> HostedApp:
    return engine.apps["bank"]


async def ended(app: HostedApp, instance_id: str) -> Any:
    state = await app.facade.wait(instance_id)
    assert state.status is Status.COMPLETED, state.failure
    return state.output


async def test_an_activity_of_another_app_is_performed_by_its_code(settings: Settings, apps: Apps) -> None:
    async with both(apps, settings) as engine:
        assert await engine.client.run("order", input="tea", instance_id="o") == "tea paid by o"
    assert apps.billed == ["o: tea"]


async def test_a_call_is_forgotten_once_its_answer_has_arrived(settings: Settings, apps: Apps) -> None:
    store = MemoryStore()
    async with both(apps, settings, store) as engine:
        await engine.client.run("order", input="tea")
        while await engine._host.ids("call@bank", after=None, limit=10):
            await anyio.sleep(0.001)
    assert {address.type for address, _ in store._records.values()} == {"workflow"}


async def test_the_failure_of_an_activity_of_another_app_is_the_callers(settings: Settings, apps: Apps) -> None:
    async with both(apps, settings) as engine:
        assert await engine.client.run("refused") == "no money"


async def test_an_engine_knows_the_ids_of_its_apps_before_it_runs_and_while_it_does(
    settings: Settings, apps: Apps
) -> None:
    async with both(apps, settings) as engine:
        assert engine.directory.reached(engine.apps) == ["shop", "bank"]
    idle = Engine(apps.bank, data=MemoryStore(), settings=settings)
    assert idle.directory.reached(idle.apps) == ["bank"]


async def test_an_engine_without_an_app_knows_the_first_one_of_its_store_by_one_id_only(
    settings: Settings, apps: Apps
) -> None:
    store = MemoryStore()
    async with Engine(apps.shop, data=store, settings=settings):
        pass
    async with Engine(data=store, settings=settings) as engine:
        assert engine.directory.reached(engine.apps) == [engine.app_id]


async def test_ids_are_per_app(settings: Settings, apps: Apps) -> None:
    async with both(apps, settings) as engine:
        await engine.facade.start("order", instance_id="same", input='"tea"')
        await bank_of(engine).facade.start("hold", instance_id="same")
        assert await ended(engine.apps["shop"], "same") == '"tea paid by same"'
        found = await bank_of(engine).facade.inspect("same")
        assert found is not None
        assert found.name == "hold"
        assert (await engine.facade.list_ids()).ids == ["same"]
        page = await bank_of(engine).views.listing.list(InstanceFilter())
        assert [(item.id, item.name, item.app_id) for item in page.items] == [("same", "hold", "bank")]
        counted = await engine.views.listing.count(InstanceFilter(), by=("name",))
        assert [(group.values, group.total) for group in counted.groups] == [(("order",), 1)]


async def test_state_belongs_to_an_app(settings: Settings, apps: Apps) -> None:
    store = MemoryStore()
    async with both(apps, settings, store) as engine:
        shop, bank = engine.states, bank_of(engine).states
        for states, value in ((shop, b"1"), (bank, b"2")):
            await states.change("statestore", [StateChange("key", value)])
        for states, value in ((shop, b"1"), (bank, b"2")):
            found = await states.get("statestore", "key")
            assert found is not None
            assert found.value == value
        await shop.change("statestore", [StateChange("key", None)])
        assert await shop.get("statestore", "key") is None
        assert await bank.get("statestore", "key") is not None
    assert {address.type for address, _ in store._records.values()} == {"state", "state@bank"}


@pytest.mark.parametrize("child_id", [None, "chosen"])
async def test_a_child_of_another_app_answers_its_parent(settings: Settings, apps: Apps, child_id: str | None) -> None:
    async with both(apps, settings) as engine:
        answer = await engine.client.run("parent", input=child_id, instance_id="p")
        assert answer == "5 for the shop, child of p"
        child = await bank_of(engine).facade.inspect(child_id or "p:0001")
        assert child is not None
        assert child.parent_id == "p"
        tree = await engine.views.trees.tree("p")
        assert [(node.app_id, node.name) for node in tree.children] == [("bank", "transfer")]
        described = await engine.views.descriptions.describe("p")
        assert described is not None
        assert described.children == {"COMPLETED": 1}
        [item] = (await bank_of(engine).views.listing.list(InstanceFilter())).items
        assert (item.parent, item.parent_app_id) == ("p", "shop")


async def test_terminating_a_parent_ends_its_child_in_the_other_app(settings: Settings, apps: Apps) -> None:
    async with both(apps, settings) as engine:
        await engine.facade.start("waiting", instance_id="p")
        while await bank_of(engine).facade.inspect("held") is None:
            await anyio.sleep(0.001)
        await engine.facade.terminate("p")
        assert (await bank_of(engine).facade.wait("held")).status is Status.TERMINATED


async def test_an_id_is_not_used_again_while_a_descendant_in_another_app_runs(settings: Settings, apps: Apps) -> None:
    async with both(apps, settings) as engine:
        await engine.facade.start("waiting", instance_id="p")
        while await bank_of(engine).facade.inspect("held") is None:
            await anyio.sleep(0.001)
        await engine.facade.terminate("p", recurse=False)
        with pytest.raises(ChildUnfinished):
            await engine.facade.start("waiting", instance_id="p")


async def test_a_purge_takes_the_family_in_all_apps(settings: Settings, apps: Apps) -> None:
    async with both(apps, settings) as engine:
        await engine.client.run("parent", instance_id="p")
        assert await engine.facade.purge("p") == 2
        assert await bank_of(engine).facade.inspect("p:0001") is None


async def test_what_no_host_has_is_waited_for(settings: Settings, apps: Apps) -> None:
    async with both(apps, settings) as engine:
        await engine.facade.start("hopeful", instance_id="h")
        await anyio.wait_all_tasks_blocked()
        found = await engine.facade.inspect("h")
        assert found is not None
        assert found.status is Status.RUNNING
        with pytest.raises(RingUnknown, match="no host has the app ID 'moon'"):
            await engine.facade.of_app("moon").inspect("x")
        with pytest.raises(RingUnknown):
            await engine.facade.of_app("moon").start("w")


async def test_an_app_that_comes_later_gets_what_has_waited_for_it(settings: Settings, apps: Apps) -> None:
    store = MemoryStore()
    with anyio.fail_after(20):
        async with Engine(apps.shop, data=store, settings=settings) as engine:
            await engine.facade.start("order", instance_id="o", input='"tea"')
            await anyio.wait_all_tasks_blocked()
        async with both(apps, settings, store) as engine:
            assert await ended(engine.apps["shop"], "o") == '"tea paid by o"'


async def test_an_app_that_is_not_here_keeps_its_instances(settings: Settings, apps: Apps) -> None:
    store = MemoryStore()
    with anyio.fail_after(20):
        async with both(apps, settings, store) as engine:
            await bank_of(engine).facade.start("hold", instance_id="b")
            await anyio.wait_all_tasks_blocked()
        named = Settings(app_id="shop", always_replay=settings.always_replay)
        async with Engine(apps.shop, data=store, settings=named) as engine:
            assert await engine.facade.inspect("b") is None
            with pytest.raises(RingUnknown):
                await engine.facade.of_app("bank").inspect("b")
        async with both(apps, settings, store) as engine:
            await bank_of(engine).facade.raise_event("b", "go", "1")
            assert await ended(bank_of(engine), "b") == "1"


async def test_the_second_app_alone_does_not_touch_the_first(settings: Settings, apps: Apps) -> None:
    store = MemoryStore()
    with anyio.fail_after(20):
        async with both(apps, settings, store) as engine:
            await engine.facade.start("waiting", instance_id="p")
            while await bank_of(engine).facade.inspect("held") is None:
                await anyio.sleep(0.001)
        named = Settings(app_id="bank", always_replay=settings.always_replay)
        async with Engine(apps.bank, data=store, settings=named) as engine:
            assert engine.facade.own.workflow == "workflow@bank"
            with pytest.raises(InstanceNotFound):
                await engine.facade.wait("p")
            await engine.facade.raise_event("held", "go", "7")
            assert (await engine.facade.wait("held")).output == "7"
        async with both(apps, settings, store) as engine:
            assert await ended(engine.apps["shop"], "p") == "7"


async def test_an_engine_with_one_app_whose_code_was_renamed_goes_on(settings: Settings) -> None:
    store = MemoryStore()

    def make(name: str) -> App:
        app = App(name)

        @app.workflow
        async def hold(ctx: WorkflowContext) -> Any:
            return await ctx.wait_for_external_event("go")

        return app

    async with Engine(make("old"), data=store, settings=settings) as engine:
        await engine.facade.start("hold", instance_id="h")
    async with Engine(make("new"), data=store, settings=settings) as engine:
        await engine.facade.raise_event("h", "go", "1")
        assert (await engine.facade.wait("h")).output == "1"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_apps_survive_a_restart_of_a_file(settings: Settings, apps: Apps, tmp_path: Path) -> None:
    data = tmp_path / "s.db"
    async with both(apps, settings, data) as engine:
        await engine.facade.start("waiting", instance_id="p")
        while await bank_of(engine).facade.inspect("held") is None:
            await anyio.sleep(0.001)
        assert dict(engine.directory.names) == {"shop": 0, "bank": 1}
    async with both(apps, settings, data) as engine:
        await bank_of(engine).facade.raise_event("held", "go", "3")
        assert await ended(engine.apps["shop"], "p") == "3"


async def test_an_engine_has_an_app_id_once(apps: Apps) -> None:
    with pytest.raises(AppError, match="two apps have the ID 'shop'"):
        Engine(apps.shop, data=":memory:", opening=Opening(others=(OtherApp("shop"),)))


async def test_tries_of_a_call_are_the_callers(settings: Settings) -> None:
    shop, bank, tried = App("shop"), App("bank"), list[int]()

    @shop.workflow
    async def order(ctx: WorkflowContext) -> Any:
        policy = RetryPolicy(first_retry_interval=timedelta(milliseconds=1), max_number_of_attempts=3)
        return await ctx.call_activity("pay", app_id="bank", retry_policy=policy)

    @bank.activity
    async def pay(ctx: Any) -> str:
        tried.append(ctx.attempt)
        if len(tried) < 3:
            raise OSError("not yet")
        return "paid"

    opening = Opening(others=(OtherApp("bank", bank),))
    async with Engine(shop, data=":memory:", settings=settings, opening=opening) as engine:
        assert await engine.client.run("order") == "paid"
    assert tried == [1, 2, 3]


async def test_a_call_that_is_under_way_when_the_engine_ends_is_performed_again(settings: Settings) -> None:
    store, shop, bank = MemoryStore(), App("shop"), App("bank")
    began, lets = list[str](), anyio.Event()

    @shop.workflow
    async def order(ctx: WorkflowContext) -> Any:
        return await ctx.call_activity("pay", app_id="bank")

    @bank.activity
    async def pay(ctx: Any) -> str:
        began.append(ctx.task_execution_id)
        if len(began) == 1:
            await lets.wait()
        return "paid"

    opening = Opening(others=(OtherApp("bank", bank),))
    stops = Settings(always_replay=settings.always_replay, stop_grace_s=0)
    with anyio.fail_after(20):
        async with Engine(shop, data=store, settings=stops, opening=opening) as engine:
            await engine.facade.start("order", instance_id="o")
            while not began:
                await anyio.sleep(0.001)
        assert Address("call@bank", f"{(await _execution_of(store))}:1") in await store.active()
        async with Engine(shop, data=store, settings=stops, opening=opening) as engine:
            assert (await engine.facade.wait("o")).output == '"paid"'
    assert len(began) == 2
    assert len(set(began)) == 1


async def _execution_of(store: MemoryStore) -> str:
    [call] = await store.ids("call@bank", after=None, limit=2)
    return call.partition(":")[0]
