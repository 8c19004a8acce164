"""A client in the same process has more than Dapr's doors: starts and events once, tags, reasons, descendants."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from perdure import App, Client, Engine, InstanceExists, Settings, Status, WorkflowContext
from perdure.actors.store.audit import AuditFilter
from perdure.runtime.errors import EventRefused, IdTaken, InvalidRequest, KeyReused, RequestRefused
from perdure.runtime.history.audit import unpack_audit

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[Engine]:
    app = App("shop")

    @app.workflow
    async def waits(ctx: WorkflowContext) -> Any:
        return await ctx.wait_for_external_event("go")

    @app.workflow
    async def parent(ctx: WorkflowContext) -> Any:
        return await ctx.call_child_workflow(waits, instance_id="child")

    async with Engine(app, data=":memory:", settings=settings) as engine:
        yield engine


@pytest.fixture
def client(engine: Engine) -> Client:
    return engine.client


async def test_a_start_is_done_once_for_each_key(client: Client) -> None:
    first = await client.start("waits", idempotency_key="k")
    assert await client.start("waits", idempotency_key="k") == first
    with pytest.raises(KeyReused):
        await client.start("waits", input=1, idempotency_key="k")


async def test_an_id_that_has_a_holder_is_used_as_was_said(client: Client) -> None:
    await client.start("waits", instance_id="i")
    with pytest.raises(InstanceExists):
        await client.start("waits", instance_id="i")
    assert await client.start("waits", instance_id="i", if_exists="return") == "i"
    with pytest.raises(RequestRefused):
        await client.start("waits", instance_id="i", if_exists="restart")
    await client.start("waits", instance_id="i", force=True)
    assert await client.start("waits", force=True) != "i"
    with pytest.raises(InvalidRequest, match="force=true goes with"):
        await client.start("waits", instance_id="i", if_exists="return", force=True)
    await client.terminate("i")
    with pytest.raises(IdTaken):
        await client.start("waits", instance_id="i", if_exists="reject")
    assert await client.start("waits", instance_id="i", tags={"a": "b"}) == "i"


async def test_an_event_is_taken_once_for_each_key(client: Client) -> None:
    handle = await client.start("waits", instance_id="i")
    for data in (1, 2):
        await handle.raise_event("go", data, idempotency_key="k")
    assert await handle.result() == 1
    await handle.raise_event("go", 3, idempotency_key="k")
    await handle.raise_event("go", 3)  # a finished one drops it
    with pytest.raises(EventRefused):
        await handle.raise_event("go", 4, idempotency_key="another")


async def test_descendants_are_suspended_and_resumed_too(client: Client) -> None:
    handle = await client.start("parent", instance_id="p")
    while await client.get("child") is None:
        pass
    await handle.suspend(recurse=True)
    await client.wait("child", until=lambda status: status is Status.SUSPENDED)
    await handle.resume(recurse=True)
    await client.wait("child", until=lambda status: status is Status.RUNNING)


async def test_a_change_is_in_the_audit_with_its_reason(engine: Engine) -> None:
    handle = await engine.client.start("waits", instance_id="i")
    await handle.suspend(reason="one")
    await handle.resume(reason="two")
    await handle.terminate(reason="three")
    await handle.purge(reason="four")
    page = await engine.store.audit(AuditFilter(), cursor=None, limit=10)
    entries = [unpack_audit(row.body) for row in page.rows]
    assert [entry.reason for entry in entries] == ["four", "three", "two", "one"]
    assert {(entry.actor, entry.door) for entry in entries} == {("embedded", "embedded")}
