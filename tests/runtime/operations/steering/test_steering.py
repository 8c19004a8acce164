"""Steering: families are suspended, resumed, terminated and purged as a whole, and stuck instances can be removed."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import anyio
import pytest

from perdure import (
    ActivityContext,
    App,
    Engine,
    InstanceNotFound,
    RetryPolicy,
    Settings,
    Status,
    WorkflowContext,
)
from perdure.actors.store.audit import AuditFilter
from perdure.runtime.errors import InstanceUnfinished, LimitExceeded, RepairRefused, RunChanged
from perdure.runtime.history.attribution import By
from perdure.runtime.history.audit import unpack_audit
from perdure.runtime.instance.condition import of_run
from perdure.runtime.instance.message import Repair, RepairAction

pytestmark = pytest.mark.anyio

ADA = By("ada", "api", "a bad release")


def make_app(*, other: bool = False) -> App:
    app = App("test")

    @app.activity
    async def note(ctx: Any) -> None: ...

    @app.workflow
    async def leaf(ctx: WorkflowContext) -> object:
        if other:
            await ctx.call_activity(note)
        return await ctx.wait_for_external_event("go", timeout=3600)

    @app.workflow
    async def middle(ctx: WorkflowContext, name: str) -> object:
        return await ctx.call_child_workflow(leaf, instance_id=f"{name}-leaf")

    @app.workflow
    async def top(ctx: WorkflowContext) -> object:
        return await ctx.when_all(
            [ctx.call_child_workflow(middle, instance_id=f"m{n}", input=f"m{n}") for n in range(2)]
        )

    return app


FAMILY = ("t", "m0", "m1", "m0-leaf", "m1-leaf")


@pytest.fixture
def engine(settings: Settings) -> Engine:
    return Engine(make_app(), data=":memory:", settings=settings)


async def status(engine: Engine, instance_id: str) -> Status | None:
    state = await engine.facade.inspect(instance_id)
    return state.status if state is not None else None


async def until(engine: Engine, expected: Status | None, ids: tuple[str, ...] = FAMILY) -> None:
    with anyio.fail_after(5):
        while any([await status(engine, each) is not expected for each in ids]):
            await anyio.sleep(0.001)


async def family(engine: Engine) -> None:
    await engine.facade.start("top", instance_id="t")
    await until(engine, Status.RUNNING)


async def test_a_whole_family_is_suspended_and_resumed(engine: Engine) -> None:
    async with engine:
        await family(engine)
        await engine.steering.suspend("t", by=ADA, recurse=True)
        assert [await status(engine, each) for each in FAMILY] == [Status.SUSPENDED] * 5
        await engine.steering.resume("t", by=ADA, recurse=True)
        assert [await status(engine, each) for each in FAMILY] == [Status.RUNNING] * 5


async def test_without_recursion_only_the_instance_is_suspended(engine: Engine) -> None:
    async with engine:
        await family(engine)
        await engine.steering.suspend("m0", by=ADA)
        assert [await status(engine, each) for each in ("m0", "m0-leaf")] == [Status.SUSPENDED, Status.RUNNING]
        await engine.steering.resume("m0", by=ADA)
        assert await status(engine, "m0") is Status.RUNNING


async def test_the_reason_is_in_the_history(engine: Engine) -> None:
    async with engine:
        await engine.facade.start("leaf", instance_id="t")
        await engine.steering.suspend("t", by=ADA)
        rows = await engine.facade.history("t")
        assert rows is not None
        assert [getattr(event, "reason", None) for event in rows[-1].held] == ["a bad release"]


async def test_children_that_have_ended_and_ids_of_others_are_passed_over(engine: Engine) -> None:
    async with engine:
        await family(engine)
        await engine.steering.terminate("m0", by=ADA)
        await until(engine, Status.TERMINATED, ("m0", "m0-leaf"))
        await engine.steering.purge("m0-leaf", by=ADA)
        await engine.facade.start("leaf", instance_id="m0-leaf")  # another instance takes the id
        await engine.steering.suspend("m0", by=ADA, recurse=True)
        assert await status(engine, "m0") is Status.TERMINATED
        assert await status(engine, "m0-leaf") in (Status.PENDING, Status.RUNNING)


async def test_a_family_is_terminated_and_purged(engine: Engine) -> None:
    async with engine:
        await family(engine)
        with pytest.raises(InstanceUnfinished):
            await engine.steering.purge("t", by=ADA)
        await engine.steering.terminate("t", by=ADA)
        await until(engine, Status.TERMINATED)
        assert await engine.steering.purge("t", by=ADA) == 5
        await until(engine, None)


async def test_a_request_for_another_run_reaches_no_child_either(engine: Engine) -> None:
    async with engine:
        await family(engine)
        other = of_run("another")
        steering = engine.steering
        for request in (
            steering.suspend("t", by=ADA, recurse=True, condition=other),
            steering.resume("t", by=ADA, recurse=True, condition=other),
            steering.terminate("t", by=ADA, condition=other),
            steering.purge("t", by=ADA, force=True, condition=other),
            steering.release("t", by=ADA, condition=other),
        ):
            with pytest.raises(RunChanged):
                await request
        assert [await status(engine, each) for each in FAMILY] == [Status.RUNNING] * 5


async def test_what_is_not_there_is_said_to_be_missing(engine: Engine) -> None:
    async with engine:
        steering = engine.steering
        for request in (
            steering.suspend("t", by=ADA),
            steering.resume("t", by=ADA),
            steering.terminate("t", by=ADA),
            steering.purge("t", by=ADA),
            steering.release("t", by=ADA),
        ):
            with pytest.raises(InstanceNotFound):
                await request


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("way", ["terminate", "purge"])
async def test_a_stalled_family_can_be_got_rid_of(settings: Settings, tmp_path: Any, way: str) -> None:
    # Given a family whose code does not fit any more,
    data = tmp_path / "perdure.db"
    async with Engine(make_app(), data=data, settings=settings) as engine:
        await family(engine)
    async with Engine(make_app(other=True), data=data, settings=settings) as engine:
        for leaf in ("m0-leaf", "m1-leaf"):
            await engine.facade.raise_event(leaf, "go")
            await engine.facade.wait(leaf, lambda found: found is Status.STALLED)
        # when its root is terminated, or a part of it purged,
        if way == "terminate":
            await engine.steering.terminate("t", by=ADA)
            # then the stalled ones end too.
            await until(engine, Status.TERMINATED)
        else:
            assert await engine.steering.purge("m0-leaf", by=ADA) == 1
            assert await engine.steering.purge("m1", by=ADA, force=True) == 2
            await until(engine, None, ("m0-leaf", "m1", "m1-leaf"))


# Repairs.


class Bank:
    """An app whose activity hangs until the test releases it, or fails."""

    def __init__(self) -> None:
        self.app = App("bank")
        self.calls: list[str] = []
        self.gate = anyio.Event()

        @self.app.activity
        async def charge(ctx: ActivityContext) -> int:
            self.calls.append(ctx.task_execution_id)
            if len(self.calls) == 1:
                await self.gate.wait()
            return len(self.calls)

        @self.app.activity
        async def refuse(ctx: ActivityContext) -> None:
            raise ValueError("no")

        @self.app.workflow
        async def order(ctx: WorkflowContext) -> object:
            await ctx.create_timer(3600)
            return await ctx.call_activity(charge)

        @self.app.workflow
        async def lost(ctx: WorkflowContext) -> object:
            await ctx.create_timer(0)
            return await ctx.call_activity(refuse)

        @self.app.workflow
        async def patient(ctx: WorkflowContext) -> object:
            policy = RetryPolicy(first_retry_interval=timedelta(hours=1), max_number_of_attempts=3)
            return await ctx.call_activity(refuse, retry_policy=policy)


async def began(bank: Bank, calls: int) -> None:
    with anyio.fail_after(5):
        while len(bank.calls) < calls:
            await anyio.sleep(0.001)


def repair(action: str, event_id: int, **more: Any) -> Repair:
    return Repair(RepairAction(action), event_id, by=ADA, **more)


async def test_a_stuck_instance_is_brought_to_its_end_by_hand(settings: Settings) -> None:
    bank = Bank()
    async with Engine(bank.app, data=":memory:", settings=settings) as engine:
        await engine.facade.start("order", instance_id="i")
        await engine.facade.wait("i", lambda status: status is Status.RUNNING)
        await engine.steering.repair("i", repair("fire", 1))
        await began(bank, 1)
        await engine.steering.repair("i", repair("retry", 2))
        state = await engine.facade.wait("i")
        assert state.output == "2"
        assert len(set(bank.calls)) == 1, "both tries have the same key"
        bank.gate.set()


async def test_a_failed_instance_is_said_to_be_rerun_from_where_it_failed(settings: Settings) -> None:
    async with Engine(Bank().app, data=":memory:", settings=settings) as engine:
        await engine.facade.start("lost", instance_id="i")
        await engine.facade.wait("i")
        for event_id in (1, 2, 7):
            with pytest.raises(RepairRefused) as refused:
                await engine.steering.repair("i", repair("retry", event_id))
            assert str(refused.value) == (
                f"event {event_id} of instance 'i' was not repaired: the instance has failed at event 2: "
                "use rerun from that event"
            )


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_was_repaired_is_so_after_a_restart(settings: Settings, tmp_path: Any) -> None:
    bank = Bank()
    data = tmp_path / "perdure.db"
    async with Engine(bank.app, data=data, settings=settings) as engine:
        await engine.facade.start("order", instance_id="i")
        await engine.facade.start("patient", instance_id="j")
        with anyio.fail_after(5):
            while len(await engine.facade.history("j") or ()) < 2:
                await anyio.sleep(0.001)
        await engine.facade.suspend("i")
        await engine.steering.repair("i", repair("fire", 1))
        await engine.steering.repair("j", repair("retry", 2))
    async with Engine(bank.app, data=data, settings=settings) as engine:
        await engine.facade.resume("i")
        await began(bank, 1)
        await engine.steering.repair("i", repair("complete", 2, result="7"))
        assert (await engine.facade.wait("i")).output == "7"
        with anyio.fail_after(5):
            while True:
                with suppress(RepairRefused):
                    await engine.steering.repair("j", repair("fire", 4))
                    break
        state = await engine.facade.wait("j")
        assert state.status is Status.FAILED
        page = await engine._host.lists.audit(AuditFilter(action="repair"), cursor=None, limit=10)
        entries = [unpack_audit(row.body) for row in page.rows]
        assert [(entry.instance_id, entry.detail) for entry in entries] == [
            *(("j", "fire 4"), ("i", "complete 2"), ("j", "retry 2"), ("i", "fire 1"))
        ]
        assert {(entry.actor, entry.door, entry.reason) for entry in entries} == {("ada", "api", "a bad release")}


async def test_a_result_that_is_too_long_is_refused(engine: Engine) -> None:
    async with engine:
        await family(engine)
        with pytest.raises(LimitExceeded):
            await engine.steering.repair("t", repair("complete", 1, result="x" * 200_000_000))
        await engine.steering.repair("t", repair("complete", 1, result="1"))


async def test_every_change_is_in_the_audit_once_and_recursion_is_not(engine: Engine) -> None:
    async with engine:
        await family(engine)
        await engine.steering.suspend("t", by=ADA, recurse=True)
        await engine.steering.resume("t", by=ADA, recurse=True)
        await engine.facade.suspend("m0-leaf", reason="why")
        await engine.steering.terminate("t", by=ADA)
        await until(engine, Status.TERMINATED)
        await engine.steering.purge("t", by=ADA)
        page = await engine._host.lists.audit(AuditFilter(), cursor=None, limit=10)
        rows = [(row.id, row.action, row.author, unpack_audit(row.body).reason) for row in reversed(page.rows)]
        assert rows == [
            ("t", "suspend", "ada", "a bad release"),
            ("t", "resume", "ada", "a bad release"),
            ("m0-leaf", "suspend", "embedded", "why"),
            ("t", "terminate", "ada", "a bad release"),
            ("t", "purge", "ada", "a bad release"),
        ]
