"""Replay: unchanged code fits its history at every length; of changed code it says where it does not, and how."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from perdure import App, NondeterminismError, RetryPolicy, Status, TaskFailedError, WorkflowContext
from perdure.runtime.execution.replay import replay
from perdure.runtime.history.event import (
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    TaskScheduled,
    TimerFired,
)
from perdure.runtime.history.row import split

from ...support.workflows.lone_execution import ENCODER, LoneExecution, app_of, completed, failed, raised, started

DAY = timedelta(days=1)


async def everything(ctx: WorkflowContext, n: int) -> list[Any]:
    ctx.set_custom_status("begun")
    said = [str(ctx.uuid4()), ctx.random().random(), ctx.now().isoformat(), ctx.is_patched("p")]
    policy = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=3, jitter=0.5)
    said += await ctx.when_all([ctx.call_activity("a", input=n, retry_policy=policy), ctx.create_timer(DAY)])
    ctx.set_custom_status({"half": True})
    event = ctx.wait_for_external_event("e", timeout=DAY)
    child = ctx.call_child_workflow("c", input=n)
    first = await ctx.when_any([event, child])
    said.append("event" if first is event else "child")
    try:
        said.append(await child)
    except TaskFailedError as error:
        said.append(error.details.message)
    return said


def lived(app: App | None = None) -> LoneExecution:
    """A complete run of `everything`, event by event."""
    lone = LoneExecution(everything, 1, app=app)
    lone.start()
    lone.fail(1)  # tried again, timer 3
    lone.fire(3)
    lone.feed(completed(4, "a"), TimerFired(2, lone.timer(2).fire_at_us))
    lone.raise_event("E", "data")
    lone.raise_event("other", None)
    lone.fail_child(6, ValueError("no"))
    assert lone.status is Status.COMPLETED
    return lone


def test_a_replay_of_unchanged_code_gives_the_same_outcome_status_and_time() -> None:
    lone = lived()
    again = lone.replayed()
    assert again.outcome == lone.execution.outcome
    assert again.custom_status == lone.execution.custom_status == '{"half":true}'
    assert again.now_us == lone.execution.now_us
    assert again.execution_id == "x1"


def test_an_execution_that_is_rebuilt_before_every_turn_asks_the_same() -> None:
    # Given the commands of an execution that stays in memory, and all its events,
    whole = lived()
    # when another execution is dropped and rebuilt before each turn,
    lone = LoneExecution(everything, 1)
    for row in whole.rows:
        lone.evict()
        arrivals, _ = split(row.turn or ())
        lone.now_us = row.at_us
        lone.feed(*arrivals, after_us=0)
    # then its commands are the same.
    assert lone.rows == whole.rows
    assert lone.execution.outcome == whole.execution.outcome


def test_a_replay_of_no_rows_is_an_execution_that_has_not_begun() -> None:
    lone = LoneExecution(everything, 1)
    again = lone.replayed()
    assert again.outcome is None
    assert again.feed([lone.started], 5)[0] == LoneExecution(everything, 1).execution.feed([lone.started], 5)[0]


def test_the_code_knows_that_it_is_replayed_and_only_then() -> None:
    seen: list[bool] = []

    async def looks(ctx: WorkflowContext) -> None:
        seen.append(ctx.is_replaying)
        await ctx.call_activity("a")
        seen.append(ctx.is_replaying)
        await ctx.call_activity("b")
        seen.append(ctx.is_replaying)

    lone = started(looks)
    lone.complete(1)
    assert seen == [False, False]
    lone.evict()
    assert seen == [False, False, True, True]
    lone.complete(2)
    assert seen[-1] is False


def test_timers_that_were_taken_back_in_the_past_are_not_taken_back_again() -> None:
    async def waits(ctx: WorkflowContext) -> Any:
        await ctx.wait_for_external_event("e", timeout=DAY)
        return await ctx.call_activity("a")

    lone = started(waits)
    lone.raise_event("e")
    assert lone.execution.cancelled_timers == [1]
    assert lone.replayed().cancelled_timers == []


def test_what_was_held_is_fed_with_the_next_turn_that_ran() -> None:
    async def two(ctx: WorkflowContext) -> list[Any]:
        return [await ctx.wait_for_external_event("e"), await ctx.wait_for_external_event("e")]

    # Given events that came while the instance was suspended,
    lone = started(two)
    lone.hold(ExecutionSuspended(None), raised("e", 1))
    # then before the resume they are handed back, not fed,
    execution, held = replay(lone.app.workflows["two"], ENCODER, instance_id="i", rows=lone.rows)
    assert execution.outcome is None
    assert held == [ExecutionSuspended(None), raised("e", 1)]
    # and after it they come first.
    lone.execution.feed(held, lone.now_us)
    lone.feed(ExecutionResumed(None), raised("e", 2))
    assert lone.result == [1, 2]
    assert lone.replayed().outcome == lone.execution.outcome


def test_what_one_row_holds_behind_its_turn_is_fed_with_the_next() -> None:
    lone = LoneExecution(everything, 1)
    lone.start()
    row = lone.rows[0]._replace(held=[raised("x", 1)])
    _, held = replay(lone.app.workflows["everything"], ENCODER, instance_id="i", rows=[row])
    assert held == [raised("x", 1)]


# Differences: the old code, how far it came, and the new code.


async def before(ctx: WorkflowContext) -> Any:
    await ctx.call_activity("a")
    await ctx.call_child_workflow("c", instance_id="kid")
    await ctx.create_timer(DAY)
    await ctx.wait_for_external_event("e", timeout=DAY)
    return "done"


async def another_activity(ctx: WorkflowContext) -> Any:
    await ctx.call_activity("A")


async def an_activity_more(ctx: WorkflowContext) -> Any:
    ctx.call_activity("a")
    await ctx.call_activity("b")


async def a_timer_instead(ctx: WorkflowContext) -> Any:
    await ctx.create_timer(DAY)


async def an_event_instead(ctx: WorkflowContext) -> Any:
    await ctx.wait_for_external_event("e")


async def a_timeout_instead(ctx: WorkflowContext) -> Any:
    await ctx.wait_for_external_event("e", timeout=DAY)


async def a_return_instead(ctx: WorkflowContext) -> Any:
    return None


async def an_error_instead(ctx: WorkflowContext) -> Any:
    raise ValueError("changed my mind")


async def a_new_generation_instead(ctx: WorkflowContext) -> Any:
    ctx.call_activity("a")
    ctx.continue_as_new(None)


async def another_child(ctx: WorkflowContext) -> Any:
    await ctx.call_activity("a")
    await ctx.call_child_workflow("C", instance_id="kid")


async def another_id_for_the_child(ctx: WorkflowContext) -> Any:
    await ctx.call_activity("a")
    await ctx.call_child_workflow("c")


async def an_early_return(ctx: WorkflowContext) -> Any:
    await ctx.call_activity("a")


async def an_early_generation(ctx: WorkflowContext) -> Any:
    await ctx.call_activity("a")
    ctx.continue_as_new(None)


async def a_retry_instead_of_a_timer(ctx: WorkflowContext) -> Any:
    await ctx.call_activity("a")
    await ctx.call_child_workflow("c", instance_id="kid")
    await ctx.wait_for_external_event("e", timeout=DAY)


async def another_event(ctx: WorkflowContext) -> Any:
    await ctx.call_activity("a")
    await ctx.call_child_workflow("c", instance_id="kid")
    await ctx.create_timer(DAY)
    await ctx.wait_for_external_event("f", timeout=DAY)


async def a_failure_at_the_end(ctx: WorkflowContext) -> Any:
    await before(ctx)
    raise ValueError("changed my mind")


async def went_on(ctx: WorkflowContext) -> Any:
    await before(ctx)
    await ctx.call_activity("b")


# Events after which the history of `before` stops, the new code, and where they part: event, recorded, asked.
DIFFERENCES: list[tuple[int, Callable[..., Any], int, str, str]] = [
    (1, another_activity, 1, "activity 'a'", "activity 'A'"),
    (1, an_activity_more, 2, "nothing", "activity 'b'"),
    (1, a_timer_instead, 1, "activity 'a'", "a timer"),
    (1, an_event_instead, 1, "activity 'a'", "nothing"),
    (1, a_timeout_instead, 1, "activity 'a'", "a timeout for event 'e'"),
    (1, a_return_instead, 1, "activity 'a'", "the end of the workflow (COMPLETED)"),
    (1, an_error_instead, 1, "activity 'a'", "the end of the workflow (FAILED)"),
    (2, another_child, 2, "child workflow 'c' with ID 'kid'", "child workflow 'C' with ID 'kid'"),
    (2, another_id_for_the_child, 2, "child workflow 'c' with ID 'kid'", "child workflow 'c' with ID 'i:0002'"),
    (2, an_early_return, 2, "child workflow 'c' with ID 'kid'", "the end of the workflow (COMPLETED)"),
    (3, a_retry_instead_of_a_timer, 3, "a timer", "a timeout for event 'e'"),
    (4, another_event, 4, "a timeout for event 'e'", "a timeout for event 'f'"),
    (5, a_failure_at_the_end, 5, "the end of the workflow (COMPLETED)", "the end of the workflow (FAILED)"),
    (5, went_on, 5, "the end of the workflow (COMPLETED)", "activity 'b'"),
]


def history_of_before(turns: int) -> LoneExecution:
    lone = LoneExecution(before)
    steps: list[Callable[[], Any]] = [
        lone.start,
        lambda: lone.complete(1),
        lambda: lone.complete_child(2),
        lambda: lone.fire(3),
        lambda: lone.raise_event("e"),
    ]
    for step in steps[:turns]:
        step()
    return lone


@pytest.mark.parametrize("turns", range(6))
def test_the_same_code_has_no_difference_however_far_it_came(turns: int) -> None:
    lone = history_of_before(turns)
    assert lone.replayed().outcome == lone.execution.outcome


@pytest.mark.parametrize(
    ("turns", "now", "event_id", "recorded", "asked"), DIFFERENCES, ids=[case[1].__name__ for case in DIFFERENCES]
)
def test_a_difference_names_the_event_what_was_recorded_and_what_is_asked_now(
    turns: int, now: Callable[..., Any], event_id: int, recorded: str, asked: str
) -> None:
    lone = history_of_before(turns)
    with pytest.raises(NondeterminismError) as caught:
        lone.replayed(now)
    error = caught.value
    assert (error.event_id, error.recorded, error.asked) == (event_id, recorded, asked)
    assert (error.instance_id, error.workflow) == ("i", "before")
    assert f"event {event_id}" in str(error)


@pytest.mark.parametrize(("turns", "now"), [(1, a_new_generation_instead), (2, an_early_generation)])
def test_code_that_begins_anew_where_it_went_on_is_a_difference_too(turns: int, now: Callable[..., Any]) -> None:
    lone = history_of_before(turns)
    with pytest.raises(NondeterminismError) as caught:
        lone.replayed(now)
    assert "continue as new" in caught.value.asked


def test_chance_and_the_clock_in_workflow_code_are_found_out() -> None:
    rounds = iter(range(10))

    async def reads_the_world(ctx: WorkflowContext) -> Any:
        await ctx.call_activity(f"a{next(rounds)}")

    with pytest.raises(NondeterminismError, match=r"ctx\.now, ctx\.random, ctx\.uuid4 or an activity"):
        started(reads_the_world).replayed()


def test_what_makes_no_difference_to_the_rest_is_none() -> None:
    # Inputs, delays, logs and custom statuses may change: the answers are in the history.
    async def then(ctx: WorkflowContext) -> Any:
        ctx.set_custom_status("old")
        await ctx.create_timer(timedelta(seconds=1))
        return await ctx.call_activity("a", input=["b", "a"])

    async def now(ctx: WorkflowContext) -> Any:
        ctx.set_custom_status("new")
        ctx.logger.info("new")
        await ctx.create_timer(timedelta(seconds=2))
        return await ctx.call_activity("a", input=["a", "b"])

    lone = started(then)
    lone.fire(1)
    again = lone.replayed(now)
    assert again.custom_status == "new"
    again.feed([completed(2, "fits")], lone.now_us)
    assert again.outcome is not None


def test_code_may_change_behind_the_point_that_an_instance_has_reached() -> None:
    lone = history_of_before(4)
    again = lone.replayed(went_on)
    commands, _ = again.feed([raised("e")], lone.now_us)
    assert commands == [TaskScheduled(5, "b", None, "x1-5")]


# Patches (contract 3.19).


async def patched(ctx: WorkflowContext) -> Any:
    ctx.is_patched("p")
    ctx.is_patched("q")
    await ctx.call_activity("a")


@pytest.mark.parametrize(
    ("kept", "current"),
    [([], []), (["p"], ["p"]), (["q", "p"], ["q", "p"])],
    ids=["removed", "one removed", "reordered"],
)
def test_a_patch_that_was_taken_out_of_the_code_is_a_difference_in_daprs_words(
    kept: list[str], current: list[str]
) -> None:
    async def unpatched(ctx: WorkflowContext) -> Any:
        for name in kept:
            ctx.is_patched(name)
        await ctx.call_activity("a")

    with pytest.raises(NondeterminismError) as caught:
        started(patched).replayed(unpatched)
    assert f"Patch mismatch. History patches: ['p', 'q'], current patches: {current}. " in str(caught.value)
    assert "event -1" not in str(caught.value), "patches have no event id"


def test_a_patch_that_is_added_in_front_of_a_recorded_one_is_not_taken() -> None:
    async def one(ctx: WorkflowContext) -> Any:
        ctx.is_patched("p")
        await ctx.call_activity("a")

    async def more(ctx: WorkflowContext) -> Any:
        seen = [ctx.is_patched("new"), ctx.is_patched("p")]
        await ctx.call_activity("a")
        return seen

    lone = started(one)
    lone.execution = lone.replayed(more)
    lone.complete(1)
    assert lone.result == [False, True]


# Entries of a history that no code ever asked about.


def test_a_history_whose_code_returns_before_it_ends_is_caught_though_nothing_more_was_asked() -> None:
    async def long(ctx: WorkflowContext) -> Any:
        await ctx.wait_for_external_event("e")
        await ctx.wait_for_external_event("e")

    async def short(ctx: WorkflowContext) -> Any:
        await ctx.wait_for_external_event("e")

    lone = started(long)
    lone.raise_event("e")
    with pytest.raises(NondeterminismError) as caught:
        lone.replayed(short)
    assert (caught.value.recorded, caught.value.asked) == ("nothing", "the end of the workflow (COMPLETED)")


def test_an_exit_in_workflow_code_that_was_recorded_is_replayed_like_any_failure() -> None:
    async def exits(ctx: WorkflowContext) -> Any:
        await ctx.call_activity("a")
        raise SystemExit(3)

    lone = started(exits)
    lone.complete(1)
    assert lone.status is Status.FAILED
    assert lone.replayed().outcome is not None


def test_several_failures_in_one_turn_are_replayed_in_their_order() -> None:
    async def crowd(ctx: WorkflowContext) -> Any:
        tasks = [ctx.call_activity("a") for _ in range(3)]
        try:
            await ctx.when_all(tasks)
        except TaskFailedError as error:
            return str(error)

    lone = started(crowd)
    lone.feed(completed(1), failed(3, message="third"), failed(2, message="second"))
    assert "task #3" in lone.result
    assert lone.replayed().outcome == lone.execution.outcome


def test_a_history_can_be_read_with_the_definition_alone() -> None:
    # No engine, no store, no loop: a user's debugger or test needs this.
    rows = history_of_before(3).rows
    assert isinstance((rows[0].turn or ())[0], ExecutionStarted)
    execution, held = replay(app_of(before).workflows["before"], ENCODER, instance_id="i", rows=rows)
    assert (execution.outcome, held) == (None, [])
