"""Engines that are hosts of one daemon behave as one engine to their users."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest

from perdure import ActivityContext, App, Settings, WorkflowContext
from perdure.actors.cluster.membership import FixedMembership
from perdure.actors.errors import HostUnreachable
from perdure.actors.store.audit import AuditFilter
from perdure.actors.store.listing import Order
from perdure.actors.store.part import Part
from perdure.runtime.engine import Engine
from perdure.runtime.errors import (
    EventRefused,
    IdTaken,
    InstanceExists,
    InstanceNotFound,
    InstanceUnfinished,
    KeyReused,
    RepairRefused,
    RunChanged,
)
from perdure.runtime.history.attribution import By
from perdure.runtime.history.status import Status
from perdure.runtime.instance.condition import of_run
from perdure.runtime.instance.message import Repair, RepairAction
from perdure.runtime.operations.reading.listing import InstanceFilter
from perdure.runtime.operations.reading.waiting import WaitKind, WorkPlace
from perdure.runtime.operations.rerun import Rerun
from perdure.runtime.operations.steering.starting import StartRequest

from ..support.actors.several_hosts import socket_directory

pytestmark = pytest.mark.anyio

app = App("several")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@app.activity
async def double(ctx: ActivityContext, n: int) -> int:
    return 2 * n


@app.workflow
async def leaf(ctx: WorkflowContext, n: int) -> int:
    return await ctx.call_activity(double, input=n)


@app.workflow
async def tree(ctx: WorkflowContext, width: int) -> int:
    return sum(await ctx.when_all([ctx.call_child_workflow(leaf, input=n) for n in range(width)]))


@app.workflow
async def named(ctx: WorkflowContext, children: list[str]) -> list[int]:
    return await ctx.when_all(
        [ctx.call_child_workflow(leaf, input=n, instance_id=name) for n, name in enumerate(children)]
    )


@app.workflow
async def patient(ctx: WorkflowContext, _: Any) -> Any:
    return await ctx.wait_for_external_event("go")


@app.activity
async def slow(ctx: ActivityContext) -> None:
    await anyio.sleep_forever()


@app.workflow
async def laborious(ctx: WorkflowContext) -> None:
    await ctx.call_activity(slow)


@app.workflow
async def family(ctx: WorkflowContext, size: int) -> None:
    await ctx.when_all([ctx.call_child_workflow(patient) for _ in range(size)])


ADA = By("ada", "api", "why")
tried: list[str] = []


@app.activity
async def hangs_once(ctx: ActivityContext, id_: str) -> int:
    tried.append(id_)
    if tried.count(id_) == 1:
        await anyio.sleep_forever()
    return tried.count(id_)


@app.workflow
async def hanging(ctx: WorkflowContext, id_: str) -> int:
    return await ctx.call_activity(hangs_once, input=id_)


async def _lines(lines: list[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line


@asynccontextmanager
async def engines(settings: Settings, of: int = 3) -> AsyncIterator[list[Engine]]:
    with socket_directory() as directory, anyio.fail_after(20):
        found = [
            Engine(
                app,
                data=":memory:",
                settings=settings,
                membership=FixedMembership(part=Part(i, of), directory=directory),
            )
            for i in range(of)
        ]
        stop = anyio.Event()

        async def run(engine: Engine, *, task_status: anyio.abc.TaskStatus[None]) -> None:
            async with engine:
                task_status.started()
                await stop.wait()

        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as starts:
                for engine in found:
                    starts.start_soon(tasks.start, run, engine)
            yield found
            stop.set()


async def own_ids(engine: Engine) -> list[str]:
    return [*await engine.store.ids("workflow", after=None, limit=1000)]


async def test_children_run_wherever_their_ids_belong(settings: Settings) -> None:
    async with engines(settings) as hosts:
        for host in hosts:
            assert await host.client.run(tree, input=20) == 2 * sum(range(20))
        assert min([len(await own_ids(host)) for host in hosts]) > 3
        pages = [await host.facade.list_ids() for host in hosts]
        assert len(pages[0].ids) == 63
        assert pages[0] == pages[1] == pages[2]


async def test_what_one_host_is_asked_to_start_is_spread_over_all(settings: Settings) -> None:
    # A client with a single connection talks to one host only.
    async with engines(settings) as hosts:
        for _ in range(40):
            await hosts[1].client.run(leaf, input=1)
        assert min([len(await own_ids(host)) for host in hosts]) > 3


async def test_every_call_works_at_every_host(settings: Settings) -> None:
    async with engines(settings) as hosts:
        for number in range(9):
            first, second, third = (hosts[(number + i) % 3] for i in range(3))
            id_ = f"order-{number}"
            await first.client.start(patient, instance_id=id_)
            with pytest.raises(InstanceExists):
                await second.client.start(patient, instance_id=id_)
            await second.client.suspend(id_)
            assert (await third.client.wait(id_, until=lambda s: s is Status.SUSPENDED)).status is Status.SUSPENDED
            await third.client.raise_event(id_, "go", {"n": number})
            with pytest.raises(InstanceUnfinished):
                await third.client.purge(id_)
            await first.client.resume(id_)
            for host in hosts:
                assert (await host.client.wait(id_)).output == {"n": number}
                assert len(await host.facade.history(id_) or ()) > 0
            assert await second.client.purge(id_) == 1
            assert await first.client.get(id_) is None
            with pytest.raises(InstanceNotFound):
                await third.client.raise_event(id_, "go")


async def test_an_instance_is_run_again_wherever_the_copy_belongs(settings: Settings) -> None:
    async with engines(settings) as hosts:
        source = await hosts[0].client.start(leaf, input=4)
        await hosts[1].client.wait(source)
        for number in range(6):
            copy = await hosts[1].facade.rerun(Rerun(source_id=source, event_id=1, new_id=f"again-{number}"))
            assert (await hosts[2].client.wait(copy)).output == 8


async def test_who_waits_at_another_host_is_woken_by_the_end(settings: Settings) -> None:
    async with engines(settings) as hosts, anyio.create_task_group() as tasks:
        ends: list[Any] = []

        async def wait(host: Engine, id_: str) -> None:
            ends.append((await host.client.wait(id_, timeout=timedelta(seconds=10))).output)

        for number in range(6):
            id_ = f"order-{number}"
            await hosts[0].client.start(patient, instance_id=id_)
            for host in hosts:
                tasks.start_soon(wait, host, id_)
        await anyio.wait_all_tasks_blocked()
        for number in range(6):
            await hosts[1].client.raise_event(f"order-{number}", "go", number)
        while len(ends) < 18:
            await anyio.sleep(0.001)
        assert sorted(ends) == sorted(list(range(6)) * 3)


async def test_a_child_with_a_chosen_id_is_started_where_the_id_belongs(settings: Settings) -> None:
    async with engines(settings) as hosts:
        assert await hosts[0].client.run(named, input=[f"chosen-{n}" for n in range(9)]) == [2 * n for n in range(9)]
        assert sorted([id_ for host in hosts for id_ in await own_ids(host) if id_.startswith("chosen")]) == [
            f"chosen-{n}" for n in range(9)
        ]


async def test_a_family_ends_and_goes_as_one_wherever_its_members_are(settings: Settings) -> None:
    async with engines(settings) as hosts:
        root = await hosts[0].client.start(family, input=12)
        while len((await hosts[1].facade.list_ids()).ids) < 13:
            await anyio.sleep(0.001)
        await hosts[1].client.terminate(root)
        for id_ in (await hosts[2].facade.list_ids()).ids:
            assert (await hosts[2].client.wait(id_)).status is Status.TERMINATED
        assert await hosts[2].client.purge(root) == 13
        assert [await own_ids(host) for host in hosts] == [[], [], []]


async def test_pages_of_ids_go_through_all_hosts_without_gaps_or_repeats(settings: Settings) -> None:
    async with engines(settings) as hosts:
        for number in range(25):
            await hosts[number % 3].client.start(leaf, input=number, instance_id=f"n-{number:03d}")
        seen: list[str] = []
        after: str | None = None
        while True:
            page = await hosts[2].facade.list_ids(after=after, ids_max=7)
            seen += page.ids
            if page.token is None:
                break
            after = page.token
        assert seen == [f"n-{number:03d}" for number in range(25)]
        await hosts[0].client.wait("n-024")
        for id_ in seen:
            await hosts[0].client.wait(id_)
        assert await hosts[1].facade.purge_where(statuses=[Status.COMPLETED]) == 25


async def test_while_a_host_is_away_the_others_serve_what_is_theirs(settings: Settings) -> None:
    with socket_directory() as directory, anyio.fail_after(20):
        membership = FixedMembership(part=Part(0, 2), directory=directory)
        engine = Engine(app, data=":memory:", settings=settings, membership=membership)
        assert engine.peers is not None
        engine.peers.CONNECT_S = 0.01
        async with engine:
            assert not engine.peers.connected
            for number in range(10):
                assert await engine.client.run(leaf, input=number) == 2 * number
            outcomes: list[object] = []
            for number in range(20):
                try:
                    outcomes.append(await engine.client.get(f"x-{number}"))
                except HostUnreachable:
                    outcomes.append("away")
            assert None in outcomes
            assert "away" in outcomes


async def test_every_host_lists_describes_and_counts_the_instances_of_all(settings: Settings) -> None:
    async with engines(settings) as hosts:
        ids = [f"busy-{number}" for number in range(6)]
        for id_ in ids:
            await hosts[0].facade.start("laborious", instance_id=id_)
        await hosts[0].facade.start("family", instance_id="family", input="5")
        for host in hosts:
            views = host.views
            for id_ in ids:
                # An activity runs at the host of its instance, and all hosts show it.
                found = await views.descriptions.describe(id_)
                assert found is not None
                [waiting] = found.waiting_for
                while waiting.state is not WorkPlace.RUNNING:
                    await anyio.sleep(0.005)
                    [waiting] = await views.descriptions.waiting_for(id_)
                assert (waiting.kind, waiting.name) == (WaitKind.ACTIVITY, "slow")
            page = await views.listing.list(InstanceFilter(root=True), order=Order.CREATED, limit=500)
            assert [item.id for item in page.items] == [*ids, "family"]
            while len((tree := await views.trees.tree("family")).children) < 5:
                await anyio.sleep(0.005)
            assert sorted(child.id for child in tree.children) == [f"family:{number:04x}" for number in range(1, 6)]
            described = await views.descriptions.describe("family")
            assert described is not None
            assert described.children == {"RUNNING": 5}
            assert len((await views.histories.page("family")).events) > 5


async def test_an_instance_is_steered_from_every_host_alike(settings: Settings) -> None:
    async with engines(settings) as hosts:
        for number in range(6):
            first, second, third = (hosts[(number + i) % 3].steering for i in range(3))
            id_ = f"steered-{number}"
            begun = await first.start(StartRequest(name="patient", instance_id=id_, key=f"k{number}"), by=ADA)
            again = await second.start(StartRequest(name="patient", instance_id=id_, key=f"k{number}"), by=ADA)
            assert (begun.created, again.created) == (True, False)
            with pytest.raises(KeyReused):
                await third.start(StartRequest(name="patient", instance_id=id_, input="7", key=f"k{number}"), by=ADA)
            with pytest.raises(RunChanged) as changed:
                await second.suspend(id_, by=ADA, condition=of_run("another"))
            await third.suspend(id_, by=ADA, condition=of_run(changed.value.found))
            await second.resume(id_, by=ADA)
            with pytest.raises(RepairRefused) as refused:
                await third.repair(id_, Repair(RepairAction.FIRE, 7, by=ADA))
            assert refused.value.status is Status.RUNNING
            for steering in (second, third):
                await steering.raise_event(id_, "go", '"once"', key="event")
            assert (await hosts[0].facade.wait(id_)).output == '"once"'
            with pytest.raises(EventRefused):
                await third.raise_event(id_, "go", key="another")
            new_id = await third.rerun(id_, by=ADA, new_id=f"again-{number}")
            with pytest.raises(IdTaken):
                await first.rerun(id_, by=ADA, new_id=new_id)
            await second.terminate(new_id, by=ADA)
            lines = [line async for line in hosts[number % 3].transfer.export(new_id)]
            assert await first.purge(new_id, by=ADA) == 1
            assert await hosts[(number + 1) % 3].transfer.import_(_lines(lines), by=ADA) == new_id
            assert [line async for line in hosts[(number + 2) % 3].transfer.export(new_id)] == lines
        for host in hosts:
            page = await host._host.lists.audit(AuditFilter(id="steered-0"), cursor=None, limit=10)
            assert [(row.action, row.author) for row in page.rows] == [("resume", "ada"), ("suspend", "ada")]


async def test_an_activity_that_hangs_is_given_out_again_from_another_host(settings: Settings) -> None:
    tried.clear()
    async with engines(settings) as hosts:
        for number in range(3):
            await hosts[0].facade.start("hanging", instance_id=f"h{number}", input=f'"h{number}"')
        for number in range(3):
            id_ = f"h{number}"
            while tried.count(id_) < 1:
                await anyio.sleep(0.001)
            await hosts[(number + 1) % 3].steering.repair(id_, Repair(RepairAction.RETRY, 1, by=ADA))
            assert (await hosts[2].facade.wait(id_)).output == "2"
