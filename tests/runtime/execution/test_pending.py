"""Each request of code is answered by its event, once: calls and their tries, timers, waits for events."""

from collections.abc import Generator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from perdure import App, RetryPolicy, Status, TaskFailedError, WorkflowContext
from perdure.runtime.history.event import (
    ChildCreated,
    EventRaised,
    ExecutionCompleted,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TimerOrigin,
)

from ...support.workflows.annotated import Order
from ...support.workflows.lone_execution import START_US, LoneExecution, completed, failed, raised, started

SECOND_US = 1_000_000
# The range that SQLite and msgpack can both hold.
LATEST_US = 2**63 - 1


# Activities.


def test_event_ids_count_up_from_one_over_all_kinds_of_commands() -> None:
    async def mixed(ctx: WorkflowContext) -> None:
        ctx.call_activity("a")
        ctx.create_timer(timedelta(1))
        ctx.call_child_workflow("c")
        ctx.wait_for_external_event("e", timeout=timedelta(1))
        await ctx.call_activity("b")

    assert [command.event_id for command in LoneExecution(mixed).start()] == [1, 2, 3, 4, 5]  # type: ignore[union-attr]


def test_an_activity_is_called_by_its_function_or_by_its_name_and_its_result_is_decoded_by_the_function() -> None:
    app = App("test")

    @app.activity(name="reserve-stock")
    def reserve(ctx: Any, order: Order) -> Order:
        return order

    @app.workflow
    async def both(ctx: WorkflowContext) -> list[str]:
        typed = await ctx.call_activity(reserve, input=Order("a"))
        untyped = await ctx.call_activity("reserve-stock", input=Order("a"))
        return [type(typed).__name__, type(untyped).__name__]

    lone = LoneExecution(both, app=app)
    assert lone.start() == [TaskScheduled(1, "reserve-stock", '{"sku":"a","count":1}', "x1-1")]
    lone.complete(1, {"sku": "a"})
    lone.complete(2, {"sku": "a"})
    assert lone.result == ["Order", "dict"]


def test_a_result_that_does_not_fit_the_annotation_fails_the_task_where_it_is_awaited() -> None:
    app = App("test")

    @app.activity
    def count(ctx: Any) -> int:
        return 1

    @app.workflow
    async def cautious(ctx: WorkflowContext) -> str:
        try:
            await ctx.call_activity(count)
        except ValueError as error:
            return type(error).__name__
        return "?"

    lone = LoneExecution(cautious, app=app)
    lone.start()
    lone.complete(1, "many")
    assert lone.result == "PayloadError"


def test_an_input_that_json_has_no_form_for_is_raised_at_the_call_and_nothing_is_asked() -> None:
    async def careless(ctx: WorkflowContext) -> str:
        try:
            ctx.call_activity("a", input=object())
        except ValueError:
            return "refused"
        return "?"

    lone = LoneExecution(careless)
    assert [type(command) for command in lone.start()] == [ExecutionCompleted]
    assert lone.result == "refused"


def test_answers_may_come_in_any_order_and_several_in_one_turn() -> None:
    async def fan(ctx: WorkflowContext) -> list[Any]:
        return await ctx.when_all([ctx.call_activity("a", input=n) for n in range(3)])

    lone = started(fan)
    assert [task.input for task in lone.tasks] == ["0", "1", "2"]
    lone.feed(completed(3, "c"), completed(1, "a"))
    assert lone.status is Status.RUNNING
    lone.complete(2, "b")
    assert lone.result == ["a", "b", "c"]


def test_a_second_answer_to_one_task_is_not_heard() -> None:
    async def two(ctx: WorkflowContext) -> list[Any]:
        return [await ctx.call_activity("a"), await ctx.call_activity("b")]

    lone = started(two)
    lone.feed(completed(1, "first"), completed(1, "again"))
    lone.complete(2, "b")
    assert lone.result == ["first", "b"]


# Retries.


def test_a_retry_is_a_timer_and_then_another_try_with_the_same_key() -> None:
    policy = RetryPolicy(first_retry_interval=timedelta(seconds=10), max_number_of_attempts=3, backoff_coefficient=2)

    async def stubborn(ctx: WorkflowContext) -> Any:
        return await ctx.call_activity("a", input=5, retry_policy=policy)

    lone = LoneExecution(stubborn)
    assert lone.start() == [TaskScheduled(1, "a", "5", "x1-1")]
    # Ten seconds after the failure came in, and twenty after the next.
    (timer,) = lone.fail(1)
    assert timer == TimerCreated(2, lone.now_us + 10 * SECOND_US, TimerOrigin.ACTIVITY_RETRY, "x1-1")
    assert lone.fire(2) == [TaskScheduled(3, "a", "5", "x1-1")]
    (timer,) = lone.fail(3)
    assert timer == TimerCreated(4, lone.now_us + 20 * SECOND_US, TimerOrigin.ACTIVITY_RETRY, "x1-1")
    assert lone.fire(4) == [TaskScheduled(5, "a", "5", "x1-1")]
    lone.complete(5, "at last")
    assert lone.result == "at last"


def test_after_the_last_attempt_the_failure_is_raised() -> None:
    policy = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=2)

    async def stubborn(ctx: WorkflowContext) -> str:
        try:
            await ctx.call_activity("a", retry_policy=policy)
        except TaskFailedError as error:
            return f"{error} ({error.details.error_type})"
        return "?"

    lone = started(stubborn)
    lone.fail(1, "OSError", "first")
    lone.fire(2)
    lone.fail(3, "OSError", "second")
    assert lone.result == "Activity task #3 failed: second (OSError)"


@pytest.mark.parametrize(
    ("limits", "failure"),
    [
        ({}, {"non_retriable": True}),
        ({"non_retryable_error_types": ["ValueError"]}, {}),
        ({"retry_timeout": timedelta(milliseconds=1)}, {}),
    ],
)
def test_a_failure_that_the_policy_excludes_is_raised_at_once(limits: dict[str, Any], failure: dict[str, Any]) -> None:
    policy = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=9, **limits)

    async def stubborn(ctx: WorkflowContext) -> None:
        await ctx.call_activity("a", retry_policy=policy)

    lone = started(stubborn)
    lone.fail(1, **failure)
    assert lone.failure.error_type == "TaskFailedError"


def test_the_timeout_of_a_policy_counts_from_the_first_try() -> None:
    policy = RetryPolicy(
        first_retry_interval=timedelta(seconds=4), max_number_of_attempts=9, retry_timeout=timedelta(seconds=10)
    )

    async def stubborn(ctx: WorkflowContext) -> None:
        await ctx.call_activity("a", retry_policy=policy)

    lone = started(stubborn)
    for task_id, timer_id in ((1, 2), (3, 4)):
        lone.fail(task_id)
        lone.fire(timer_id)
    lone.fail(5)
    assert lone.status is Status.FAILED


def test_tasks_with_the_same_policy_and_jitter_do_not_try_again_at_the_same_moment_but_at_every_replay_they_do() -> (
    None
):
    policy = RetryPolicy(first_retry_interval=timedelta(hours=1), max_number_of_attempts=2, jitter=0.5)

    async def crowd(ctx: WorkflowContext) -> Any:
        return await ctx.when_all([ctx.call_activity("a", retry_policy=policy) for _ in range(5)])

    runs = []
    for _ in range(2):
        lone = started(crowd)
        lone.feed(*(failed(task_id) for task_id in range(1, 6)))
        runs.append([timer.fire_at_us for timer in lone.timers])
    assert len(set(runs[0])) == 5
    assert runs[0] == runs[1]


def test_a_child_is_tried_again_as_another_instance_that_refers_to_the_first() -> None:
    policy = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=3)

    async def parent(ctx: WorkflowContext) -> Any:
        return await ctx.call_child_workflow("c", input=1, retry_policy=policy)

    lone = LoneExecution(parent)
    assert lone.start() == [ChildCreated(1, "i:0001", "c", "1")]
    (timer,) = lone.fail_child(1, ValueError("no"))
    assert timer == TimerCreated(2, lone.now_us + SECOND_US, TimerOrigin.CHILD_RETRY, "i:0001")
    assert lone.fire(2) == [ChildCreated(3, "i:0003", "c", "1", retry_of="i:0001")]
    lone.complete_child(3, "done")
    assert lone.result == "done"


def test_a_child_with_an_id_of_its_own_is_tried_again_under_that_id() -> None:
    policy = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=3)

    async def parent(ctx: WorkflowContext) -> Any:
        return await ctx.call_child_workflow("c", instance_id="mine", retry_policy=policy)

    lone = started(parent)
    lone.fail_child(1, ValueError("no"))
    assert lone.fire(2) == [ChildCreated(3, "mine", "c", None, named=True, retry_of="mine")]


# Children.


def test_a_child_is_named_after_its_parent_and_its_event_in_four_hex_digits() -> None:
    async def parent(ctx: WorkflowContext) -> None:
        for _ in range(16):
            ctx.call_activity("a")
        await ctx.call_child_workflow("c")

    lone = started(parent, instance_id="p")
    assert lone.children == [ChildCreated(17, "p:0011", "c", None)]


def test_a_child_is_called_by_its_function_and_its_result_is_decoded_by_it() -> None:
    app = App("test")

    @app.workflow(name="child-of-generator")
    def by_generator(ctx: WorkflowContext, order: Order) -> Generator[Any, Any, Order]:
        yield ctx.create_timer(timedelta(1))
        return order

    @app.workflow(name="child-of-coroutine")
    async def by_coroutine(ctx: WorkflowContext, order: Order) -> Order:
        return order

    @app.workflow
    async def parent(ctx: WorkflowContext) -> list[str]:
        one = await ctx.call_child_workflow(by_generator, input=Order("a"))
        other = await ctx.call_child_workflow(by_coroutine, input=Order("a"))
        return [type(one).__name__, type(other).__name__]

    lone = LoneExecution(parent, app=app)
    lone.start()
    lone.complete_child(1, {"sku": "a"})
    lone.complete_child(2, {"sku": "a"})
    assert [child.name for child in lone.children] == ["child-of-generator", "child-of-coroutine"]
    assert lone.result == ["Order", "Order"]


def test_a_child_that_failed_raises_in_the_parent_with_what_it_failed_with() -> None:
    async def parent(ctx: WorkflowContext) -> str:
        try:
            await ctx.call_child_workflow("c")
        except TaskFailedError as error:
            return f"{error}; {error.details.error_type}"
        return "?"

    lone = started(parent)
    lone.fail_child(1, KeyError("x"))
    assert lone.result == "Child workflow task #1 failed: 'x'; KeyError"


def test_a_child_that_was_terminated_raises_in_the_parent_and_says_so() -> None:
    async def parent(ctx: WorkflowContext) -> str:
        try:
            await ctx.call_child_workflow("c")
        except TaskFailedError as error:
            return error.details.message
        return "?"

    lone = started(parent)
    lone.fail_child(1, None)
    assert "terminated" in lone.result


# Timers.


@pytest.mark.parametrize(
    ("when", "due_us"),
    [
        (timedelta(seconds=5), START_US + 1_000 + 5 * SECOND_US),
        (timedelta(microseconds=1), START_US + 1_001),
        (timedelta(0), START_US + 1_000),
        (datetime(2026, 1, 2, tzinfo=UTC), START_US + 86_400 * SECOND_US),
        (datetime(2026, 1, 2), START_US + 86_400 * SECOND_US),  # without a time zone: UTC
        (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=3))), START_US + 86_400 * SECOND_US),
        (datetime(2025, 1, 1, tzinfo=UTC), 1_735_689_600 * SECOND_US),  # past: it fires at once
    ],
)
def test_a_timer_is_due_at_a_date_or_after_an_interval(when: datetime | timedelta, due_us: int) -> None:
    async def sleeper(ctx: WorkflowContext) -> str:
        await ctx.create_timer(when)
        return ctx.now().isoformat()

    lone = LoneExecution(sleeper)
    assert lone.start() == [TimerCreated(1, due_us)]
    lone.fire(1)
    assert lone.status is Status.COMPLETED


@pytest.mark.parametrize(
    "when",
    [
        timedelta.max,
        timedelta.min,
        datetime.max,
        datetime.min,
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=14))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_a_timer_at_the_end_of_time_or_before_it_began_can_be_stored(when: datetime | timedelta) -> None:
    async def sleeper(ctx: WorkflowContext) -> None:
        await ctx.create_timer(when)

    (timer,) = started(sleeper).timers
    assert abs(timer.fire_at_us) <= LATEST_US


def test_a_retry_at_the_end_of_time_can_be_stored() -> None:
    policy = RetryPolicy(first_retry_interval=timedelta.max, max_number_of_attempts=2)

    async def patient(ctx: WorkflowContext) -> None:
        await ctx.call_activity("a", retry_policy=policy)

    lone = started(patient)
    lone.fail(1)
    assert lone.timer(2).fire_at_us <= LATEST_US


# External events.


async def two_events(ctx: WorkflowContext) -> list[Any]:
    return [await ctx.wait_for_external_event("Go"), await ctx.wait_for_external_event("go")]


@pytest.mark.parametrize("turns", [["GO", "gO"], ["go"], []])
def test_an_event_is_found_by_its_name_in_whatever_case_the_oldest_first(turns: list[str]) -> None:
    # Given two events, of which some come in the first turn, before the code waits,
    lone = LoneExecution(two_events)
    early = [raised(name, number) for number, name in enumerate(["GO", "gO"])]
    lone.start(*early[: len(turns)])
    # when the others come later,
    lone.feed(*early[len(turns) :])
    # then the code gets them in the order in which they came.
    assert lone.result == [0, 1]


def test_events_of_another_name_wait_for_their_turn() -> None:
    async def picky(ctx: WorkflowContext) -> list[Any]:
        return [await ctx.wait_for_external_event(name) for name in ("a", "b", "a")]

    lone = started(picky)
    lone.feed(raised("b", 1), raised("A", 2))
    assert lone.status is Status.RUNNING
    lone.raise_event("a", 3)
    assert lone.result == [2, 1, 3]


def test_events_that_came_before_their_waits_are_had_in_their_order() -> None:
    async def late(ctx: WorkflowContext) -> list[Any]:
        await ctx.call_activity("a")
        return [await ctx.wait_for_external_event(name) for name in ("e", "f", "E", "e")]

    lone = started(late)
    lone.feed(raised("e", 1), raised("F", 2))
    lone.feed(raised("e", 3), raised("E", 4))
    lone.complete(1)
    assert lone.result == [1, 2, 3, 4]


def test_several_waits_for_one_name_are_served_in_their_order() -> None:
    async def queue(ctx: WorkflowContext) -> list[Any]:
        return await ctx.when_all([ctx.wait_for_external_event("e") for _ in range(3)])

    lone = started(queue)
    lone.feed(raised("e", 1), raised("e", 2))
    lone.raise_event("e", 3)
    assert lone.result == [1, 2, 3]


def test_an_event_without_data_is_none_and_one_that_is_no_json_is_its_text() -> None:
    async def one(ctx: WorkflowContext) -> Any:
        return await ctx.wait_for_external_event("e")

    lone = started(one)
    lone.raise_event("e")
    assert lone.result is None
    lone = started(one)
    lone.feed(EventRaised("e", "{"))
    assert lone.result == "{"


async def with_timeout(ctx: WorkflowContext) -> Any:
    try:
        return await ctx.wait_for_external_event("Approve", timeout=timedelta(days=3))
    except TimeoutError as error:
        return str(error)


def test_a_wait_with_a_timeout_has_a_timer_that_refers_to_the_event() -> None:
    lone = LoneExecution(with_timeout)
    (timer,) = lone.start()
    assert timer == TimerCreated(1, lone.now_us + 3 * 86_400 * SECOND_US, TimerOrigin.EXTERNAL_EVENT, "Approve")


def test_an_event_that_comes_first_takes_the_timer_back() -> None:
    lone = started(with_timeout)
    lone.feed(raised("approve", "yes"), TimerFired(1, 0))
    assert lone.result == "yes"
    assert lone.execution.cancelled_timers == [1]


def test_a_timer_that_comes_first_ends_the_wait_and_the_event_is_kept_for_the_next() -> None:
    async def asks_again(ctx: WorkflowContext) -> list[Any]:
        try:
            await ctx.wait_for_external_event("e", timeout=timedelta(1))
        except TimeoutError:
            return ["late", await ctx.wait_for_external_event("e")]
        return []

    lone = started(asks_again)
    lone.feed(TimerFired(1, 0), raised("e", "here"))
    assert lone.result == ["late", "here"]
    assert lone.execution.cancelled_timers == []


def test_a_timeout_names_the_event() -> None:
    lone = started(with_timeout)
    lone.fire(1)
    assert "'Approve'" in lone.result


def test_an_event_that_is_there_already_needs_no_timer() -> None:
    lone = LoneExecution(with_timeout)
    (first, *rest) = lone.start(raised("approve", 1))
    # It came after the first line of the code had run, but in the same turn.
    assert isinstance(first, TimerCreated)
    assert isinstance(rest[0], ExecutionCompleted)

    async def late(ctx: WorkflowContext) -> Any:
        await ctx.call_activity("a")
        return await ctx.wait_for_external_event("e", timeout=timedelta(1))

    lone = started(late)
    lone.raise_event("e", 2)
    assert [type(command) for command in lone.complete(1)] == [ExecutionCompleted]
    assert lone.result == 2


def test_a_late_timer_of_a_wait_that_has_its_event_is_not_heard() -> None:
    async def twice(ctx: WorkflowContext) -> list[Any]:
        return [
            await ctx.wait_for_external_event("e", timeout=timedelta(1)),
            await ctx.wait_for_external_event("e", timeout=timedelta(2)),
        ]

    lone = started(twice)
    lone.raise_event("e", 1)
    lone.feed(TimerFired(1, 0))
    lone.raise_event("e", 2)
    assert lone.result == [1, 2]
    assert lone.execution.cancelled_timers == [1, 2]


def test_a_name_that_lower_case_does_not_settle_is_found_too() -> None:
    async def german(ctx: WorkflowContext) -> Any:
        return await ctx.wait_for_external_event("Straße")

    lone = started(german)
    lone.raise_event("STRASSE", 1)
    assert lone.result == 1


class OddNames(list[str]):
    def __contains__(self, name: object) -> bool:
        raise KeyboardInterrupt("which names?")


def test_a_policy_that_raises_means_no_other_try_and_the_error_says_so() -> None:
    policy = RetryPolicy(
        first_retry_interval=timedelta(seconds=1), max_number_of_attempts=9, non_retryable_error_types=OddNames()
    )

    async def flaky(ctx: WorkflowContext) -> str:
        try:
            await ctx.call_activity("a", retry_policy=policy)
        except TaskFailedError as error:
            return str(error)
        return "done"

    lone = LoneExecution(flaky)
    lone.start()
    lone.fail(1)
    assert "failed: no (and its retry policy raised KeyboardInterrupt: which names?" in (lone.result or "")
