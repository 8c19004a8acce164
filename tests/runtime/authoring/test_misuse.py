"""The error for forbidden workflow code is in Perdure's words: it names the misuse and the right way."""

import asyncio
import inspect
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx
import pytest

from perdure import (
    ActivityContext,
    App,
    Engine,
    RetryPolicy,
    Status,
    WorkflowContext,
    WorkflowMisuse,
)
from perdure.runtime.authoring.misuse import did_you_mean, in_our_words, interval_of

from ...support.workflows.lone_execution import LoneExecution, started


async def charge(ctx: ActivityContext, amount: int) -> int:
    return amount


def task_of_an_activity(ctx: Any, amount: int) -> Any:
    return ctx.task_execution_id


# Code, and the text of its failure.


async def timer_of_text(ctx: Any) -> None:
    await ctx.create_timer("5 minutes")


async def timer_of_nothing(ctx: Any) -> None:
    await ctx.create_timer(None)


async def timer_of_truth(ctx: Any) -> None:
    await ctx.create_timer(True)


async def timer_of_nan(ctx: Any) -> None:
    await ctx.create_timer(float("nan"))


async def timeout_of_text(ctx: Any) -> None:
    await ctx.wait_for_external_event("e", timeout="5")


async def event_of_number(ctx: Any) -> None:
    await ctx.wait_for_external_event(5)


async def event_of_nothing(ctx: Any) -> None:
    await ctx.wait_for_external_event(None)


async def event_without_name(ctx: Any) -> None:
    await ctx.wait_for_external_event("")


async def id_of_number(ctx: Any) -> None:
    await ctx.call_child_workflow("c", instance_id=5)


async def patch_of_number(ctx: Any) -> None:
    ctx.is_patched([5])


async def activity_of_number(ctx: Any) -> None:
    await ctx.call_activity(5)


async def activity_called(ctx: Any) -> None:
    await ctx.call_activity(charge(ctx, 5))


async def child_called(ctx: Any) -> None:
    await ctx.call_child_workflow(charge(ctx, 5))


async def child_of_task(ctx: Any) -> None:
    await ctx.call_child_workflow(ctx.call_activity("a"))


async def activity_as_function(ctx: Any) -> Any:
    return task_of_an_activity(ctx, 5)


def coroutine_yielded(ctx: Any) -> Generator[Any, Any, None]:
    yield charge(ctx, 5)


async def policy_of_number(ctx: Any) -> None:
    await ctx.call_activity("a", retry_policy=3)


async def childs_policy_of_number(ctx: Any) -> None:
    await ctx.call_child_workflow("a", retry_policy={"max_number_of_attempts": 3})


async def misspelt_verb(ctx: Any) -> None:
    await ctx.call_actvity("a")


async def unknown_verb(ctx: Any) -> None:
    await ctx.frobnicate()


async def tasks_without_list(ctx: Any) -> None:
    await ctx.when_all(ctx.call_activity("a"), ctx.call_activity("b"))


async def any_without_list(ctx: Any) -> None:
    await ctx.when_any(ctx.call_activity("a"), ctx.call_activity("b"))


async def all_of_one(ctx: Any) -> None:
    await ctx.when_all(ctx.call_activity("a"))


async def item_of_task(ctx: Any) -> Any:
    return ctx.call_activity("a")["total"]


async def attribute_of_task(ctx: Any) -> Any:
    return ctx.call_activity("a").total


async def loop_over_task(ctx: Any) -> Any:
    return [each for each in ctx.call_activity("a")]  # noqa: C416


async def length_of_task(ctx: Any) -> Any:
    return len(ctx.call_activity("a"))


async def sum_with_task(ctx: Any) -> Any:
    return ctx.call_activity("a") + 1


async def sum_with_task_behind(ctx: Any) -> Any:
    return 1 + ctx.call_activity("a")


async def number_of_task(ctx: Any) -> Any:
    return int(ctx.call_activity("a"))


async def task_as_result(ctx: Any) -> Any:
    return ctx.call_activity("a")


async def task_as_input(ctx: Any) -> Any:
    return await ctx.call_activity("b", input={"before": ctx.call_activity("a")})


async def with_timeout(ctx: Any) -> None:
    async with asyncio.timeout(5):
        await ctx.call_activity("a")


async def with_group(ctx: Any) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(charge(ctx, 1))


async def with_scope(ctx: Any) -> None:
    with anyio.move_on_after(5):
        await ctx.call_activity("a")


async def with_anyio_group(ctx: Any) -> None:
    async with anyio.create_task_group():
        await ctx.call_activity("a")


async def sleeps(ctx: Any) -> None:
    await asyncio.sleep(5)


async def with_client(ctx: Any) -> None:
    async with httpx.AsyncClient() as client:
        await client.get("http://127.0.0.1:1/")


async def input_by_position(ctx: Any) -> None:
    await ctx.call_activity("a", 5)


async def unknown_option(ctx: Any) -> None:
    await ctx.call_activity("a", input=5, retries=3)


async def timeout_by_position(ctx: Any) -> None:
    await ctx.wait_for_external_event("e", 5)


AWAIT = "Await only what the context gives"
NOT_AWAITED = "it was not awaited"

MISUSED: list[tuple[Callable[..., Any], str]] = [
    (timer_of_text, "ctx.create_timer takes a datetime, a timedelta or seconds, not str"),
    (timer_of_nothing, "or seconds, not NoneType (None)"),
    (timer_of_truth, "or seconds, not bool (True)"),
    (timer_of_nan, "or seconds, not float (nan)"),
    (timeout_of_text, "ctx.wait_for_external_event takes a datetime, a timedelta or seconds, not str"),
    (event_of_number, "the name of an event must be a str, not int (5)"),
    (event_of_nothing, "the name of an event must be a str, not NoneType (None)"),
    (event_without_name, "the name of an event is empty"),
    (id_of_number, "the instance ID of a child workflow must be a str, not int (5)"),
    (patch_of_number, "the name of a patch must be a str, not list"),
    (activity_of_number, "ctx.call_activity takes the activity itself or its name, not int"),
    (activity_called, "Write ctx.call_activity(charge, input=...)"),
    (child_called, "Write ctx.call_child_workflow(charge, input=...)"),
    (child_of_task, "ctx.call_child_workflow takes the workflow itself or its name, not Task"),
    (activity_as_function, "an activity was called as a function"),
    (coroutine_yielded, "Write ctx.call_activity(charge, input=...)"),
    (policy_of_number, "takes a perdure.RetryPolicy, not int"),
    (childs_policy_of_number, "takes a perdure.RetryPolicy, not dict"),
    (misspelt_verb, "has no 'call_actvity'. Did you mean 'call_activity'?"),
    (unknown_verb, "has no 'frobnicate'. It has call_activity, call_child_workflow, continue_as_new"),
    (input_by_position, "are given by name: await ctx.call_activity(charge, input=order)"),
    (unknown_option, "unexpected keyword argument 'retries'"),
    (timeout_by_position, "timeout and save_events are given by name"),
    (tasks_without_list, "Write ctx.when_all([one, other]), with brackets"),
    (any_without_list, "Write ctx.when_any([one, other]), with brackets"),
    (all_of_one, "a task was used as if it were its result"),
    (item_of_task, NOT_AWAITED),
    (attribute_of_task, NOT_AWAITED),
    (loop_over_task, NOT_AWAITED),
    (length_of_task, NOT_AWAITED),
    (sum_with_task, NOT_AWAITED),
    (sum_with_task_behind, NOT_AWAITED),
    (number_of_task, NOT_AWAITED),
    (task_as_result, NOT_AWAITED),
    (task_as_input, NOT_AWAITED),
    (with_timeout, "put ctx.create_timer and the task into ctx.when_any"),
    (with_group, AWAIT),
    (with_scope, AWAIT),
    (with_anyio_group, AWAIT),
    (sleeps, AWAIT),
    (with_client, AWAIT),
]


@pytest.mark.parametrize(("code", "said"), MISUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_misuse_fails_the_workflow_and_says_what_to_do(code: Callable[..., Any], said: str) -> None:
    app = App("test")
    app.workflow(code)
    lone = LoneExecution(code, app=app)
    # As the host does: in a turn no task of an event loop is running.
    lone.start()
    assert lone.status is Status.FAILED
    assert said in lone.failure.message
    assert lone.failure.error_type in ("WorkflowMisuse", "NoSuchMember", "PayloadError")


@pytest.mark.parametrize("code", [with_timeout, with_group, with_scope, with_anyio_group, with_client, sleeps])
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_needs_an_event_loop_is_told_in_a_running_engine_too(
    code: Callable[..., Any], anyio_backend: str
) -> None:
    app = App("test")
    app.workflow(code)
    app.activity(name="a")(charge)
    async with Engine(app, data=":memory:") as engine:
        state = await engine.client.wait(await engine.client.start(code), timeout=timedelta(seconds=10))
        assert state.status is Status.FAILED
        assert state.details.failure is not None
        assert AWAIT in state.details.failure.message
        # The engine still works.
        assert engine.ready


@pytest.mark.parametrize(
    ("when", "interval"),
    [
        (5, timedelta(seconds=5)),
        (0.25, timedelta(milliseconds=250)),
        (0, timedelta(0)),
        (-1, timedelta(seconds=-1)),
        (1e300, timedelta.max),
        (-1e300, timedelta.min),
        (10**400, timedelta.max),  # beyond a float
        (-(10**400), timedelta.min),
        (timedelta(days=1), timedelta(days=1)),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_number_is_seconds(when: Any, interval: Any) -> None:
    assert interval_of(when, "create_timer") == interval


def test_seconds_are_taken_for_timers_and_timeouts() -> None:
    async def slow(ctx: WorkflowContext) -> str:
        await ctx.create_timer(5)
        try:
            await ctx.wait_for_external_event("e", timeout=0.5)
        except TimeoutError:
            return "late"
        return "in time"

    lone = started(slow)
    assert lone.timer(1).fire_at_us == lone.now_us + 5_000_000
    lone.fire(1)
    assert lone.timer(2).fire_at_us == lone.now_us + 500_000
    lone.fire(2)
    assert lone.result == "late"


def test_a_coroutine_that_was_handed_over_is_closed() -> None:
    given = charge(None, 5)  # type: ignore[arg-type]

    async def hands_over(ctx: Any) -> None:
        await ctx.call_activity(given)

    started(hands_over)
    assert inspect.getcoroutinestate(given) == inspect.CORO_CLOSED


def test_a_caught_misuse_lets_the_code_go_on() -> None:
    async def careful(ctx: Any) -> str:
        try:
            ctx.create_timer("soon")
        except WorkflowMisuse:
            return "caught"
        return "not raised"

    assert started(careful).result == "caught"


def test_a_task_is_still_true_and_a_context_still_says_what_it_has_not() -> None:
    async def asks(ctx: Any) -> list[bool]:
        return [
            bool(ctx.call_activity("a")),
            hasattr(ctx, "call_activity"),
            hasattr(ctx, "nothing"),
            hasattr(ctx, "__len__"),
        ]

    assert started(asks).result == [True, True, False, False]


def test_a_retry_policy_is_taken() -> None:
    policy = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=2)

    async def calls(ctx: WorkflowContext) -> Any:
        return await ctx.call_activity("a", retry_policy=policy)

    lone = started(calls)
    lone.complete(1, 7)
    assert lone.result == 7


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("chrage", " Did you mean 'charge'?"),
        ("Charge", " Did you mean 'charge'?"),
        ("charge_", " Did you mean 'charge'?"),
        ("ship", ""),
        ("", ""),
        ("x" * 100_000, ""),
    ],
)
def test_a_name_that_is_close_is_named(name: str, said: str) -> None:
    assert did_you_mean(name, ["charge", "refund"]) == said


@pytest.mark.parametrize("kind", ["activity", "workflow"])
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_misspelt_name_of_an_activity_or_a_child_is_named(kind: str, anyio_backend: str) -> None:
    app = App("shop")
    app.activity(name="charge")(charge)

    @app.workflow
    async def order(ctx: WorkflowContext) -> Any:
        if kind == "activity":
            return await ctx.call_activity("chrage", input=5)
        return await ctx.call_child_workflow("oder")

    async with Engine(app, data=":memory:") as engine:
        state = await engine.client.wait(await engine.client.start(order), timeout=timedelta(seconds=10))
        assert state.details.failure is not None
        right = "charge" if kind == "activity" else "order"
        assert f"Did you mean '{right}'?" in state.details.failure.message


class Odd(RuntimeError):
    def __str__(self) -> str:
        raise AssertionError("nothing of a user's error is asked for")


@pytest.mark.parametrize(
    "error", [ValueError("inside a task"), RuntimeError("mine"), RuntimeError(5), Odd("inside a task")]
)
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    assert in_our_words(error) is error
