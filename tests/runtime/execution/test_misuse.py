"""A call that replay cannot repeat is refused in its line, with the alternative; ordinary Python is allowed."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import pytest

from perdure import Status, Task, TaskFailedError, WorkflowContext, WorkflowMisuse, when_all
from perdure.runtime.history.event import (
    ExecutionCompleted,
    TaskScheduled,
)

from ...support.workflows.lone_execution import completed, started


def misuse_of(function: Callable[..., Any]) -> str:
    """The error for a workflow that waits for something that replay cannot repeat."""
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
    # Otherwise one workflow would keep its host busy for ever.
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
    # The value would be another one after a restart.
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    async def looks(ctx: WorkflowContext) -> str:
        return variable.get()

    token = variable.set("the host's")
    try:
        assert started(looks).result == "unset"
    finally:
        variable.reset(token)
