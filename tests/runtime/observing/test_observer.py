"""An observer is notified of each end, once, after its commit."""

from datetime import timedelta
from typing import Any

import pytest

from perdure import ActivityContext, App, Engine, Status, WorkflowContext
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import FaultyStore
from perdure.testing.virtual_time import LoopClock, run_virtually

pytestmark = pytest.mark.usefixtures("virtual_backend")


class Diary:
    """The reports to an observer."""

    def __init__(self) -> None:
        self.workflows: list[tuple[str, Status, float]] = []
        self.activities: list[tuple[str, bool]] = []

    def workflow_ended(self, name: str, status: Status, took_s: float) -> None:
        self.workflows.append((name, status, took_s))

    def app_activity_ended(self, name: str, *, failed: bool, took_s: float) -> None:
        assert took_s >= 0
        self.activities.append((name, failed))


def make_app() -> App:
    app = App("test")

    @app.activity
    async def pay(ctx: ActivityContext, amount: int) -> int:
        if amount < 0:
            raise ValueError("no")
        return amount

    @app.workflow
    async def order(ctx: WorkflowContext, amount: int) -> int:
        await ctx.create_timer(timedelta(hours=1))
        paid: int = await ctx.call_activity(pay, input=amount)
        return paid

    @app.workflow
    async def counts_down(ctx: WorkflowContext, left: int) -> None:
        if left:
            ctx.continue_as_new(left - 1)

    return app


def told(*starts: tuple[str, Any], store: FaultyStore | None = None) -> Diary:
    diary = Diary()

    async def main() -> None:
        async with Engine(make_app(), data=store or MemoryStore(), clock=LoopClock()) as engine:
            engine.observe(diary)
            for workflow, given in starts:
                await engine.client.wait(await engine.client.start(workflow, input=given))

    run_virtually(main)
    return diary


def test_ends_are_told_with_how_and_after_how_long() -> None:
    diary = told(("order", 1), ("order", -1))
    assert diary.workflows == [
        ("order", Status.COMPLETED, pytest.approx(3600, abs=1)),
        ("order", Status.FAILED, pytest.approx(3600, abs=1)),
    ]
    assert diary.activities == [("pay", False), ("pay", True)]


def test_an_instance_that_continues_as_new_ends_once() -> None:
    assert [name for name, _, _ in told(("counts_down", 3)).workflows] == ["counts_down"]


def test_an_end_whose_commit_failed_is_told_when_it_is_durable() -> None:
    store = FaultyStore(MemoryStore())
    store.fail_commit(3)  # the start, the timer's end, and with the payment's result the end of all
    assert [status for _, status, _ in told(("order", 1), store=store).workflows] == [Status.COMPLETED]
