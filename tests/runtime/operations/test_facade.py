"""The facade: the requests of callers on instances, and the answers."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import anyio.lowlevel
import pytest

from perdure import App, Engine, InstanceExists, InstanceNotFound, Settings, Status, WorkflowContext
from perdure.actors.errors import HostStopping
from perdure.runtime.errors import InstanceUnfinished, InvalidRequest

pytestmark = pytest.mark.anyio


def make_app() -> App:
    app = App("test")

    @app.workflow
    async def waits(ctx: WorkflowContext) -> object:
        ctx.set_custom_status("waiting")
        return await ctx.wait_for_external_event("go")

    @app.workflow
    async def parent(ctx: WorkflowContext, child_id: str) -> object:
        return await ctx.call_child_workflow(waits, instance_id=child_id)

    @app.workflow
    def echo(ctx: WorkflowContext, value: object) -> object:
        return value

    return app


@pytest.fixture
def engine(settings: Settings) -> Engine:
    return Engine(make_app(), data=":memory:", settings=settings)


async def test_payloads_pass_through_as_text(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("echo", instance_id="i", input='{"a":  1}')
        state = await engine.facade.wait("i")
        assert state.input == '{"a":  1}'
        assert state.output == '{"a":1}'


async def test_an_id_is_made_up_if_none_is_given(engine: Engine) -> None:
    async with engine:
        first = await engine.facade.start("echo", input="1")
        second = await engine.facade.start("echo", input="1")
        assert first != second


@pytest.mark.parametrize(("name", "instance_id"), [("", "i"), ("echo", "")])
async def test_an_empty_name_or_id_is_refused(engine: Engine, name: str, instance_id: str) -> None:
    async with engine:
        with pytest.raises(InvalidRequest):
            await engine.facade.start(name, instance_id=instance_id)


async def test_an_event_needs_a_name(engine: Engine) -> None:
    async with engine:
        with pytest.raises(InvalidRequest):
            await engine.facade.raise_event("i", "")


async def test_an_instance_that_was_not_started_does_not_exist(engine: Engine) -> None:
    async with engine:
        facade = engine.facade
        assert await facade.inspect("i") is None
        for request in (facade.suspend, facade.resume, facade.terminate, facade.purge, facade.wait):
            with pytest.raises(InstanceNotFound):
                await request("i")
        with pytest.raises(InstanceNotFound):
            await facade.raise_event("i", "e")


async def test_the_state_tells_all_that_callers_may_know(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("parent", instance_id="p", input='"c"')
        await engine.facade.wait("p", lambda status: status is Status.RUNNING)
        while (child := await engine.facade.inspect("c")) is None:
            await anyio.sleep(0.001)
        assert (child.name, child.status, child.custom_status) == ("waits", Status.RUNNING, "waiting")
        assert child.parent_id == "p"
        assert child.created_us <= child.updated_us


async def test_a_start_that_wants_an_unused_id_is_refused_even_by_a_finished_instance(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("echo", instance_id="i")
        await engine.facade.wait("i")
        with pytest.raises(InstanceExists):
            await engine.facade.start("echo", instance_id="i", unique=True)


async def test_a_start_in_the_future_waits_for_it(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("echo", instance_id="i", input="1", start_at_us=10**30)
        state = await engine.facade.inspect("i")
        assert state is not None
        assert state.status is Status.PENDING


async def test_waiting_for_one_that_is_purged_ends(engine: Engine) -> None:
    async with engine, anyio.create_task_group() as tasks:
        await engine.facade.start("waits", instance_id="i")

        async def wait() -> None:
            with pytest.raises(InstanceNotFound):
                await engine.facade.wait("i")

        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert await engine.facade.purge("i", force=True) == 1


async def test_a_family_with_a_running_member_is_not_purged_and_loses_no_member(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("parent", instance_id="p", input='"c"')
        while await engine.facade.inspect("c") is None:
            await anyio.sleep(0.001)
        with pytest.raises(InstanceUnfinished):
            await engine.facade.purge("p")
        await engine.facade.terminate("p", recurse=False)
        with pytest.raises(InstanceUnfinished):
            await engine.facade.purge("p")
        assert await engine.facade.inspect("c") is not None
        assert await engine.facade.purge("p", force=True) == 2


async def test_a_stopped_engine_refuses(engine: Engine) -> None:
    async with engine:
        pass
    with pytest.raises(HostStopping):
        await engine.facade.start("echo")
    with pytest.raises(HostStopping):
        await engine.facade.inspect("i")


class Diary:
    """The reports to a watch: each operation at its end, with its outcome."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str]] = []

    def of_app(self, app_id: str) -> "Diary":
        return self

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        how = "failed"
        try:
            yield
            how = "done"
        finally:
            self.ended.append((name, how))


async def test_a_watch_is_told_of_each_operation_once_whatever_it_asks_of_others(engine: Engine) -> None:
    diary = Diary()
    async with engine:
        facade = engine.facade.watched_by(diary)
        await facade.start("parent", instance_id="p", input='"c"')
        while await engine.facade.inspect("c") is None:
            await anyio.lowlevel.checkpoint()
        await facade.inspect("p")
        await facade.terminate("p")
        await facade.wait("p")
        await engine.facade.wait("c")  # its parent's purge passes over a family with a member that runs
        await facade.purge_where()
        with pytest.raises(InvalidRequest):
            await facade.start("")
        with pytest.raises(InstanceNotFound):
            await facade.purge("p")
    assert diary.ended == [
        ("start", "done"),
        ("inspect", "done"),
        ("terminate", "done"),
        ("wait", "done"),
        ("purge_where", "done"),
        ("start", "failed"),
        ("purge", "failed"),
    ]


async def test_the_facade_that_a_watched_one_was_made_of_is_not_watched(engine: Engine) -> None:
    diary = Diary()
    async with engine:
        engine.facade.watched_by(diary)
        await engine.facade.start("echo", instance_id="i")
        await engine.facade.list_ids()
    assert diary.ended == []


async def test_an_instance_is_started_with_tags_or_not_at_all(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("waits", instance_id="i", tags={"team": "billing"})
        with pytest.raises(InvalidRequest, match="1 to 64 bytes"):
            await engine.facade.start("waits", instance_id="j", tags={"": "x"})
        assert await engine.facade.inspect("j") is None
