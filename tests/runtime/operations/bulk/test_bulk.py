"""Bulk operations on an engine need a plan, act once on each instance, and continue after a restart."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from perdure import App, Engine, Settings, WorkflowContext
from perdure.actors.store.audit import AuditFilter
from perdure.actors.store.listing import ListFilter
from perdure.runtime.errors import InvalidRequest
from perdure.runtime.history.attribution import By
from perdure.runtime.history.audit import unpack_audit
from perdure.runtime.operations.bulk.actor import OperationNotFound, OperationStatus
from perdure.runtime.operations.bulk.bulk import RATE_MAX, Bulk
from perdure.runtime.operations.bulk.operation import ActionOptions, BulkAction, OperationState

pytestmark = pytest.mark.anyio

ADA = By("ada", "api")
WAITS = ListFilter(names=frozenset({"waits"}))


def make_app() -> App:
    app = App("test")

    @app.workflow
    async def waits(ctx: WorkflowContext) -> object:
        return await ctx.wait_for_external_event("go")

    @app.workflow
    def echo(ctx: WorkflowContext, value: object) -> object:
        return value

    @app.workflow
    async def parent(ctx: WorkflowContext) -> None:
        await ctx.call_child_workflow(waits, instance_id=f"{ctx.instance_id}-child")

    return app


@asynccontextmanager
async def an_engine(settings: Settings, data: str | Path = ":memory:") -> AsyncIterator[Engine]:
    async with Engine(make_app(), data=data, settings=settings) as engine:
        yield engine


async def started(engine: Engine, count: int, workflow: str = "waits", prefix: str = "i") -> list[str]:
    ids = [f"{prefix}{number:03}" for number in range(count)]
    async with anyio.create_task_group() as tasks:
        for instance_id in ids:

            async def start(instance_id: str = instance_id) -> None:
                await engine.facade.start(workflow, instance_id=instance_id, input="1")

            tasks.start_soon(start)
    return ids


async def done(bulk: Bulk, operation_id: str) -> OperationStatus:
    with anyio.fail_after(30):
        while (status := await bulk.get(operation_id)).operation.state is OperationState.RUNNING:
            await anyio.sleep(0.01)
    return status


async def run(engine: Engine, action: BulkAction, wanted: ListFilter, **options: Any) -> OperationStatus:
    plan = await engine.bulk.plan(action, wanted, rate=RATE_MAX, **options)
    status = await engine.bulk.begin(plan.write(), action=action, by=ADA)
    return await done(engine.bulk, status.id)


async def statuses(engine: Engine) -> dict[str, str]:
    page = await engine.facade.list_ids()
    states = {instance_id: await engine.facade.inspect(instance_id) for instance_id in page.ids}
    return {instance_id: state.status.name for instance_id, state in states.items() if state is not None}


async def test_a_plan_counts_and_changes_nothing(settings: Settings) -> None:
    async with an_engine(settings) as engine:
        await started(engine, 5)
        await started(engine, 2, "echo", "e")

        plan = await engine.bulk.plan(BulkAction.TERMINATE, WAITS)

        assert (plan.matches, plan.more) == (5, False)
        assert set((await statuses(engine)).values()) == {"RUNNING", "COMPLETED"}
        assert not (await engine.bulk.list()).operations


async def test_all_that_match_are_terminated_and_the_others_are_left_alone(settings: Settings) -> None:
    async with an_engine(settings) as engine:
        ids = await started(engine, 40)
        await started(engine, 2, "echo", "e")

        status = await run(engine, BulkAction.TERMINATE, WAITS, reason="the service is gone")

        assert status.operation.progress[1:4] == (40, 0, 0)
        assert status.operation.matches == 40
        assert {id_ for id_, word in (await statuses(engine)).items() if word == "TERMINATED"} == set(ids)


async def test_suspend_and_resume_reach_what_matches(settings: Settings) -> None:
    async with an_engine(settings) as engine:
        await started(engine, 3)

        await run(engine, BulkAction.SUSPEND, WAITS)
        assert set((await statuses(engine)).values()) == {"SUSPENDED"}
        await run(engine, BulkAction.RESUME, ListFilter(statuses=frozenset({"SUSPENDED"})))
        assert set((await statuses(engine)).values()) == {"RUNNING"}


async def test_purge_refuses_what_runs_unless_it_is_forced(settings: Settings) -> None:
    async with an_engine(settings) as engine:
        await started(engine, 3)

        refused = await run(engine, BulkAction.PURGE, WAITS)
        assert refused.operation.progress[1:4] == (0, 3, 0)
        assert [error.message for error in refused.errors] == ["orchestration has not yet completed"] * 3

        forced = await run(engine, BulkAction.PURGE, WAITS, options=ActionOptions(force=True))
        assert forced.operation.progress[1:4] == (3, 0, 0)
        assert await statuses(engine) == {}


async def test_children_go_along_unless_that_is_not_wanted(settings: Settings) -> None:
    parents = ListFilter(names=frozenset({"parent"}))
    async with an_engine(settings) as engine:
        await started(engine, 1, "parent", "p")
        with anyio.fail_after(10):
            while len(await statuses(engine)) < 2:
                await anyio.sleep(0.01)

        await run(engine, BulkAction.SUSPEND, parents)
        assert (await statuses(engine))["p000-child"] == "RUNNING"
        await run(engine, BulkAction.SUSPEND, parents, options=ActionOptions(recurse=True))
        assert (await statuses(engine))["p000-child"] == "SUSPENDED"
        await run(engine, BulkAction.TERMINATE, parents)
        with anyio.fail_after(10):
            while set((await statuses(engine)).values()) != {"TERMINATED"}:
                await anyio.sleep(0.01)


async def test_what_begins_after_the_plan_is_not_reached(settings: Settings) -> None:
    async with an_engine(settings) as engine:
        await started(engine, 2)
        plan = await engine.bulk.plan(BulkAction.TERMINATE, WAITS)
        await started(engine, 1, prefix="late")

        status = await engine.bulk.begin(plan.write(), action=BulkAction.TERMINATE, by=ADA)
        await done(engine.bulk, status.id)

        assert (await statuses(engine))["late000"] == "RUNNING"


async def test_what_no_longer_fits_is_passed_over(settings: Settings) -> None:
    running = ListFilter(statuses=frozenset({"RUNNING"}))
    async with an_engine(settings) as engine:
        await started(engine, 3)
        plan = await engine.bulk.plan(BulkAction.TERMINATE, running)
        await engine.facade.raise_event("i001", "go", "1")
        await engine.facade.wait("i001")

        status = await engine.bulk.begin(plan.write(), action=BulkAction.TERMINATE, by=ADA)
        status = await done(engine.bulk, status.id)

        assert status.operation.progress.done == 2
        assert (await statuses(engine))["i001"] == "COMPLETED"


async def test_the_same_plan_begins_one_operation(settings: Settings) -> None:
    async with an_engine(settings) as engine:
        await started(engine, 2)
        plan = (await engine.bulk.plan(BulkAction.TERMINATE, WAITS)).write()

        first = await engine.bulk.begin(plan, action=BulkAction.TERMINATE, by=ADA)
        second = await engine.bulk.begin(plan, action=BulkAction.TERMINATE, by=ADA)

        assert first.id == second.id
        assert len((await engine.bulk.list()).operations) == 1


async def test_each_change_names_its_author_and_its_operation(settings: Settings) -> None:
    async with an_engine(settings) as engine:
        await started(engine, 2)

        status = await run(engine, BulkAction.TERMINATE, WAITS, reason="no use")

        page = await engine._host.lists.audit(AuditFilter(), cursor=None, limit=10)
        entries = [unpack_audit(row.body) for row in page.rows]
        assert {(entry.action, entry.actor, entry.reason, entry.operation) for entry in entries} == {
            ("terminate", "ada", "no use", status.id),
            ("bulk", "ada", "no use", status.id),
        }
        assert len(entries) == 3


async def test_a_plan_is_for_its_own_action(settings: Settings) -> None:
    async with an_engine(settings) as engine:
        plan = (await engine.bulk.plan(BulkAction.SUSPEND, WAITS)).write()
        with pytest.raises(InvalidRequest, match="to suspend instances, not to purge them"):
            await engine.bulk.begin(plan, action=BulkAction.PURGE, by=ADA)


@pytest.mark.parametrize("rate", [0, -1, RATE_MAX + 1, float("nan"), float("inf")])
async def test_a_rate_has_a_range(settings: Settings, rate: float) -> None:
    async with an_engine(settings) as engine:
        with pytest.raises(InvalidRequest, match="the rate must be above 0"):
            await engine.bulk.plan(BulkAction.SUSPEND, WAITS, rate=rate)


async def test_an_operation_that_is_not_there_is_not_found(settings: Settings) -> None:
    async with an_engine(settings) as engine:
        with pytest.raises(OperationNotFound):
            await engine.bulk.get("nothing")
        with pytest.raises(OperationNotFound):
            await engine.bulk.cancel("nothing", by=ADA)


async def test_operations_are_listed_the_newest_first(settings: Settings) -> None:
    async with an_engine(settings) as engine:
        for action in (BulkAction.SUSPEND, BulkAction.RESUME, BulkAction.TERMINATE):
            await run(engine, action, WAITS)

        first = await engine.bulk.list(limit=2)
        rest = await engine.bulk.list(limit=2, cursor=first.cursor)

        actions = [status.operation.action for page in (first, rest) for status in page.operations]
        assert actions == [BulkAction.TERMINATE, BulkAction.RESUME, BulkAction.SUSPEND]


async def test_what_is_so_already_is_counted_apart_from_what_was_done(settings: Settings) -> None:
    async with an_engine(settings) as engine:
        await started(engine, 3)
        for action, done_, skipped in (
            (BulkAction.RESUME, 0, 3),
            (BulkAction.SUSPEND, 3, 0),
            (BulkAction.SUSPEND, 0, 3),
            (BulkAction.TERMINATE, 3, 0),
            (BulkAction.TERMINATE, 0, 3),
        ):
            progress = (await run(engine, action, WAITS)).operation.progress
            assert (progress.done, progress.skipped, progress.failed) == (done_, skipped, 0), action


async def test_operations_are_no_instances(settings: Settings) -> None:
    async with an_engine(settings) as engine:
        await run(engine, BulkAction.SUSPEND, WAITS)

        assert (await engine.facade.list_ids()).ids == []
        assert engine.active_actors()["workflow"] == 0


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # a real file
async def test_after_a_stop_in_the_middle_it_goes_on_where_it_was(settings: Settings, tmp_path: Path) -> None:
    data = tmp_path / "perdure.db"
    async with an_engine(settings, data) as engine:
        await started(engine, 60)
        plan = await engine.bulk.plan(BulkAction.TERMINATE, WAITS, rate=50.0)
        operation_id = (await engine.bulk.begin(plan.write(), action=BulkAction.TERMINATE, by=ADA)).id
        with anyio.fail_after(20):
            while (await engine.bulk.get(operation_id)).operation.progress.done == 0:
                await anyio.sleep(0.01)

    async with an_engine(settings, data) as engine:
        assert 0 < (await engine.bulk.get(operation_id)).operation.progress.done < 60
        status = await done(engine.bulk, operation_id)

        assert status.operation.progress.done + status.operation.progress.skipped == 60
        assert set((await statuses(engine)).values()) == {"TERMINATED"}


async def test_a_cancelled_operation_leaves_the_rest_as_it_is(settings: Settings) -> None:
    async with an_engine(settings) as engine:
        await started(engine, 60)
        plan = await engine.bulk.plan(BulkAction.TERMINATE, WAITS, rate=50.0)
        operation_id = (await engine.bulk.begin(plan.write(), action=BulkAction.TERMINATE, by=ADA)).id

        status = await engine.bulk.cancel(operation_id, by=ADA)
        await anyio.sleep(0.5)

        assert status.operation.state is OperationState.CANCELED
        assert list((await statuses(engine)).values()).count("RUNNING") >= 40
