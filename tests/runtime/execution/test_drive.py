"""An execution: events in, commands out. The user's code is driven by hand, whatever its shape and whatever it does."""

import asyncio
import functools
import gc
import inspect
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from perdure import App, RetryPolicy, Status, Task, TaskFailedError, WorkflowContext, WorkflowMisuse, when_all
from perdure.runtime.execution.drive import ContinuedAsNew, Execution
from perdure.runtime.history.event import (
    ChildCreated,
    EventRaised,
    ExecutionCompleted,
    ExecutionSuspended,
    Parent,
    PatchesApplied,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TimerOrigin,
)

from ...support.workflows.lone_execution import START_US, LoneExecution, completed, failed, raised, started

SECOND_US = 1_000_000
# What SQLite and msgpack can both hold.
LATEST_US = 2**63 - 1


# The shapes of code.


async def by_await(ctx: WorkflowContext, n: int) -> list[Any]:
    first = await ctx.call_activity("a", input=n)
    try:
        await ctx.call_activity("b")
    except TaskFailedError as error:
        return [first, error.details.message]
    return []


def by_yield(ctx: WorkflowContext, n: int) -> Generator[Any, Any, list[Any]]:
    first = yield ctx.call_activity("a", input=n)
    try:
        yield ctx.call_activity("b")
    except TaskFailedError as error:
        return [first, error.details.message]
    return []


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """As people write decorators: the wrapper is a plain function, whatever it wraps."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@pytest.mark.parametrize("shape", [by_await, by_yield, decorated(by_await), decorated(by_yield)])
def test_a_coroutine_and_a_generator_do_the_same(shape: Callable[..., Any]) -> None:
    lone = LoneExecution(shape, 7)
    # Results are handed in, failures are raised where the code waits, and what it returns is the result.
    assert lone.start() == [TaskScheduled(1, "a", "7", "x1-1")]
    assert lone.complete(1, "one") == [TaskScheduled(2, "b", None, "x1-2")]
    assert lone.fail(2, message="broke") == [ExecutionCompleted(3, Status.COMPLETED, '["one","broke"]')]
    assert lone.status is Status.COMPLETED


def test_a_plain_function_is_over_in_its_first_turn() -> None:
    def plain(ctx: WorkflowContext, n: int) -> int:
        return n + 1

    lone = LoneExecution(plain, 1)
    assert lone.start() == [ExecutionCompleted(1, Status.COMPLETED, "2")]


def test_a_generator_that_never_yields_and_a_coroutine_that_never_awaits_are_over_in_their_first_turn() -> None:
    def nothing_to_yield(ctx: WorkflowContext) -> Generator[Any, Any, int]:
        return 1
        yield

    async def nothing_to_await(ctx: WorkflowContext) -> int:
        return 1

    assert started(nothing_to_yield).result == 1
    assert started(nothing_to_await).result == 1


def test_none_is_a_result_without_a_payload() -> None:
    async def silent(ctx: WorkflowContext) -> None:
        return None

    lone = LoneExecution(silent)
    assert lone.start() == [ExecutionCompleted(1, Status.COMPLETED, None)]


@dataclass
class Order:
    sku: str
    count: int = 1


def test_input_and_output_are_decoded_and_encoded_by_their_annotations() -> None:
    async def double(ctx: WorkflowContext, order: Order) -> Order:
        return Order(order.sku, 2 * order.count)

    assert started(double, {"sku": "a", "count": 2}).result == {"sku": "a", "count": 4}


def test_an_input_that_does_not_fit_its_annotation_fails_the_workflow_and_says_why() -> None:
    async def double(ctx: WorkflowContext, order: Order) -> Order:
        raise AssertionError("its code must not run")

    failure = started(double, {"count": "two"}).failure
    assert failure.error_type == "PayloadError"
    assert "Order" in failure.message


def test_an_output_that_json_has_no_form_for_fails_the_workflow_and_nothing_else_is_told() -> None:
    async def alien(ctx: WorkflowContext) -> Any:
        return object()

    def alien_by_yield(ctx: WorkflowContext) -> Generator[Any, Any, Any]:
        yield ctx.when_all([])
        return object()

    for shape in (alien, alien_by_yield):
        failure = started(shape).failure
        assert failure.error_type == "PayloadError"
        assert "object" in failure.message
        level = failure.inner
        while level is not None:  # how the engine learns of a return is none of the user's business
            assert level.error_type != "StopIteration"
            level = level.inner


def test_a_missing_input_is_none_or_the_default_that_the_function_names() -> None:
    async def without(ctx: WorkflowContext, n: int | None) -> Any:
        return n

    async def with_default(ctx: WorkflowContext, n: int = 3) -> Any:
        return n

    assert started(without).result is None
    assert started(with_default).result == 3
    assert started(with_default, 4).result == 4


# Ends.


def test_an_exception_fails_the_workflow_and_tells_where_in_the_users_code() -> None:
    def helper() -> None:
        raise KeyError("x")

    async def broken(ctx: WorkflowContext) -> None:
        await ctx.call_activity("a")
        helper()

    lone = started(broken)
    assert lone.complete(1)[-1].status == Status.FAILED  # type: ignore[union-attr]
    assert (lone.failure.error_type, lone.failure.message) == ("KeyError", "'x'")
    assert lone.failure.stack_trace is not None
    assert "in helper" in lone.failure.stack_trace
    # None of our own frames: they tell the user nothing.
    assert inspect.getfile(Execution) not in lone.failure.stack_trace


def test_an_activity_that_failed_and_is_not_caught_fails_the_workflow_with_a_task_failed_error() -> None:
    async def careless(ctx: WorkflowContext) -> None:
        await ctx.call_activity("a")

    lone = started(careless)
    lone.fail(1, "ConnectionError", "no route")
    assert lone.failure.error_type == "TaskFailedError"
    assert "Activity task #1 failed: no route" in lone.failure.message


@pytest.mark.parametrize("wanted", [SystemExit(3), GeneratorExit(), asyncio.CancelledError(), BaseException("odd")])
@pytest.mark.parametrize("waits_first", [False, True])
def test_what_would_end_the_process_ends_only_the_workflow(wanted: BaseException, waits_first: bool) -> None:
    async def coroutine(ctx: WorkflowContext) -> None:
        if waits_first:
            await ctx.call_activity("a")
        raise wanted

    def generator(ctx: WorkflowContext) -> Generator[Any, Any, None]:
        if waits_first:
            yield ctx.call_activity("a")
        raise wanted
        yield

    def plain(ctx: WorkflowContext) -> None:
        raise wanted

    for shape in (coroutine, generator, *(() if waits_first else (plain,))):
        lone = started(shape)
        if waits_first:
            lone.complete(1)
        assert lone.failure.error_type == type(wanted).__name__


def test_an_interrupt_from_the_keyboard_is_for_the_process() -> None:
    async def interrupted(ctx: WorkflowContext) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        started(interrupted)


def test_what_is_not_awaited_at_the_end_is_asked_for_all_the_same_and_before_the_end() -> None:
    async def hasty(ctx: WorkflowContext) -> str:
        ctx.call_activity("a")
        ctx.call_child_workflow("c")
        ctx.create_timer(timedelta(days=1))
        return "done"

    kinds = [type(command) for command in LoneExecution(hasty).start()]
    assert kinds == [TaskScheduled, ChildCreated, TimerCreated, ExecutionCompleted]


def test_what_is_asked_for_before_a_failure_is_asked_for_all_the_same() -> None:
    async def broken(ctx: WorkflowContext) -> None:
        ctx.call_activity("a")
        raise ValueError("x")

    lone = LoneExecution(broken)
    assert [type(command) for command in lone.start()] == [TaskScheduled, ExecutionCompleted]
    assert lone.status is Status.FAILED


def test_events_after_the_end_are_not_taken() -> None:
    async def one(ctx: WorkflowContext) -> Any:
        return await ctx.wait_for_external_event("e")

    lone = started(one)
    lone.feed(raised("e", 1), raised("e", 2), raised("e", 3))
    assert (lone.taken, lone.result) == (1, 1)
    assert lone.feed(raised("e", 4)) == []
    assert lone.taken == 0


def test_events_that_are_for_nobody_are_taken_and_change_nothing() -> None:
    async def one(ctx: WorkflowContext) -> Any:
        return await ctx.call_activity("a")

    lone = started(one)
    assert lone.feed(completed(9), failed(9), TimerFired(9, 0), ExecutionSuspended(None)) == []
    assert (lone.taken, lone.status) == (4, Status.RUNNING)
    lone.complete(1, 1)
    assert lone.result == 1


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


def test_a_child_knows_its_parent() -> None:
    async def child(ctx: WorkflowContext) -> str | None:
        return ctx.parent_instance_id

    assert started(child, parent=Parent("p", "px", 1, "pw")).result == "p"
    assert started(child).result is None


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
    # Given two events, of which some come in the first turn, before anybody waits,
    lone = LoneExecution(two_events)
    early = [raised(name, number) for number, name in enumerate(["GO", "gO"])]
    lone.start(*early[: len(turns)])
    # when the others come later,
    lone.feed(*early[len(turns) :])
    # then they are had in the order in which they came.
    assert lone.result == [0, 1]


def test_events_of_another_name_wait_for_their_turn() -> None:
    async def picky(ctx: WorkflowContext) -> list[Any]:
        return [await ctx.wait_for_external_event(name) for name in ("a", "b", "a")]

    lone = started(picky)
    lone.feed(raised("b", 1), raised("A", 2))
    assert lone.status is Status.RUNNING
    lone.raise_event("a", 3)
    assert lone.result == [2, 1, 3]


def test_events_that_came_before_anybody_waited_are_had_in_their_order() -> None:
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


def test_an_event_without_data_is_none_and_one_that_is_no_json_fails_the_wait() -> None:
    async def one(ctx: WorkflowContext) -> Any:
        try:
            return await ctx.wait_for_external_event("e")
        except ValueError:
            return "no JSON"

    lone = started(one)
    lone.raise_event("e")
    assert lone.result is None
    lone = started(one)
    lone.feed(EventRaised("e", "{"))
    assert lone.result == "no JSON"


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


# Beginning again.


def test_continue_as_new_ends_the_generation_without_a_completion() -> None:
    async def round_(ctx: WorkflowContext, n: int) -> None:
        await ctx.call_activity("a")
        ctx.continue_as_new(n + 1)

    lone = started(round_, 1)
    assert lone.complete(1) == []
    assert lone.execution.outcome == ContinuedAsNew("2", [])


@pytest.mark.parametrize("by", ["await", "yield"])
def test_after_continue_as_new_nothing_more_is_waited_for(by: str) -> None:
    async def coroutine(ctx: WorkflowContext) -> None:
        ctx.continue_as_new(1)
        await ctx.call_activity("last words")
        raise AssertionError("it went on")

    def generator(ctx: WorkflowContext) -> Generator[Any, Any, None]:
        ctx.continue_as_new(1)
        yield ctx.call_activity("last words")
        raise AssertionError("it went on")

    lone = LoneExecution(coroutine if by == "await" else generator)
    # What was asked for is asked for all the same.
    assert lone.start() == [TaskScheduled(1, "last words", None, "x1-1")]
    assert lone.status is Status.CONTINUED_AS_NEW


def test_a_plain_function_can_begin_again() -> None:
    def plain(ctx: WorkflowContext) -> None:
        ctx.continue_as_new("again")

    assert started(plain).execution.outcome == ContinuedAsNew('"again"', [])


async def collects(ctx: WorkflowContext, keep: bool) -> None:
    await ctx.wait_for_external_event("a")
    await ctx.call_activity("x")
    ctx.continue_as_new(None, save_events=keep)


@pytest.mark.parametrize("keep", [True, False])
def test_events_that_nobody_waited_for_go_along_only_if_wanted_and_in_their_order(keep: bool) -> None:
    lone = started(collects, keep)
    early = [raised("B", 1), raised("a", 2), raised("a", 3), raised("b", 4)]
    lone.feed(*early)
    # What comes in the same turn behind the end was not fed: it is for whoever feeds to keep.
    lone.feed(completed(1), raised("later", 5))
    outcome = lone.execution.outcome
    assert isinstance(outcome, ContinuedAsNew)
    assert outcome.carried == ([early[0], early[2], early[3]] if keep else [])
    assert lone.taken == 1


def test_an_exception_after_continue_as_new_fails_the_workflow() -> None:
    async def undecided(ctx: WorkflowContext) -> None:
        ctx.continue_as_new(1)
        raise ValueError("no, wait")

    assert started(undecided).failure.message == "no, wait"


def test_the_last_continue_as_new_counts() -> None:
    async def twice(ctx: WorkflowContext) -> None:
        ctx.continue_as_new(1, save_events=True)
        ctx.continue_as_new(2)

    assert started(twice).execution.outcome == ContinuedAsNew("2", [])


# Custom status.


@pytest.mark.parametrize(
    ("given", "shown"),
    [("half way", "half way"), ("", ""), ({"n": 1}, '{"n":1}'), (5, "5"), (None, None), ("\udcff", "?")],
)
def test_a_custom_status_is_text_as_it_is_and_other_values_as_json(given: Any, shown: str | None) -> None:
    async def shows(ctx: WorkflowContext) -> None:
        ctx.set_custom_status("before")
        ctx.set_custom_status(given)
        await ctx.call_activity("a")

    lone = started(shows)
    assert lone.execution.custom_status == shown
    lone.complete(1)
    assert lone.execution.custom_status == shown, "it stays until it is set again"


# What is the same at every replay.


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
    # Histories that are on disk were made with them.
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
    lone.feed(completed(1), after_us=60 * SECOND_US)
    first, same, later = (datetime.fromisoformat(date) for date in lone.result)
    assert first == same == datetime(2026, 1, 1, 0, 0, 0, 1_000, tzinfo=UTC)
    assert later - first == timedelta(minutes=1)


def test_the_context_says_who_and_what_runs() -> None:
    async def who(ctx: WorkflowContext) -> list[Any]:
        return [ctx.instance_id, ctx.execution_id, ctx.workflow_name, ctx.is_replaying]

    assert started(who, instance_id="me", execution_id="x9").result == ["me", "x9", "who", False]


# Patches.


async def patched(ctx: WorkflowContext) -> list[bool]:
    first = [ctx.is_patched("a"), ctx.is_patched("a")]
    await ctx.call_activity("x")
    return [*first, ctx.is_patched("b"), ctx.is_patched("a")]


def test_code_that_runs_for_the_first_time_takes_every_patch_and_says_so_once_at_the_head_of_the_turn() -> None:
    lone = LoneExecution(patched)
    assert lone.start() == [PatchesApplied(("a",)), TaskScheduled(1, "x", None, "x1-1")]
    assert lone.complete(1)[0] == PatchesApplied(("b",))
    assert lone.result == [True, True, True, True]


def test_an_instance_that_went_past_with_the_old_code_does_not_take_the_patch_there_but_further_on_it_does() -> None:
    async def old(ctx: WorkflowContext) -> list[bool]:
        await ctx.call_activity("x")
        return []

    # Given an instance that passed the first place with the old code,
    lone = started(old)
    # when it goes on with the new,
    lone.execution = lone.replayed(patched)
    lone.complete(1)
    # then what it had passed stays as it was, also where it is asked again.
    assert lone.result == [False, False, True, False]


def test_an_instance_that_took_a_patch_takes_it_at_every_replay() -> None:
    lone = started(patched)
    lone.evict()
    lone.complete(1)
    assert lone.result == [True, True, True, True]


# Misuse.


def misuse_of(function: Callable[..., Any]) -> str:
    """What a workflow is told that waits for something replay cannot repeat."""
    failure = started(function).failure
    assert failure.error_type == "WorkflowMisuse", failure
    return failure.message


async def with_a_loop(function: Callable[..., Any]) -> str:
    return misuse_of(function)


async def sleeps(ctx: WorkflowContext) -> None:
    await asyncio.sleep(1)


async def sleeps_not(ctx: WorkflowContext) -> None:
    await asyncio.sleep(0)


async def gathers(ctx: WorkflowContext) -> None:
    await asyncio.gather(ctx.call_activity("a"), ctx.call_activity("b"))


async def waits_for_a_future(ctx: WorkflowContext) -> None:
    await asyncio.get_running_loop().create_future()


async def waits_for_a_thread(ctx: WorkflowContext) -> None:
    await asyncio.to_thread(int)


def yields_a_list(ctx: WorkflowContext) -> Generator[Any, Any, None]:
    yield [ctx.call_activity("a")]


def yields_nothing(ctx: WorkflowContext) -> Generator[Any, Any, None]:
    yield


def yields_a_coroutine(ctx: WorkflowContext) -> Generator[Any, Any, None]:
    coroutine = sleeps_not(ctx)
    try:
        yield coroutine
    finally:
        coroutine.close()


@pytest.mark.parametrize(
    "function",
    [
        sleeps,
        sleeps_not,
        gathers,
        waits_for_a_future,
        waits_for_a_thread,
        yields_a_list,
        yields_nothing,
        yields_a_coroutine,
    ],
)
@pytest.mark.filterwarnings("ignore:.*was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_waiting_for_what_is_not_the_contexts_fails_with_what_to_do_instead(function: Callable[..., Any]) -> None:
    message = asyncio.run(with_a_loop(function))
    for advice in ("ctx.call_activity", "ctx.create_timer", "ctx.when_all"):
        assert advice in message


def test_a_misuse_is_raised_where_it_happens_so_that_the_traceback_shows_the_line() -> None:
    failure = started(sleeps_not).failure
    assert failure.stack_trace is not None
    assert "await asyncio.sleep(0)" in failure.stack_trace


def test_a_misuse_that_the_code_swallows_again_and_again_ends_it() -> None:
    # Or one workflow would keep its host busy for ever.
    async def stubborn(ctx: WorkflowContext) -> None:
        while True:
            with suppress(Exception):
                await asyncio.sleep(0)

    assert "ctx.create_timer" in misuse_of(stubborn)


def test_a_misuse_that_the_code_handles_is_no_end() -> None:
    async def repentant(ctx: WorkflowContext) -> Any:
        try:
            await asyncio.sleep(0)
        except WorkflowMisuse:
            return await ctx.call_activity("a")

    lone = started(repentant)
    lone.complete(1, "better")
    assert lone.result == "better"


def test_a_task_awaited_by_an_asyncio_task_says_what_to_use_instead() -> None:
    seen: list[BaseException | None] = []

    async def splits(ctx: WorkflowContext) -> None:
        async def other() -> None:
            await ctx.call_activity("b")

        seen.append(asyncio.get_running_loop().create_task(other()))  # type: ignore[arg-type]
        await ctx.call_activity("a")

    async def story() -> None:
        lone = started(splits)
        with pytest.raises(WorkflowMisuse, match="outside its workflow"):
            await seen[0]  # type: ignore[misc]
        assert lone.status is Status.RUNNING

    asyncio.run(story())


def test_a_task_of_another_execution_cannot_be_waited_for() -> None:
    leaked: list[Task[Any]] = []

    async def leaks(ctx: WorkflowContext) -> None:
        leaked.append(ctx.call_activity("a"))
        await leaked[0]

    async def takes(ctx: WorkflowContext) -> None:
        await leaked[0]

    def takes_by_yield(ctx: WorkflowContext) -> Generator[Any, Any, None]:
        yield leaked[0]

    started(leaks)
    for thief in (takes, takes_by_yield):
        lone = started(thief)
        assert lone.failure.error_type == "WorkflowMisuse"


CTX: list[WorkflowContext] = []


async def leaks_its_context(ctx: WorkflowContext) -> None:
    CTX[:] = [ctx]
    await ctx.call_activity("a")


USES: list[Callable[[WorkflowContext], Any]] = [
    lambda ctx: ctx.call_activity("b"),
    lambda ctx: ctx.call_child_workflow("c"),
    lambda ctx: ctx.create_timer(timedelta(1)),
    lambda ctx: ctx.wait_for_external_event("e"),
    lambda ctx: ctx.continue_as_new(1),
    lambda ctx: ctx.set_custom_status("x"),
    lambda ctx: ctx.is_patched("p"),
    lambda ctx: ctx.uuid4(),
    lambda ctx: ctx.random(),
]


@pytest.mark.parametrize("use", USES)
def test_a_context_used_outside_its_workflow_says_so_and_changes_nothing(use: Callable[[WorkflowContext], Any]) -> None:
    lone = started(leaks_its_context)
    with pytest.raises(WorkflowMisuse, match="outside its workflow"):
        use(CTX[0])
    assert [type(command) for command in lone.complete(1)] == [ExecutionCompleted]
    assert lone.execution.custom_status is None


def test_a_context_used_in_a_thread_of_the_workflows_own_is_caught_once_the_turn_is_over() -> None:
    lone = started(leaks_its_context)
    caught: list[BaseException] = []

    def elsewhere() -> None:
        try:
            CTX[0].call_activity("b")
        except WorkflowMisuse as error:
            caught.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(caught) == 1
    assert lone.commands == [TaskScheduled(1, "a", None, "x1-1")]


def test_a_task_may_be_awaited_twice_and_has_the_same_result_each_time() -> None:
    async def twice(ctx: WorkflowContext) -> list[Any]:
        task = ctx.call_activity("a")
        return [await task, await task]

    def twice_by_yield(ctx: WorkflowContext) -> Generator[Any, Any, list[Any]]:
        task = ctx.call_activity("a")
        one = yield task
        other = yield task
        return [one, other]

    for shape in (twice, twice_by_yield):
        lone = started(shape)
        lone.complete(1, "same")
        assert lone.result == ["same", "same"]


def test_a_failed_task_may_be_awaited_twice_and_fails_each_time() -> None:
    async def twice(ctx: WorkflowContext) -> int:
        task, failures = ctx.call_activity("a"), 0
        for _ in range(2):
            try:
                await task
            except TaskFailedError:
                failures += 1
        return failures

    def twice_by_yield(ctx: WorkflowContext) -> Generator[Any, Any, int]:
        task, failures = ctx.call_activity("a"), 0
        for _ in range(2):
            try:
                yield task
            except TaskFailedError:
                failures += 1
        return failures

    for shape in (twice, twice_by_yield):
        lone = started(shape)
        lone.fail(1)
        assert lone.result == 2


def test_the_functions_when_all_and_when_any_are_those_of_the_context() -> None:
    async def free(ctx: WorkflowContext) -> list[Any]:
        return await when_all([ctx.call_activity("a"), ctx.call_activity("b")])

    lone = started(free)
    lone.feed(completed(1, 1), completed(2, 2))
    assert lone.result == [1, 2]


def test_an_async_iterator_and_an_async_context_manager_of_the_users_own_work() -> None:
    async def pages(ctx: WorkflowContext) -> AsyncIterator[Any]:
        while (page := await ctx.call_activity("page")) is not None:
            yield page

    async def reads(ctx: WorkflowContext) -> list[Any]:
        return [page async for page in pages(ctx)]

    lone = started(reads)
    for task_id, page in enumerate(["one", "two", None], start=1):
        lone.complete(task_id, page)
    assert lone.result == ["one", "two"]


def test_a_context_variable_of_one_workflow_is_not_seen_by_another_and_lasts_from_turn_to_turn() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    async def sets(ctx: WorkflowContext) -> str:
        before = variable.get()
        variable.set(ctx.instance_id)
        await ctx.call_activity("a")
        return f"{before} {variable.get()}"

    one, other = started(sets, instance_id="one"), started(sets, instance_id="other")
    assert variable.get() == "unset"
    one.complete(1)
    other.complete(1)
    assert (one.result, other.result) == ("unset one", "unset other")


def test_a_context_variable_of_the_host_is_not_seen_by_a_workflow() -> None:
    # It would be another after a restart.
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    async def looks(ctx: WorkflowContext) -> str:
        return variable.get()

    token = variable.set("the host's")
    try:
        assert started(looks).result == "unset"
    finally:
        variable.reset(token)


# Being put away.


def test_what_the_code_does_on_its_way_out_counts_for_nothing() -> None:
    async def leaves(ctx: WorkflowContext, how: str) -> None:
        try:
            await ctx.wait_for_external_event("never")
        finally:
            if how == "asks":
                ctx.call_activity("cleanup")
            elif how == "exits":
                raise SystemExit(1)
            elif how == "is cancelled":
                raise asyncio.CancelledError
            elif how == "raises":
                raise ValueError("x")

    for how in ("asks", "exits", "is cancelled", "raises", "nothing"):
        lone = started(leaves, how)
        lone.execution.close()
        lone.execution.close()
        assert lone.commands == []
        assert lone.execution.outcome is None


def test_code_that_does_not_want_to_leave_is_left() -> None:
    async def clings(ctx: WorkflowContext) -> None:
        try:
            await ctx.wait_for_external_event("never")
        except GeneratorExit:
            await asyncio.sleep(0)

    started(clings).execution.close()


def test_an_execution_that_has_not_begun_can_be_put_away() -> None:
    LoneExecution(two_events).execution.close()


async def sleeps_an_hour(ctx: WorkflowContext) -> None:
    await ctx.create_timer(timedelta(hours=1))


async def waits_for_three_things(ctx: WorkflowContext) -> None:
    event = ctx.wait_for_external_event("never", timeout=timedelta(hours=1))
    await ctx.when_any([event, ctx.call_activity("a"), ctx.call_child_workflow("w")])


def yields(ctx: WorkflowContext) -> Generator[Any, Any, None]:
    yield ctx.call_activity("a")


@pytest.mark.parametrize("workflow", [sleeps_an_hour, waits_for_three_things, yields])
def test_what_is_put_away_while_it_waits_leaves_memory_without_the_garbage_collector(
    workflow: Callable[..., Any],
) -> None:
    lone = started(workflow)
    left = weakref.ref(lone.execution._context_variables)  # its own; a compiled execution has no weak references
    gc.disable()
    try:
        lone.execution.close()
        del lone
        assert left() is None
    finally:
        gc.enable()
