"""Children of different generations do not meet, and a child that could not be started is reported, awaited or not."""

import logging
from datetime import timedelta
from typing import Any

import anyio
import pytest

from perdure import App, Engine, Settings, Status, TaskFailedError, WorkflowContext
from perdure.runtime.execution.drive import ContinuedAsNew
from perdure.runtime.history.event import ChildCreated, ChildFailed, ExecutionCompleted
from perdure.runtime.instance.message import RemoteAnswer, Start, WorkflowAnswer

from ...support.workflows.lone_actor import LoneActor

SOON = timedelta(seconds=5)


def make_app(*, awaited: bool, child_id: str | None = None) -> App:
    """A workflow whose children outlive its generations."""
    app = App("test")

    @app.workflow
    async def parent(ctx: WorkflowContext, generation: int) -> Any:
        child = ctx.call_child_workflow(kid, instance_id=child_id)
        if generation < 2:
            # The child runs on: only the generation ends.
            await ctx.create_timer(timedelta(milliseconds=1))
            ctx.continue_as_new(generation + 1)
            return None
        if awaited:
            return await child
        await ctx.wait_for_external_event("end")
        return "not awaited"

    @app.workflow
    async def kid(ctx: WorkflowContext) -> str:
        await ctx.wait_for_external_event("go")
        return ctx.instance_id

    return app


async def events_of(engine: Engine, instance_id: str) -> list[Any]:
    return [event for row in await engine.facade.history(instance_id) or () for event in (*(row.turn or ()), *row.held)]


async def ids_of_kids(engine: Engine, count: int) -> list[str]:
    with anyio.fail_after(5):
        while True:
            ids = [each for each in (await engine.facade.list_ids(after=None)).ids if each != "p"]
            if len(ids) >= count:
                return ids
            await anyio.sleep(0.005)


@pytest.mark.anyio
async def test_a_child_of_the_next_generation_is_started_while_the_last_ones_runs(settings: Settings) -> None:
    async with Engine(make_app(awaited=True), data=":memory:", settings=settings) as engine:
        await engine.client.start("parent", input=0, instance_id="p")
        ids = await ids_of_kids(engine, 3)
        assert len(ids) == 3
        for each in ids:
            await engine.client.raise_event(each, "go")
        state = await engine.client.wait("p", timeout=SOON)
        # The last generation waits for its own children.
        assert state.output in ids
        assert state.output != "p:0001"
        assert "p:0001" in ids


@pytest.mark.anyio
@pytest.mark.parametrize("awaited", [True, False])
async def test_a_child_that_could_not_be_started_is_an_event_and_a_line_in_the_log(
    settings: Settings, awaited: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = App("test")

    @app.workflow
    async def parent(ctx: WorkflowContext) -> Any:
        child = ctx.call_child_workflow("kid", instance_id="taken")
        if awaited:
            try:
                await child
            except TaskFailedError as error:
                return error.details.message
        return await ctx.wait_for_external_event("end")

    @app.workflow
    async def kid(ctx: WorkflowContext) -> None:
        await ctx.wait_for_external_event("go")

    async with Engine(app, data=":memory:", settings=settings) as engine:
        await engine.client.start("kid", instance_id="taken")
        await engine.client.start("parent", instance_id="p")
        with anyio.fail_after(5):
            while not any(isinstance(each, ChildFailed) for each in await events_of(engine, "p")):
                await anyio.sleep(0.005)
        if not awaited:
            await engine.client.raise_event("p", "end", "over")
        state = await engine.client.wait("p", timeout=SOON)
        assert state.status is Status.COMPLETED
    (line,) = [each.getMessage() for each in caplog.records if "was not started" in each.getMessage()]
    assert line.startswith("child 'taken' (workflow 'kid') of 'p' was not started: ")
    assert "already exists" in line


@pytest.mark.anyio
async def test_a_child_that_was_refused_after_its_parent_ended_is_a_line_in_the_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    app = App("test")

    @app.workflow
    async def parent(ctx: WorkflowContext) -> None:
        ctx.call_child_workflow("kid", instance_id="taken")

    @app.workflow
    async def kid(ctx: WorkflowContext) -> None:
        await ctx.wait_for_external_event("go")

    async with Engine(app, data=":memory:", settings=settings) as engine:
        await engine.client.start("kid", instance_id="taken")
        await engine.client.run("parent", instance_id="p")
        with anyio.fail_after(5):
            while "was not started" not in caplog.text:
                await anyio.sleep(0.005)
    assert "child 'taken' (workflow 'kid') of 'p' was not started" in caplog.text


def test_a_child_of_an_unnamed_id_that_is_refused_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(awaited=False)
    kid = LoneActor(app, "p:0001")
    kid.start("kid")
    actor = LoneActor(app, "p")
    actor.start("parent", "2")
    ((_, start),) = actor.sent(Start)
    with caplog.at_level(logging.WARNING):
        kid.tell(start)
    assert "child 'p:0001' (workflow 'kid') of 'p' was not started" in caplog.text


# Workers of SDKs, which know the ids of the first generation only.


def remote_in_generation(generation: int) -> LoneActor:
    actor = LoneActor(None, "p")
    actor.start("w")
    for _ in range(generation):
        answer(actor, continued=ContinuedAsNew(None, []))
    return actor


def answer(actor: LoneActor, **outcome: Any) -> None:
    offer = actor.actor.offered
    assert offer is not None
    work = offer.settle()
    assert work is not None
    actor.tell(RemoteAnswer(work, WorkflowAnswer("p", "", outcome.pop("commands", []), **outcome)))


@pytest.mark.parametrize(
    ("asked", "instance_id", "retry_of"),
    [
        (ChildCreated(1, "p:0001", "kid", None), "p:{}:0001", None),
        (ChildCreated(7, "p:0007", "kid", None, retry_of="p:0001"), "p:{}:0007", "p:{}:0001"),
        (ChildCreated(7, "p:0001", "kid", None, named=True, retry_of="p:0001"), "p:{}:0001", "p:{}:0001"),
        (ChildCreated(1, "order-1", "kid", None, named=True), "order-1", None),
        (ChildCreated(1, "p:0002", "kid", None, named=True), "p:0002", None),
        (ChildCreated(1, "q:0001", "kid", None, named=True), "q:0001", None),
    ],
)
def test_a_child_that_a_workers_code_did_not_name_gets_the_id_of_its_generation(
    asked: ChildCreated, instance_id: str, retry_of: str | None
) -> None:
    first = remote_in_generation(0)
    answer(first, commands=[asked])
    assert [each for each in first.history if isinstance(each, ChildCreated)] == [asked]
    later = remote_in_generation(2)
    execution = later.execution_id[:8]
    answer(later, commands=[asked])
    (child,) = [each for each in later.history if isinstance(each, ChildCreated)]
    assert child.instance_id == instance_id.format(execution)
    assert child.retry_of == (retry_of.format(execution) if retry_of is not None else None)
    answer_to_it = ExecutionCompleted(9, Status.COMPLETED.value, None)
    later.raise_event("e")
    answer(later, commands=[answer_to_it])
    assert later.status is Status.COMPLETED
