"""A request of code beyond a limit fails the instance with the limit's name, in new turns and never in replay."""

import contextlib
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from perdure import Status, WorkflowContext
from perdure.runtime.authoring.limits import LIMIT_NAMES, USUAL_LIMITS, WorkflowLimits, bytes_of
from perdure.runtime.errors import LIMIT_ADVICE, LimitExceeded
from perdure.runtime.history.event import ExecutionCompleted

from ...support.workflows.lone_execution import LoneExecution

SMALL = WorkflowLimits(
    turn_commands_warn=3,
    turn_commands_max=5,
    payload_bytes_warn=100,
    payload_bytes_max=200,
    name_bytes_max=20,
    history_events_warn=8,
)
BIG = "x" * 300
LONG = "n" * 21


def started(code: Callable[..., Any], given: Any = None, limits: WorkflowLimits = SMALL) -> LoneExecution:
    lone = LoneExecution(code, given, limits=limits)
    lone.start()
    return lone


def test_the_limits_are_those_that_the_manual_names() -> None:
    assert (USUAL_LIMITS.turn_commands_warn, USUAL_LIMITS.turn_commands_max) == (10_000, 100_000)
    assert (USUAL_LIMITS.payload_bytes_warn, USUAL_LIMITS.payload_bytes_max) == (2 * 2**20, 32 * 2**20)
    assert (USUAL_LIMITS.name_bytes_max, USUAL_LIMITS.history_events_warn) == (1024, 10_000)
    assert USUAL_LIMITS.held_events_max == 100_000


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_a_limit_below_one_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, not 0"):
        WorkflowLimits(**{name: 0})


@pytest.mark.parametrize("name", LIMIT_ADVICE)
def test_the_error_has_what_the_limit_how_much_and_what_to_do(name: str) -> None:
    error = LimitExceeded("the result", limit=name, found=7, maximum=5)
    assert str(error).startswith("the result has 7 ")
    assert f"the limit {name} is 5. {LIMIT_ADVICE[name]}" in str(error)
    assert f"--{name.replace('_', '-')}" in str(error)
    assert error.non_retriable


@pytest.mark.parametrize(("text", "size"), [("", 0), ("abc", 3), ("ü", 2), ("🎉", 4), ("\ud800", 3)])
def test_a_text_is_weighed_in_utf_8(text: str, size: int) -> None:
    assert bytes_of(text) == size


# Each limit, and code that exceeds it.


async def many_activities(ctx: WorkflowContext) -> None:
    for _ in range(6):
        ctx.call_activity("a")


async def many_children(ctx: WorkflowContext) -> None:
    await ctx.when_all([ctx.call_child_workflow("c") for _ in range(1_000)])


async def many_timers(ctx: WorkflowContext) -> None:
    await ctx.when_any([ctx.create_timer(timedelta(days=1)) for _ in range(1_000)])


async def many_timeouts(ctx: WorkflowContext) -> None:
    await ctx.when_any([ctx.wait_for_external_event(f"e{n}", timeout=timedelta(days=1)) for n in range(1_000)])


async def many_waits(ctx: WorkflowContext) -> None:
    await ctx.when_any([ctx.wait_for_external_event("e") for _ in range(1_000)])


async def many_caught(ctx: WorkflowContext) -> str:
    for _ in range(1_000):
        with contextlib.suppress(LimitExceeded):
            ctx.call_activity("a")
    return "went on all the same"


async def many_caught_and_awaited(ctx: WorkflowContext) -> Any:
    try:
        await many_activities(ctx)
    except LimitExceeded:
        return await ctx.create_timer(timedelta(days=1))


async def many_caught_and_continued(ctx: WorkflowContext) -> Any:
    try:
        await many_activities(ctx)
    except LimitExceeded:
        ctx.continue_as_new(1)


async def many_caught_and_another(ctx: WorkflowContext) -> Any:
    try:
        await many_activities(ctx)
    except LimitExceeded as error:
        raise ValueError("another") from error


async def big_input(ctx: WorkflowContext) -> None:
    await ctx.call_activity("a", input=BIG)


async def big_childs_input(ctx: WorkflowContext) -> None:
    await ctx.call_child_workflow("c", input={"a": [BIG]})


async def big_result(ctx: WorkflowContext) -> str:
    return BIG


def big_result_of_a_plain_function(ctx: WorkflowContext) -> str:
    return BIG


async def big_in_utf_8_only(ctx: WorkflowContext) -> str:
    return "ü" * 110


async def big_continuation(ctx: WorkflowContext) -> None:
    ctx.continue_as_new(BIG)


async def big_status(ctx: WorkflowContext) -> None:
    ctx.set_custom_status(BIG)


async def long_activity(ctx: WorkflowContext) -> None:
    await ctx.call_activity(LONG)


async def long_child(ctx: WorkflowContext) -> None:
    await ctx.call_child_workflow(LONG)


async def long_id(ctx: WorkflowContext) -> None:
    await ctx.call_child_workflow("c", instance_id=LONG)


async def long_event(ctx: WorkflowContext) -> None:
    await ctx.wait_for_external_event(LONG)


async def long_patch(ctx: WorkflowContext) -> None:
    ctx.is_patched(LONG)


async def many_patches(ctx: WorkflowContext) -> None:
    for n in range(1_000):
        ctx.is_patched(f"p{n}")


async def long_in_utf_8_only(ctx: WorkflowContext) -> None:
    await ctx.call_activity("ü" * 11)


EXCEEDING = [
    *(
        ("turn_commands_max", code)
        for code in (
            many_activities,
            many_children,
            many_timers,
            many_timeouts,
            many_waits,
            many_patches,
            many_caught,
            many_caught_and_awaited,
            many_caught_and_continued,
            many_caught_and_another,
        )
    ),
    *(
        ("payload_bytes_max", code)
        for code in (
            big_input,
            big_childs_input,
            big_result,
            big_result_of_a_plain_function,
            big_in_utf_8_only,
            big_continuation,
            big_status,
        )
    ),
    *(
        ("name_bytes_max", code)
        for code in (long_activity, long_child, long_id, long_event, long_patch, long_in_utf_8_only)
    ),
]


@pytest.mark.parametrize(("limit", "code"), EXCEEDING)
def test_code_beyond_a_limit_fails_with_its_name_whatever_it_catches(limit: str, code: Callable[..., Any]) -> None:
    lone = started(code)
    assert lone.status is Status.FAILED
    assert lone.failure.error_type == "LimitExceeded"
    assert lone.failure.non_retriable
    assert f"the limit {limit} is {getattr(SMALL, limit)}" in lone.failure.message
    assert f"workflow '{lone.name}' in instance 'i'" in lone.failure.message
    # No request of the turn is carried out.
    assert [type(command) for command in lone.commands] == [ExecutionCompleted]


@pytest.mark.parametrize(
    "code", [code for _, code in EXCEEDING if "caught" not in code.__name__ and code is not big_continuation]
)
def test_replay_repeats_what_was_recorded_under_a_higher_limit(code: Callable[..., Any]) -> None:
    # Given a history from a time with higher limits, or with none,
    lone = started(code, limits=USUAL_LIMITS)
    # when it is replayed,
    lone.limits = SMALL
    execution = lone.replayed()
    # then it continues under any limits.
    assert execution.outcome == lone.execution.outcome


def test_the_limit_holds_again_in_the_turn_after_the_replay() -> None:
    async def twice(ctx: WorkflowContext) -> None:
        await ctx.when_all([ctx.call_activity("a") for _ in range(6)])
        await ctx.when_all([ctx.call_activity("b") for _ in range(6)])

    lone = started(twice, limits=USUAL_LIMITS)
    lone.limits = SMALL
    lone.evict()
    for task_id in range(1, 7):
        lone.complete(task_id)
    assert lone.failure.error_type == "LimitExceeded"
    assert "b" not in {task.name for task in lone.tasks}


def test_as_much_as_a_limit_allows_is_fine() -> None:
    async def full(ctx: WorkflowContext) -> str:
        await ctx.when_all([ctx.call_activity("n" * 20) for _ in range(5)])
        ctx.uuid4()
        ctx.set_custom_status("s" * 200)
        return "x" * 198

    lone = started(full)
    for task_id in range(1, 6):
        lone.complete(task_id)
    assert lone.result == "x" * 198


def test_each_turn_may_ask_for_as_much() -> None:
    async def slowly(ctx: WorkflowContext) -> int:
        for _ in range(12):
            await ctx.call_activity("a")
        return 12

    lone = started(slowly)
    for task_id in range(1, 13):
        lone.complete(task_id)
    assert lone.result == 12


def test_the_default_id_of_a_child_may_be_longer_than_a_chosen_one() -> None:
    async def deep(ctx: WorkflowContext) -> None:
        await ctx.call_child_workflow("c")

    lone = LoneExecution(deep, instance_id="i" * 20, limits=SMALL)
    lone.start()
    assert [child.instance_id for child in lone.children] == ["i" * 20 + ":0001"]


def test_a_large_payload_is_logged_with_fields_and_not_again_in_replay(caplog: pytest.LogCaptureFixture) -> None:
    async def large(ctx: WorkflowContext) -> None:
        await ctx.call_activity("a", input="x" * 150)

    with caplog.at_level(logging.WARNING):
        lone = started(large)
        lone.evict()
    (record,) = caplog.records
    assert "the input of activity 'a' of workflow 'large' in instance 'i' has 152 bytes" in record.getMessage()
    fields = {name: getattr(record, name) for name in ("instance_id", "workflow", "limit", "found")}
    assert fields == {"instance_id": "i", "workflow": "large", "limit": "payload_bytes_warn", "found": 152}
