"""The feed reports each instance that enters a list, changes in it, leaves it or is deleted, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from perdure import App, Engine, WorkflowContext
from perdure.actors.cluster.changes import CHANGES_MAX, Place
from perdure.actors.store.listing import ListFilter
from perdure.runtime.operations.reading.feed import Feed, FeedEvent, FeedKind, FeedReader, parse_position

pytestmark = pytest.mark.anyio

app = App("shop")


@app.workflow
async def order(ctx: WorkflowContext) -> Any:
    ctx.set_custom_status("waits")
    said = await ctx.wait_for_external_event("approval")
    ctx.set_custom_status("goes on")
    await ctx.wait_for_external_event("end")
    if said == "fail":
        raise ValueError("no")
    return said


@app.workflow
async def child(ctx: WorkflowContext) -> None:
    await ctx.call_child_workflow(order, instance_id="its-child")


@asynccontextmanager
async def shop() -> AsyncIterator[Engine]:
    with anyio.fail_after(10):
        async with Engine(app, data=":memory:") as engine:
            yield engine


async def told(reader: FeedReader, count: int) -> list[tuple[FeedKind, str, str | None]]:
    """Wait until this number of events has come, and check that no more have."""
    found: list[FeedEvent] = []
    while len(found) < count:
        found += await reader.next()
    with anyio.move_on_after(0):
        found += await reader.next()
    return [(event.kind, event.id, event.facets.status if event.facets is not None else None) for event in found]


async def test_an_instance_is_followed_from_its_start_to_its_end() -> None:
    async with shop() as engine, engine.management.feed.reading(ListFilter()) as reader:
        client, facade = engine.client, engine.facade
        await client.start(order, instance_id="a")
        await client.raise_event("a", "approval", data="fail")
        await facade.suspend("a")
        await facade.resume("a")
        await client.raise_event("a", "end")
        await facade.wait("a")
        await facade.purge("a")
        assert await told(reader, 6) == [
            (FeedKind.CHANGE, "a", "RUNNING"),
            (FeedKind.CHANGE, "a", "RUNNING"),  # its custom status has changed
            (FeedKind.CHANGE, "a", "SUSPENDED"),
            (FeedKind.CHANGE, "a", "RUNNING"),
            (FeedKind.CHANGE, "a", "FAILED"),
            (FeedKind.GONE, "a", None),
        ]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (
            ListFilter(statuses=frozenset({"RUNNING"})),
            [(FeedKind.CHANGE, "a", "RUNNING"), (FeedKind.LEAVE, "a", "SUSPENDED"), (FeedKind.CHANGE, "b", "RUNNING")],
        ),
        (
            ListFilter(not_statuses=frozenset({"RUNNING"})),
            [(FeedKind.CHANGE, "a", "SUSPENDED"), (FeedKind.CHANGE, "a", "TERMINATED"), (FeedKind.GONE, "a", None)],
        ),
        (ListFilter(id_prefix="b"), [(FeedKind.CHANGE, "b", "RUNNING")]),
        (ListFilter(names=frozenset({"other"})), []),
        (ListFilter(root=False), []),
        (ListFilter(tags={"team": "x"}), [(FeedKind.CHANGE, "b", "RUNNING")]),
        (ListFilter(created_to_us=1), []),
        (
            ListFilter(statuses=frozenset({"SUSPENDED"}), updated_from_us=1),
            [
                (FeedKind.CHANGE, "a", "SUSPENDED"),
                (FeedKind.LEAVE, "a", "TERMINATED"),
            ],
        ),
    ],
)
async def test_a_filter_is_heeded(wanted: ListFilter, expected: list[Any]) -> None:
    async with shop() as engine, engine.management.feed.reading(wanted) as reader:
        await engine.facade.start("order", instance_id="a")
        await engine.facade.suspend("a")
        await engine.facade.terminate("a")
        await engine.facade.purge("a")
        await engine.facade.start("order", instance_id="b", tags={"team": "x"})
        assert await told(reader, len(expected)) == expected


async def test_one_instance_is_followed_alone_and_children_are_instances_too() -> None:
    async with shop() as engine:
        feed = engine.management.feed
        async with feed.reading(ListFilter(), only="a") as one, feed.reading(ListFilter(root=False)) as children:
            await engine.facade.start("order", instance_id="other")
            await engine.facade.start("child", instance_id="a")
            assert await told(one, 1) == [(FeedKind.CHANGE, "a", "RUNNING")]
            assert await told(children, 1) == [(FeedKind.CHANGE, "its-child", "RUNNING")]


async def test_a_reader_goes_on_behind_any_event_that_it_has_read() -> None:
    async with shop() as engine:
        feed = engine.management.feed
        async with feed.reading(ListFilter()) as reader:
            await engine.facade.start("order", instance_id="a")
            await engine.facade.start("order", instance_id="b")
            first, second = await next_of(reader, 2)
        assert (first.id, second.id) == ("a", "b")
        await engine.facade.start("order", instance_id="c")
        async with feed.reading(ListFilter(), after=first.position) as again:
            assert [kind_and_id for *kind_and_id, _ in await told(again, 2)] == [
                [FeedKind.CHANGE, "b"],
                [FeedKind.CHANGE, "c"],
            ]


async def next_of(reader: FeedReader, count: int) -> list[FeedEvent]:
    found: list[FeedEvent] = []
    while len(found) < count:
        found += await reader.next()
    return found


@pytest.mark.parametrize(
    "after", ["", "x", "local:other:0", "local:x", "host-0:a:1,host-1:b:2", "local::99999999999999999999"]
)
async def test_a_position_that_is_not_known_is_a_reset(after: str) -> None:
    async with shop() as engine, engine.management.feed.reading(ListFilter(), after=after) as reader:
        assert await told(reader, 1) == [(FeedKind.RESET, "", None)]


async def test_a_reader_that_is_overrun_is_told_to_look_again_and_goes_on() -> None:
    async with shop() as engine, engine.management.feed.reading(ListFilter()) as reader:
        # Given a reader that has not read for longer than allowed,
        ring = next(iter(reader._changes.rings.values()))
        await engine.facade.start("order", instance_id="a")
        (change,) = ring.behind(Place(ring.place.start, 0), limit=1).changes
        for _ in range(CHANGES_MAX):
            ring.publish(change)
        # when it reads, then it is told so once, and follows from there on.
        assert await told(reader, 1) == [(FeedKind.RESET, "", None)]
        await engine.facade.start("order", instance_id="b")
        assert await told(reader, 1) == [(FeedKind.CHANGE, "b", "RUNNING")]


def test_a_position_is_read_as_it_was_written() -> None:
    assert parse_position("host-0:ab:3,host-1:cd:0") == {"host-0": Place("ab", 3), "host-1": Place("cd", 0)}


def test_a_feed_is_of_a_host() -> None:
    assert isinstance(Engine(app, data=":memory:").management.feed, Feed)
