"""A wait ends with its status, from any cause, and with no other status."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from perdure import App, Engine, WorkflowContext
from perdure.actors.errors import HostStopping
from perdure.runtime.errors import InstanceNotFound
from perdure.runtime.operations.reading.status_wait import StatusWaits
from perdure.runtime.settings import Opening

pytestmark = pytest.mark.anyio

app = App("shop")


@app.workflow
async def order(ctx: WorkflowContext) -> None:
    await ctx.wait_for_external_event("approval")


@asynccontextmanager
async def shop(opening: Opening | None = None) -> AsyncIterator[tuple[Engine, StatusWaits]]:
    with anyio.fail_after(10):
        async with Engine(app, data=":memory:", opening=opening) as engine:
            yield engine, engine.management.waits


async def test_a_wait_ends_with_the_end_of_the_instance() -> None:
    async with shop() as (engine, waits):
        await engine.client.start(order, instance_id="a")
        found: list[str] = []

        async def wait() -> None:
            found.append(await waits.until("a"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.lowlevel.checkpoint()
            await engine.facade.suspend("a")
            await engine.facade.resume("a")
            assert found == []
            await engine.client.raise_event("a", "approval")
        assert found == ["COMPLETED"]


async def test_a_status_that_is_there_is_not_waited_for() -> None:
    async with shop() as (engine, waits):
        await engine.client.start(order, instance_id="a")
        assert await waits.until("a", {"SUSPENDED", "RUNNING"}) == "RUNNING"


async def test_an_instance_that_is_not_there_or_goes_is_said_so() -> None:
    async with shop() as (engine, waits):
        with pytest.raises(InstanceNotFound):
            await waits.until("nobody")
        await engine.client.start(order, instance_id="a")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(purge_soon, engine)
            with pytest.raises(InstanceNotFound):
                await waits.until("a", {"FAILED"})


async def purge_soon(engine: Engine) -> None:
    await anyio.lowlevel.checkpoint()
    await engine.facade.terminate("a")
    await engine.facade.purge("a")


async def test_a_stop_ends_it() -> None:
    async with anyio.create_task_group() as tasks, shop() as (engine, waits):
        await engine.client.start(order, instance_id="a")
        begun = anyio.Event()

        async def wait() -> None:
            begun.set()
            with pytest.raises(HostStopping):
                await waits.until("a")

        tasks.start_soon(wait)
        await begun.wait()


async def test_an_instance_that_is_set_aside_has_a_word_of_its_own() -> None:
    async with shop(Opening(set_aside=("a",))) as (engine, waits):
        await engine.client.start(order, instance_id="a")
        assert await waits.until("a", {"RUNNING", "SET_ASIDE"}) in ("RUNNING", "SET_ASIDE")
