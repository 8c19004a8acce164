"""The overview lists the instances that need attention, a few of each kind with their number, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest

from perdure import App, Engine, Settings, WorkflowContext
from perdure.actors.clock import SystemClock
from perdure.actors.store.memory import MemoryStore
from perdure.runtime.operations.overview.attention import HOUR_US, ITEMS_MAX
from perdure.runtime.settings import Opening

pytestmark = pytest.mark.anyio

app = App("shop")


@app.workflow
async def order(ctx: WorkflowContext, what: str) -> None:
    if what == "fail":
        raise ValueError("no")
    if what == "timer":
        await ctx.create_timer(timedelta(hours=10))
    await ctx.wait_for_external_event("approval")


class ClockAhead(SystemClock):
    """The clocks of the machine, with a wall clock that is ahead."""

    def __init__(self, ahead_us: int) -> None:
        self.ahead_us = ahead_us

    def now_us(self) -> int:
        return super().now_us() + self.ahead_us


@asynccontextmanager
async def shop(app: App | None = app, **more: Any) -> AsyncIterator[Engine]:
    with anyio.fail_after(10):
        async with Engine(app, **{"data": ":memory:", **more}) as engine:
            yield engine


async def test_without_a_reason_nothing_needs_attention() -> None:
    async with shop() as engine:
        await engine.client.start(order, input="wait")
        found = await engine.management.attentions.find()
        assert found.waiting.total == 1
        for concern in found._replace(waiting=found.stalled):
            assert (concern.total, concern.more, list(concern.items)) == (0, False, [])


async def test_what_has_failed_within_the_hour_is_found_the_newest_first() -> None:
    async with shop() as engine:
        for number in range(ITEMS_MAX + 5):
            await engine.client.start(order, instance_id=f"f{number:02}", input="fail")
            await engine.facade.wait(f"f{number:02}")
        failed = (await engine.management.attentions.find()).failed
        assert failed.total == ITEMS_MAX + 5
        assert [item.id for item in failed.items] == [f"f{number:02}" for number in reversed(range(5, ITEMS_MAX + 5))]


async def test_what_has_waited_longest_is_found_first_and_so_is_a_timer_that_has_not_fired() -> None:
    # Given an instance with a timer, and one that waits,
    store = MemoryStore()
    async with shop(data=store) as engine:
        await engine.client.start(order, instance_id="old", input="wait")
        await engine.client.start(order, instance_id="timer", input="timer")
    # when an engine that begins nothing reads them much later,
    async with shop(data=store, clock=ClockAhead(HOUR_US * 11), opening=Opening(dormant=True)) as engine:
        found = await engine.management.attentions.find()
        # then both have waited long, and the timer is overdue.
        assert [item.id for item in found.waiting.items] == ["old", "timer"]
        assert found.waiting.total == 2
        assert (found.timers_overdue.total, [item.id for item in found.timers_overdue.items]) == (1, ["timer"])


async def test_work_without_a_worker_is_found() -> None:
    async with shop(None, settings=Settings(wait_for_workers=True)) as engine:
        await engine.facade.start("anything", instance_id="a")
        gone = (await engine.management.attentions.find()).workers_gone
        assert (gone.total, [item.id for item in gone.items]) == (1, ["a"])


async def test_stalled_and_set_aside_instances_are_found() -> None:
    store = MemoryStore()
    async with shop(data=store) as engine:
        await engine.client.start(order, instance_id="aside", input="wait")
    async with shop(data=store, opening=Opening(set_aside=("aside",))) as engine:
        found = await engine.management.attentions.find()
        assert [item.id for item in found.set_aside.items] == ["aside"]
        assert (found.set_aside.total, found.stalled.total) == (1, 0)
