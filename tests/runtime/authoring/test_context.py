"""The contexts of workflow and activity code: the same at every replay, which logs nothing again."""

import inspect
import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from perdure import ActivityContext, WorkflowContext
from perdure.runtime.history.event import Parent, TaskScheduled

from ...support.workflows.lone_execution import LoneExecution, completed, started


async def talks(ctx: WorkflowContext) -> None:
    ctx.logger.info("first %d", 1)
    await ctx.call_activity("a")
    ctx.logger.warning("second")
    await ctx.call_activity("b")
    try:
        raise ValueError("x")
    except ValueError:
        ctx.logger.exception("third")


def test_a_workflow_logs_each_thing_once_however_often_it_is_replayed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lone = started(talks)
    lone.evict()
    lone.complete(1)
    lone.evict()
    lone.evict()
    lone.complete(2)
    assert [record.getMessage() for record in caplog.records] == ["[i] first 1", "[i] second", "[i] third"]


def test_the_logger_is_named_after_the_workflow_and_says_which_instance(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    started(talks, instance_id="order-7")
    (record,) = caplog.records
    assert record.name == "perdure.workflow.talks"
    assert record.getMessage().startswith("[order-7] ")
    assert record.funcName == "talks"


def test_the_logger_obeys_its_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="perdure.workflow.talks")
    lone = started(talks)
    lone.complete(1)
    assert [record.getMessage() for record in caplog.records] == ["[i] second"]


def test_a_workflow_that_is_put_away_says_nothing_on_its_way_out(caplog: pytest.LogCaptureFixture) -> None:
    async def leaves(ctx: WorkflowContext) -> None:
        try:
            await ctx.wait_for_external_event("never")
        finally:
            ctx.logger.warning("the end")

    # An eviction is not the end of the workflow; its log must not say so.
    caplog.set_level(logging.INFO)
    lone = started(leaves)
    lone.execution.close()
    assert caplog.records == []


def test_time_has_utc_as_its_zone_and_is_a_plain_date() -> None:
    seen: list[datetime] = []

    async def clock(ctx: WorkflowContext) -> None:
        seen.append(ctx.current_utc_datetime)
        seen.append(ctx.now())

    started(clock)
    assert seen[0] == seen[1]
    assert seen[0].utcoffset() == timedelta(0)


def test_random_numbers_come_from_one_source_for_each_execution() -> None:
    async def draws(ctx: WorkflowContext) -> list[float]:
        assert ctx.random() is ctx.random()
        return [ctx.random().random(), ctx.random().random()]

    first, second = started(draws).result
    assert first != second


def test_the_names_are_those_of_daprs_python_sdk() -> None:
    # Code written for it reads the same here (contract 6).
    dapr = {
        "instance_id", "current_utc_datetime", "is_replaying", "set_custom_status", "create_timer", "call_activity",
        "call_child_workflow", "wait_for_external_event", "continue_as_new", "is_patched", "now", "uuid4", "new_guid",
        "random",
    }  # fmt: skip
    assert dapr <= {name for name in dir(WorkflowContext) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("call_activity", ["self", "activity", "input", "retry_policy", "app_id"]),
        ("call_child_workflow", ["self", "workflow", "input", "instance_id", "retry_policy", "app_id"]),
        ("wait_for_external_event", ["self", "name", "timeout"]),
        ("create_timer", ["self", "fire_at"]),
        ("continue_as_new", ["self", "new_input", "save_events"]),
        ("set_custom_status", ["self", "custom_status"]),
        ("is_patched", ["self", "patch_name"]),
    ],
)
def test_parameters_have_daprs_names(method: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(WorkflowContext, method)).parameters) == parameters


def test_a_context_asks_only_when_it_is_told_to() -> None:
    async def looks_only(ctx: WorkflowContext) -> Any:
        _ = (ctx.instance_id, ctx.execution_id, ctx.workflow_name, ctx.is_replaying, ctx.now(), ctx.uuid4())
        return await ctx.call_activity("a")

    assert LoneExecution(looks_only).start() == [TaskScheduled(1, "a", None, "x1-1")]


def test_an_activity_knows_its_instance_its_task_and_its_key() -> None:
    context = ActivityContext("i", 3, "x1-3", "charge")
    assert (context.workflow_id, context.task_id) == ("i", 3)
    assert (context.task_execution_id, context.activity_name) == ("x1-3", "charge")
    with pytest.raises(AttributeError):
        context.task_id = 4  # type: ignore[misc]


def test_what_a_workflow_is_given_survives_an_eviction() -> None:
    async def remembers(ctx: WorkflowContext) -> list[str]:
        before = [ctx.instance_id, ctx.execution_id, str(ctx.uuid4()), str(ctx.random().random())]
        await ctx.call_activity("a")
        return [*before, str(ctx.uuid4()), str(ctx.random().random())]

    kept, evicted = started(remembers), started(remembers)
    evicted.evict()
    for lone in (kept, evicted):
        lone.feed(completed(1))
    assert kept.result == evicted.result


# Values that are the same at every replay.


async def dice(ctx: WorkflowContext) -> list[Any]:
    first = [str(ctx.uuid4()), str(ctx.new_guid()), ctx.random().random(), ctx.random().randint(1, 6)]
    await ctx.call_activity("a")
    return [*first, str(ctx.uuid4()), ctx.random().random()]


def test_ids_and_random_numbers_are_the_same_again_in_the_same_execution_and_others_in_another() -> None:
    results = []
    for execution_id in ("x1", "x1", "x2"):
        lone = started(dice, execution_id=execution_id)
        lone.complete(1)
        results.append(lone.result)
    assert results[0] == results[1]
    assert not set(results[0]) & set(results[2]) - {1, 2, 3, 4, 5, 6}
    ids = [results[0][0], results[0][1], results[0][4]]
    assert len(set(ids)) == 3


def test_the_ids_and_numbers_are_pinned() -> None:
    # Histories on disk were made with these values.
    lone = started(dice)
    lone.complete(1)
    assert lone.result == PINNED_DICE
    assert UUID(lone.result[0]).version == 5


PINNED_DICE = [
    "914a41a4-cc12-598e-8c37-f1dc8228f2e2",
    "cd8619c5-997c-5f9d-a798-67dbdbaf1e9d",
    0.39605511014499384,
    6,
    "b24e4da3-f08a-59df-816c-33100b27134e",
    0.17408803723585542,
]


def test_time_stands_still_in_a_turn_and_is_that_of_the_turn() -> None:
    async def clock(ctx: WorkflowContext) -> list[Any]:
        first = [ctx.now(), ctx.current_utc_datetime]
        await ctx.call_activity("a")
        return [*first, ctx.now()]

    lone = started(clock)
    lone.feed(completed(1), after_us=60_000_000)
    first, same, later = (datetime.fromisoformat(date) for date in lone.result)
    assert first == same == datetime(2026, 1, 1, 0, 0, 0, 1_000, tzinfo=UTC)
    assert later - first == timedelta(minutes=1)


def test_the_context_says_who_and_what_runs() -> None:
    async def who(ctx: WorkflowContext) -> list[Any]:
        return [ctx.instance_id, ctx.execution_id, ctx.workflow_name, ctx.is_replaying]

    assert started(who, instance_id="me", execution_id="x9").result == ["me", "x9", "who", False]


def test_a_child_knows_its_parent() -> None:
    async def child(ctx: WorkflowContext) -> str | None:
        return ctx.parent_instance_id

    assert started(child, parent=Parent("p", "px", 1, "pw")).result == "p"
    assert started(child).result is None
