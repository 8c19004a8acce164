"""Once a worker was connected, names that the app does not have wait for workers, even before one reconnects."""

import pytest

from perdure import App, Engine, Settings, Status, WorkflowContext
from perdure.actors.address import Address
from perdure.actors.store.contract import Inspection
from perdure.actors.store.memory import MemoryStore
from perdure.actors.turn import Envelope
from perdure.runtime.directory import WORKER_MARK
from perdure.runtime.workers.items import ActivityAnswer, ActivityItem, Worker
from perdure.runtime.workers.mark import ADDRESS, Remember, WorkerMark, WorkerMarkType, own_mark

pytestmark = pytest.mark.anyio


def make_app() -> App:
    app = App("mixed")

    @app.workflow
    async def native(ctx: WorkflowContext) -> str:
        result: str = await ctx.call_activity("remote")
        return result

    return app


def test_the_mark_is_written_once() -> None:
    mark = WorkerMark(is_set=False)
    assert mark.turn([Envelope(Remember())], 1).record == b"1"
    assert not mark.turn([Envelope(Remember())], 2).writes()
    assert not WorkerMark(is_set=True).turn([Envelope(Remember())], 1).writes()


def test_a_host_with_a_part_of_the_store_has_the_first_mark_that_is_in_its_part() -> None:
    assert own_mark(lambda _: True) == ADDRESS
    odd = {f"connected-{n}" for n in (3, 5, 7)}
    assert own_mark(lambda address: address.id in odd, "worker-mark@2") == Address("worker-mark@2", "connected-3")


def test_the_mark_is_no_instance_for_lists_purges_and_the_audit() -> None:
    kind = WorkerMarkType()
    assert not kind.purges(Remember())
    assert kind.purge_audit(Address(WORKER_MARK, "connected"), Remember(), 1) == ()
    assert kind.facets(Inspection(b"1", None, None, 0)) is None


async def test_before_the_first_worker_an_unregistered_workflow_fails_at_once(settings: Settings) -> None:
    async with Engine(make_app(), data=MemoryStore(), settings=settings) as engine:
        await engine.facade.start("only remote", instance_id="i")
        assert (await engine.facade.wait("i")).status is Status.FAILED


async def test_a_remote_step_under_way_in_a_crash_waits_for_its_worker_to_come_back(settings: Settings) -> None:
    store = MemoryStore()
    # Given a native workflow whose activity a worker has under way,
    worker = Worker("peer", "agent", stateful=False)
    async with (
        Engine(make_app(), data=store, settings=settings) as engine,
        engine.dispatcher.connect(worker) as items,
    ):
        await engine.facade.start("native", instance_id="i")
        assert isinstance(await anext(items), ActivityItem)
    # when the host starts again and the worker is not back yet,
    async with Engine(make_app(), data=store, settings=settings) as engine:
        await engine.facade.start("only remote", instance_id="new")
        for instance_id in ("i", "new"):
            state = await engine.facade.inspect(instance_id)
            assert state is not None
            assert not state.status.terminal
        # then both wait, and continue when it comes.
        async with engine.dispatcher.connect(worker) as items:
            given = {type(item): item for item in [await anext(items), await anext(items)]}
            item = given[ActivityItem]
            assert isinstance(item, ActivityItem)
            await engine.dispatcher.complete_activity(ActivityAnswer("i", item.task_id, item.token, '"done"', None))
            assert (await engine.facade.wait("i")).output == '"done"'
