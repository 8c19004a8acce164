"""Lists and counts of real instances: filters, pages, stuck instances, and the fields of a page beside its items."""

from typing import Any

import anyio
import pytest

from perdure import ActivityContext, App, Engine, Settings, WorkflowContext
from perdure.actors.errors import CursorInvalid
from perdure.actors.store.listing import Grouped, Order
from perdure.actors.store.memory import MemoryStore
from perdure.runtime.errors import InvalidRequest
from perdure.runtime.operations.reading.listing import InstanceFilter
from perdure.runtime.operations.reading.waiting import WaitKind
from perdure.runtime.settings import Opening
from perdure.testing.virtual_time import LoopClock, run_virtually

pytestmark = pytest.mark.anyio


def make_app() -> App:
    app = App("test")

    @app.activity
    async def forever(ctx: ActivityContext) -> None:
        await anyio.sleep_forever()

    @app.workflow
    async def works(ctx: WorkflowContext) -> None:
        await ctx.call_activity(forever)

    @app.workflow
    async def waits(ctx: WorkflowContext) -> None:
        ctx.set_custom_status("waiting")
        await ctx.wait_for_external_event("go")

    @app.workflow
    async def sleeps(ctx: WorkflowContext) -> None:
        await ctx.create_timer(3600.0 * 24 * 365)

    @app.workflow
    async def parent(ctx: WorkflowContext) -> None:
        await ctx.call_child_workflow(waits)

    @app.workflow
    async def nested(ctx: WorkflowContext) -> None:
        await ctx.call_child_workflow(sleeps)

    @app.workflow
    async def done(ctx: WorkflowContext, value: Any) -> Any:
        return value

    return app


@pytest.fixture
def engine(settings: Settings) -> Engine:
    return Engine(make_app(), data=":memory:", settings=settings)


async def ids(engine: Engine, **wanted: Any) -> list[str]:
    page = await engine.views.listing.list(InstanceFilter(**wanted), order=Order.CREATED)
    return [item.id for item in page.items]


async def populate(engine: Engine) -> None:
    for name, tags in [("waits", {"team": "a"}), ("done", {"team": "a"}), ("done", {}), ("parent", {"team": "b"})]:
        number = len(await ids(engine))
        await engine.facade.start(name, instance_id=f"{name}-{number}", tags=tags)
    await engine.facade.suspend("waits-0")
    with anyio.fail_after(5):
        while await engine.facade.inspect("parent-3:0001") is None:
            await anyio.sleep(0.005)


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["waits-0", "done-1", "done-2", "parent-3", "parent-3:0001"]),
    ({"statuses": frozenset({"COMPLETED"})}, ["done-1", "done-2"]),
    ({"statuses": frozenset({"SUSPENDED"})}, ["waits-0"]),
    ({"not_statuses": frozenset({"COMPLETED"})}, ["waits-0", "parent-3", "parent-3:0001"]),
    ({"names": frozenset({"waits"})}, ["waits-0", "parent-3:0001"]),
    ({"root": True}, ["waits-0", "done-1", "done-2", "parent-3"]),
    ({"parent": "parent-3"}, ["parent-3:0001"]),
    ({"id_prefix": "parent-3:"}, ["parent-3:0001"]),
    ({"tags": {"team": "a"}}, ["waits-0", "done-1"]),
    ({"tags": {"team": "a"}, "statuses": frozenset({"COMPLETED"})}, ["done-1"]),
]


async def test_a_list_has_the_instances_that_its_filter_fits(engine: Engine) -> None:
    async with engine:
        await populate(engine)
        for wanted, expected in FILTERS:
            assert await ids(engine, **wanted) == expected, wanted


async def test_an_item_has_what_the_record_and_the_facets_have(engine: Engine) -> None:
    async with engine:
        await populate(engine)
        page = await engine.views.listing.list(InstanceFilter(), order=Order.CREATED)
        items = {item.id: item for item in page.items}
        for id_, item in items.items():
            description = await engine.views.descriptions.describe(id_)
            assert description is not None
            assert description.item == item
    suspended, ended, child = items["waits-0"], items["done-1"], items["parent-3:0001"]
    assert (suspended.name, suspended.status, suspended.custom_status) == ("waits", "SUSPENDED", "waiting")
    assert suspended.updated_us > suspended.created_us
    assert (ended.status, ended.ended_us, ended.tags) == ("COMPLETED", ended.updated_us, (("team", "a"),))
    assert (child.parent, child.root, child.tags, child.ended_us) == ("parent-3", "parent-3", (), None)
    assert (child.generation, child.app_id) == (0, "test")


async def test_pages_follow_one_another_by_their_cursors(engine: Engine) -> None:
    async with engine:
        await populate(engine)
        found, cursor = [], None
        while True:
            page = await engine.views.listing.list(InstanceFilter(), order=Order.NEWEST, cursor=cursor, limit=2)
            found += [item.id for item in page.items]
            cursor = page.cursor
            if cursor is None:
                break
        assert found == list(reversed(await ids(engine)))
        with pytest.raises(CursorInvalid):
            await engine.views.listing.list(InstanceFilter(), cursor="?")


async def test_counts_are_grouped_as_one_asks(engine: Engine) -> None:
    async with engine:
        await populate(engine)
        count = engine.views.listing.count
        by_status = await count(InstanceFilter(), ("status",))
        assert set(by_status.groups) == {
            Grouped(("COMPLETED",), 2),
            Grouped(("RUNNING",), 2),
            Grouped(("SUSPENDED",), 1),
        }
        by_both = await count(InstanceFilter(root=True), ("name", "root"))
        assert set(by_both.groups) == {
            Grouped(("done", True), 2),
            Grouped(("parent", True), 1),
            Grouped(("waits", True), 1),
        }
        assert not by_both.more
        tagged = await count(InstanceFilter(tags={"team": "a"}))
        assert [group.total for group in tagged.groups] == [2]


async def test_a_short_page_can_say_what_its_instances_wait_for_and_have_for_children(engine: Engine) -> None:
    async with engine:
        await populate(engine)
        page = await engine.views.listing.list(InstanceFilter(), limit=50, with_waiting=True, with_children=True)
    kinds = {id_: [each.kind for each in waiting] for id_, waiting in page.waiting.items()}
    assert kinds["waits-0"] == [WaitKind.RESUME, WaitKind.EVENT]
    assert kinds["done-1"] == []
    assert kinds["parent-3"] == [WaitKind.CHILD]
    assert page.children["parent-3"] == {"RUNNING": 1}
    assert page.children["done-1"] == {}


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"limit": 0}, "a page has 1 to 500 instances, not 0"),
        ({"limit": 501}, "1 to 500 instances"),
        ({"limit": 51, "with_waiting": True}, "what its instances wait for .* 1 to 50 instances, not 51"),
        ({"limit": 51, "with_children": True}, "1 to 50 instances"),
    ],
)
async def test_a_page_of_another_size_is_refused(engine: Engine, how: dict[str, Any], says: str) -> None:
    async with engine:
        with pytest.raises(InvalidRequest, match=says):
            await engine.views.listing.list(InstanceFilter(), **how)


def test_stuck_is_what_is_stalled_or_set_aside_or_has_an_open_activity_and_no_turn_for_so_long(
    settings: Settings,
) -> None:
    hour_us = 3_600_000_000

    async def story() -> None:
        store, clock = MemoryStore(), LoopClock()
        async with Engine(make_app(), data=store, clock=clock, settings=settings) as engine:
            await engine.facade.start("waits", instance_id="aside")
            await engine.facade.start("waits", instance_id="stalled")
        lacking = make_app()
        del lacking.workflows["waits"]
        opening = Opening(set_aside=("aside",))
        async with Engine(lacking, data=store, clock=clock, settings=settings, opening=opening) as engine:
            await engine.facade.raise_event("stalled", "go")
            for name in ("works", "sleeps", "nested", "done"):
                await engine.facade.start(name, instance_id=name)
            await engine.facade.start("works", instance_id="suspended")
            await engine.facade.suspend("suspended")
            # An instance that is stalled or set aside is stuck at once,
            assert sorted(await ids(engine, stuck_for_us=hour_us)) == ["aside", "stalled"]
            await anyio.sleep(3601)
            await engine.facade.start("works", instance_id="later")
            # one with an open activity after an hour without a turn; one with a timer or a child, or a finished one, is
            # not.
            stuck = ["aside", "stalled", "suspended", "works"]
            assert sorted(await ids(engine, stuck_for_us=hour_us)) == stuck
            assert await ids(engine, stuck_for_us=hour_us, names=frozenset({"works"})) == ["works", "suspended"]
            await anyio.sleep(1)
            assert sorted(await ids(engine, stuck_for_us=1)) == sorted([*stuck, "later"])
            counted = await engine.views.listing.count(InstanceFilter(stuck_for_us=hour_us), ("status",))
            groups = {group.values[0]: group.total for group in counted.groups}
            assert groups == {"SET_ASIDE": 1, "STALLED": 1, "RUNNING": 1, "SUSPENDED": 1}
            assert not counted.more

    run_virtually(story)
