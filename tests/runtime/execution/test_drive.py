"""An execution: events in, commands out. The user's code is driven by hand, in each of its shapes."""

import asyncio
import contextlib
import functools
import gc
import inspect
import weakref
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from perdure import Status, TaskFailedError, WorkflowContext
from perdure.runtime.execution.drive import ContinuedAsNew, Execution
from perdure.runtime.history.event import (
    ChildCreated,
    ExecutionCompleted,
    ExecutionSuspended,
    PatchesApplied,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)

from ...support.workflows.hard_exceptions import HARD_EXCEPTIONS
from ...support.workflows.lone_execution import LoneExecution, completed, failed, raised, started

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
    """A decorator as users write it: the wrapper is a plain function around any kind of function."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@pytest.mark.parametrize("shape", [by_await, by_yield, decorated(by_await), decorated(by_yield)])
def test_a_coroutine_and_a_generator_do_the_same(shape: Callable[..., Any]) -> None:
    lone = LoneExecution(shape, 7)
    # Results are handed in, failures are raised where the code waits, and the code's return value is the result.
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
        while level is not None:  # the user does not see how the engine learns of a return
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
    # No frame of Perdure: these tell the user nothing.
    assert inspect.getfile(Execution) not in lone.failure.stack_trace


def test_an_activity_that_failed_and_is_not_caught_fails_the_workflow_with_a_task_failed_error() -> None:
    async def careless(ctx: WorkflowContext) -> None:
        await ctx.call_activity("a")

    lone = started(careless)
    lone.fail(1, "ConnectionError", "no route")
    assert lone.failure.error_type == "TaskFailedError"
    assert "Activity task #1 failed: no route" in lone.failure.message


@pytest.mark.parametrize(
    "wanted", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), BaseException("odd")]
)
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


@pytest.mark.parametrize("name", sorted(HARD_EXCEPTIONS))
def test_whatever_workflow_code_raises_fails_its_workflow_and_the_failure_can_be_stored(name: str) -> None:
    async def coroutine(ctx: WorkflowContext) -> None:
        await ctx.call_activity("a")
        raise HARD_EXCEPTIONS[name]()

    lone = started(coroutine)
    lone.complete(1)
    assert lone.status is Status.FAILED
    assert lone.failure.message is not None


@pytest.mark.parametrize("name", sorted(HARD_EXCEPTIONS))
def test_whatever_workflow_code_raises_on_its_way_out_it_can_be_put_away(name: str) -> None:
    cleaned: list[str] = []

    async def stubborn(ctx: WorkflowContext) -> None:
        try:
            await ctx.call_activity("a")
        finally:
            cleaned.append(name)
            raise HARD_EXCEPTIONS[name]()

    lone = started(stubborn)
    lone.execution.close()
    assert cleaned == [name]


def test_a_result_whose_class_cannot_be_asked_for_fails_its_workflow() -> None:
    class Odd:
        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            raise KeyboardInterrupt

    def plain(ctx: WorkflowContext) -> Any:
        return Odd()

    def generator(ctx: WorkflowContext) -> Generator[Any, Any, Any]:
        yield Odd()

    async def coroutine(ctx: WorkflowContext) -> Any:
        return Odd()

    for shape in (plain, generator, coroutine):
        assert started(shape).status is Status.FAILED


def test_a_listener_that_raises_fails_the_workflow() -> None:
    async def listens(ctx: WorkflowContext) -> Any:
        task = ctx.call_activity("a")

        def listen(_: Any) -> None:
            raise KeyboardInterrupt("of a listener")

        task.on_complete(listen)
        return await task

    lone = started(listens)
    lone.complete(1)
    assert (lone.failure.error_type, lone.failure.message) == ("KeyboardInterrupt", "of a listener")


class Sly(str):
    """Text with methods that raise wherever they are called."""

    def _refuse(self, *_: Any) -> Any:
        raise KeyboardInterrupt

    __eq__ = __ne__ = __hash__ = __str__ = __repr__ = casefold = isascii = _refuse
    encode: Any = _refuse


def test_text_with_methods_of_its_own_becomes_plain_text() -> None:
    async def sly(ctx: WorkflowContext) -> None:
        ctx.set_custom_status(Sly("status"))
        ctx.call_activity(Sly("a"))
        ctx.call_child_workflow(Sly("c"), instance_id=Sly("child"))
        ctx.is_patched(Sly("p"))
        await ctx.wait_for_external_event(Sly("e"))

    lone = started(sly)
    assert lone.execution.custom_status == "status"
    assert [type(getattr(command, "name", "")) for command in lone.commands] == [str] * len(lone.commands)
    lone.raise_event("E")
    assert lone.status is Status.COMPLETED


def test_names_that_cannot_be_stored_are_replaced() -> None:
    async def surrogates(ctx: WorkflowContext) -> None:
        await ctx.call_activity("a\ud800")

    lone = started(surrogates)
    (scheduled,) = lone.commands
    assert isinstance(scheduled, TaskScheduled)
    assert scheduled.name == "a?"


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


def test_events_for_missing_instances_are_taken_and_change_nothing() -> None:
    async def one(ctx: WorkflowContext) -> Any:
        return await ctx.call_activity("a")

    lone = started(one)
    assert lone.feed(completed(9), failed(9), TimerFired(9, 0), ExecutionSuspended(None)) == []
    assert (lone.taken, lone.status) == (4, Status.RUNNING)
    lone.complete(1, 1)
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
    # Earlier requests of the turn still count.
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
def test_events_without_a_wait_go_along_only_if_wanted_and_in_their_order(keep: bool) -> None:
    lone = started(collects, keep)
    early = [raised("B", 1), raised("a", 2), raised("a", 3), raised("b", 4)]
    lone.feed(*early)
    # Events behind the end in the same turn were not fed: the caller keeps them.
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
    # when it continues with the new code,
    lone.execution = lone.replayed(patched)
    lone.complete(1)
    # then the passed place keeps its answer, also when it is asked again.
    assert lone.result == [False, False, True, False]


def test_an_instance_that_took_a_patch_takes_it_at_every_replay() -> None:
    lone = started(patched)
    lone.evict()
    lone.complete(1)
    assert lone.result == [True, True, True, True]


# Leaving memory.


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


CLINGING: dict[str, Callable[[Any, Any], Any]] = {
    "an activity": lambda ctx, held: ctx.call_activity("a"),
    "a child": lambda ctx, held: ctx.call_child_workflow("w"),
    "a timer": lambda ctx, held: ctx.create_timer(5),
    "an event": lambda ctx, held: ctx.wait_for_external_event("never"),
    "an event in time": lambda ctx, held: ctx.wait_for_external_event("never", timeout=5),
    "what it waited for": lambda ctx, held: held,
    "all": lambda ctx, held: ctx.when_all([held, ctx.call_activity("a")]),
    "any": lambda ctx, held: ctx.when_any([held, ctx.call_activity("a")]),
    "a status first": lambda ctx, held: ctx.set_custom_status("on its way out") or held,
    "a patch first": lambda ctx, held: (ctx.is_patched("p") and held) or held,
    "another input first": lambda ctx, held: ctx.continue_as_new(1) or held,
}


@pytest.mark.parametrize("shape", ["coroutine", "generator"])
@pytest.mark.parametrize("name", CLINGING)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # "coroutine ignored GeneratorExit"
def test_code_that_catches_whatever_it_is_thrown_is_left(name: str, shape: str) -> None:
    # Given code that begins again at each error, as a bare `except` in a loop makes it,
    tries: list[str] = []

    async def coroutine(ctx: WorkflowContext) -> None:
        held = ctx.call_activity("a")
        while len(tries) < 1_000:
            with contextlib.suppress(BaseException):
                tries.append(name)
                await (CLINGING[name](ctx, held) if len(tries) > 1 else held)

    def generator(ctx: WorkflowContext) -> Generator[Any, Any, None]:
        held = ctx.call_activity("a")
        while len(tries) < 1_000:
            with contextlib.suppress(BaseException):
                tries.append(name)
                yield CLINGING[name](ctx, held) if len(tries) > 1 else held

    lone = started(coroutine if shape == "coroutine" else generator)
    asked = list(lone.commands)
    # when it leaves memory,
    lone.execution.close()
    gc.collect()
    # then it is left at its next wait after a bounded number of tries, and its requests are ignored.
    assert len(tries) <= 3
    assert lone.commands == asked
    assert lone.execution.outcome is None


def test_an_execution_that_has_not_begun_can_be_put_away() -> None:
    LoneExecution(sleeps_an_hour).execution.close()


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
