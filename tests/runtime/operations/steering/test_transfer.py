"""An instance that is exported, imported and exported again is the same, and does not act at its new place."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from perdure import ActivityContext, App, Engine, InstanceNotFound, Settings, Status, WorkflowContext
from perdure.actors.store.audit import AuditFilter
from perdure.actors.store.listing import ListFilter, Order
from perdure.runtime.authoring.codec import Encoder
from perdure.runtime.errors import EventRefused, IdTaken, LimitExceeded
from perdure.runtime.execution.replay import replay
from perdure.runtime.history.attribution import By
from perdure.runtime.operations.steering.exported import ImportMalformed
from perdure.runtime.operations.steering.starting import StartRequest
from perdure.runtime.operations.steering.transfer import ImportUnfinished

pytestmark = pytest.mark.anyio

ADA = By("ada", "api", "moved")


def make_app(diary: list[str]) -> App:
    app = App("shop")

    @app.activity
    async def note(ctx: ActivityContext, text: str) -> str:
        diary.append(text)
        if text == "bad":
            raise ValueError("no")
        return text.upper()

    @app.workflow
    async def order(ctx: WorkflowContext, text: str) -> list[Any]:
        ctx.set_custom_status("half")
        ctx.call_activity(note, input="loose")
        await ctx.create_timer(timedelta(milliseconds=1))
        return [await ctx.call_activity(note, input=text), await ctx.call_child_workflow(child, input="c")]

    @app.workflow
    async def child(ctx: WorkflowContext, text: str) -> str:
        return text

    @app.workflow
    async def leaves(ctx: WorkflowContext, text: str) -> str:
        ctx.call_activity(note, input="left behind")
        ctx.create_timer(timedelta(hours=1))
        return text

    @app.workflow
    async def waits(ctx: WorkflowContext, text: str) -> object:
        return await ctx.wait_for_external_event("go", timeout=3600)

    @app.workflow
    async def counts(ctx: WorkflowContext, text: str) -> str:
        if text != "aaa":
            ctx.continue_as_new(text + "a")
        return text

    return app


@pytest.fixture
def diary() -> list[str]:
    return []


@pytest.fixture
def engine(settings: Settings, diary: list[str]) -> Engine:
    return Engine(make_app(diary), data=":memory:", settings=settings)


async def exported(engine: Engine, instance_id: str) -> list[bytes]:
    return [line async for line in engine.transfer.export(instance_id)]


class streamed:  # noqa: N801  used like a function
    """Lines as a request delivers them."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = iter(lines)

    def __aiter__(self) -> "streamed":
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        for line in self._lines:
            return line
        raise StopAsyncIteration


async def shown(engine: Engine, instance_id: str) -> Any:
    """The fields of an instance in lists."""
    wanted = ListFilter(id_prefix=instance_id)
    page = await engine._host.lists.list("workflow", wanted, order=Order.ID, cursor=None, limit=1)
    return page.listed[0].facets


ENDED = {
    "completed": ("order", '"a"', Status.COMPLETED),
    "failed": ("order", '"bad"', Status.FAILED),
    "terminated": ("waits", '"a"', Status.TERMINATED),
    "left behind": ("leaves", '"a"', Status.COMPLETED),
    "continued": ("counts", '""', Status.COMPLETED),
}


async def ended(engine: Engine, name: str, instance_id: str = "i") -> None:
    workflow, input_, status = ENDED[name]
    request = StartRequest(name=workflow, instance_id=instance_id, input=input_, tags={"region": "eu"})
    await engine.steering.start(request, by=ADA)
    if status is Status.TERMINATED:
        await engine.facade.wait(instance_id, lambda found: found is Status.RUNNING)
        await engine.steering.suspend(instance_id, by=ADA)
        await engine.facade.raise_event(instance_id, "other")
        await engine.steering.terminate(instance_id, by=ADA)
    assert (await engine.facade.wait(instance_id)).status is status


@pytest.mark.parametrize("name", ENDED)
async def test_it_is_the_same_in_another_store(engine: Engine, settings: Settings, name: str) -> None:
    async with engine:
        await ended(engine, name)
        lines = await exported(engine, "i")
        state = await engine.facade.inspect("i")
        seen = await engine._host.lists.list(
            "workflow", ListFilter(id_prefix="i"), order=Order.ID, cursor=None, limit=1
        )
    diary: list[str] = []
    async with Engine(make_app(diary), data=":memory:", settings=settings) as other:
        assert await other.transfer.import_(streamed(lines), by=ADA) == "i"
        assert await exported(other, "i") == lines
        found = await other.facade.inspect("i")
        assert state is not None
        assert found is not None
        assert (found.output, found.failure, found.input) == (state.output, state.failure, state.input)
        again = await other._host.lists.list(
            "workflow", ListFilter(id_prefix="i"), order=Order.ID, cursor=None, limit=1
        )
        assert [one.facets for one in again.listed] == [one.facets for one in seen.listed][:1]
        page = await other._host.lists.audit(AuditFilter(), cursor=None, limit=10)
        assert [(row.id, row.action, row.author) for row in page.rows] == [("i", "import", "ada")]
        assert diary == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("name", ENDED)
async def test_nothing_comes_of_it_also_after_a_restart(settings: Settings, tmp_path: Any, name: str) -> None:
    diary: list[str] = []
    async with Engine(make_app([]), data=":memory:", settings=settings) as engine:
        await ended(engine, name)
        lines = await exported(engine, "i")
    for _ in range(3):
        async with Engine(make_app(diary), data=tmp_path / "p.db", settings=settings) as engine:
            if await engine.facade.inspect("i") is None:
                await engine.transfer.import_(streamed(lines), by=ADA)
            # A later turn of the instance begins nothing either.
            await engine.facade.suspend("i")
            with pytest.raises(EventRefused):
                await engine.steering.raise_event("i", "go")
            await anyio.sleep(0.01)
            assert await engine.store.active() == []
            assert await engine.store.reminders(after=None, limit=10) == []
            assert await exported(engine, "i") == lines
            assert len((await engine.facade.list_ids()).ids) == 1
    assert diary == []


async def test_it_can_be_run_again_and_purged(engine: Engine, settings: Settings) -> None:
    async with engine:
        await ended(engine, "completed")
        lines = await exported(engine, "i")
        assert await engine.transfer.import_(streamed(lines), by=ADA, new_id="copy") == "copy"
        for from_event in (None, 3):
            new_id = await engine.steering.rerun("copy", by=ADA, from_event=from_event)
            assert (await engine.facade.wait(new_id)).output == '["A","c"]'
        assert await engine.steering.purge("copy", by=ADA, recurse=False) == 1


async def test_a_history_of_native_code_can_be_replayed(engine: Engine, settings: Settings, diary: list[str]) -> None:
    async with engine:
        await ended(engine, "completed")
        lines = await exported(engine, "i")
    app = make_app([])
    async with Engine(App("none"), data=":memory:", settings=settings) as other:
        await other.transfer.import_(streamed(lines), by=ADA)
        rows = await other.facade.history("i")
        assert rows is not None
        execution, _ = replay(app.workflows["order"], Encoder(), instance_id="i", rows=rows)
        assert execution.outcome is not None
        execution.close()


async def test_a_running_instance_is_exported_and_not_imported(engine: Engine, settings: Settings) -> None:
    async with engine:
        await engine.facade.start("waits", instance_id="i", input='"a"')
        await engine.facade.wait("i", lambda status: status is Status.RUNNING)
        lines = await exported(engine, "i")
        assert len(lines) > 1
        with pytest.raises(ImportUnfinished, match="is RUNNING"):
            await engine.transfer.import_(streamed(lines), by=ADA, new_id="copy")
        with pytest.raises(InstanceNotFound):
            await exported(engine, "copy")


async def test_an_id_that_is_taken_is_refused(engine: Engine) -> None:
    async with engine:
        await ended(engine, "completed")
        lines = await exported(engine, "i")
        with pytest.raises(IdTaken, match=r"COMPLETED; nothing was written\. Choose another ID") as refused:
            await engine.transfer.import_(streamed(lines), by=ADA)
        assert "if_exists" not in str(refused.value)  # which only a start has
        with pytest.raises(LimitExceeded):
            await engine.transfer.import_(streamed(lines), by=ADA, new_id="x" * 100_000)
        with pytest.raises(ImportMalformed, match="line 3"):
            await engine.transfer.import_(streamed([*lines[:2], b"?"]), by=ADA, new_id="copy")
        assert await engine.facade.inspect("copy") is None


async def test_a_purged_id_is_free_again(engine: Engine) -> None:
    async with engine:
        await ended(engine, "completed")
        lines = await exported(engine, "i")
        await engine.steering.purge("i", by=ADA)
        await engine.transfer.import_(streamed(lines), by=ADA)
        assert await exported(engine, "i") == lines
        begun = await engine.facade.start("order", instance_id="i", input='"b"')
        assert (await engine.facade.wait(begun)).output == '["B","c"]'
