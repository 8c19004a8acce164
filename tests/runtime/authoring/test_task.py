"""Tasks: each completes once, because of an event, and combinations of them complete in the order of the events."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure import Task, WorkflowContext, WorkflowMisuse, when_all, when_any
from perdure.runtime.history.event import Arrival

from ...support.workflows.lone_execution import completed, failed, raised, started


class Owner:
    """The part of an execution that a task sees."""

    def __init__(self, *, stepping: bool = True) -> None:
        self.stepping = stepping


OWNER = Owner()


def new() -> Task[Any]:
    return Task(OWNER)


def done(value: Any) -> Task[Any]:
    task = new()
    task.succeed(value)
    return task


def broken(error: Exception) -> Task[Any]:
    task = new()
    task.fail(error)
    return task


# One task.


def test_a_new_task_has_neither_a_result_nor_an_error() -> None:
    task = new()
    assert (task.is_complete, task.is_failed) == (False, False)
    with pytest.raises(WorkflowMisuse, match="not complete; await it"):
        task.get_result()
    with pytest.raises(WorkflowMisuse, match="has not failed"):
        task.get_exception()


def test_a_task_that_succeeded_has_its_result_and_no_error() -> None:
    task = done(7)
    assert (task.is_complete, task.is_failed, task.get_result()) == (True, False, 7)
    with pytest.raises(WorkflowMisuse, match="has not failed"):
        task.get_exception()


def test_a_task_that_failed_is_complete_and_raises_its_error_for_its_result() -> None:
    error = ValueError("no")
    task = broken(error)
    assert (task.is_complete, task.is_failed, task.get_exception()) == (True, True, error)
    with pytest.raises(ValueError, match="no"):
        task.get_result()


@pytest.mark.parametrize("task", [done(1), broken(ValueError())])
def test_a_task_completes_only_once(task: Task[Any]) -> None:
    with pytest.raises(AssertionError):
        task.succeed(2)
    with pytest.raises(AssertionError):
        task.fail(ValueError())


def test_listeners_hear_of_the_end_once_in_their_order_and_at_once_if_it_was_before() -> None:
    heard: list[str] = []
    task = new()
    task.on_complete(lambda _: heard.append("first"))
    task.on_complete(lambda _: heard.append("second"))
    assert heard == []
    task.succeed(1)
    task.on_complete(lambda _: heard.append("late"))
    assert heard == ["first", "second", "late"]


def test_awaiting_a_task_hands_it_to_the_driver_of_the_code() -> None:
    task = new()
    awaiting = task.__await__()
    assert next(awaiting) is task
    task.succeed("result")
    with pytest.raises(StopIteration) as stop:
        next(awaiting)
    assert stop.value.value == "result"


def test_awaiting_a_complete_task_does_not_wait() -> None:
    with pytest.raises(StopIteration) as stop:
        next(done("result").__await__())
    assert stop.value.value == "result"


def test_awaiting_a_task_while_its_workflow_does_not_run_says_what_to_use_instead() -> None:
    task: Task[Any] = Task(Owner(stepping=False))
    with pytest.raises(WorkflowMisuse, match=r"ctx\.when_all\(\[\.\.\.\]\) or ctx\.when_any"):
        next(task.__await__())


# All of them.


def test_all_gives_the_results_in_the_order_of_the_tasks() -> None:
    one, other = new(), new()
    both = when_all([one, other])
    other.succeed("second")
    assert not both.is_complete
    one.succeed("first")
    assert both.get_result() == ["first", "second"]


def test_all_fails_as_soon_as_one_fails_with_its_error() -> None:
    one, other, third = new(), new(), new()
    both = when_all([one, other, third])
    error = ValueError("no")
    other.fail(error)
    assert both.get_exception() is error
    # Later events make no difference.
    third.fail(KeyError())
    one.succeed(1)
    assert both.get_exception() is error


def test_all_of_nothing_is_done_at_once() -> None:
    assert when_all([]).get_result() == []


def test_all_takes_any_iterable_and_may_name_a_task_twice() -> None:
    task = new()
    both = when_all(itertools.repeat(task, 2))
    task.succeed(1)
    assert both.get_result() == [1, 1]


def test_all_of_what_is_complete_already_is_complete() -> None:
    assert when_all([done(1), done(2)]).get_result() == [1, 2]
    assert when_all([done(1), broken(ValueError("no")), new()]).is_failed


# The first of them.


def test_any_is_the_task_that_completed_first() -> None:
    one, other = new(), new()
    first = when_any([one, other])
    other.succeed(2)
    one.succeed(1)
    assert first.get_result() is other


def test_any_does_not_fail_though_its_first_task_did() -> None:
    one = new()
    first = when_any([one, new()])
    one.fail(ValueError("no"))
    assert not first.is_failed
    assert first.get_result() is one


def test_any_of_several_that_are_complete_is_the_first_in_the_list() -> None:
    one, other = done(1), done(2)
    assert when_any([new(), other, one]).get_result() is other


def test_any_of_nothing_would_never_end_and_is_refused() -> None:
    with pytest.raises(WorkflowMisuse, match="at least one task"):
        when_any([])


@pytest.mark.parametrize("combine", [when_all, when_any])
@pytest.mark.parametrize("wrong", [[new(), 7], [None], ["ab"]])
def test_anything_but_a_task_is_refused_and_its_type_is_named(combine: Any, wrong: list[Any]) -> None:
    with pytest.raises(
        WorkflowMisuse, match=f"{combine.__name__} takes a list of the context's tasks, not (int|NoneType|str)"
    ):
        combine(wrong)


@pytest.mark.parametrize("combine", [when_all, when_any])
@pytest.mark.parametrize("wrong", [None, 7, object()])
def test_anything_but_a_list_is_refused_and_the_brackets_are_shown(combine: Any, wrong: Any) -> None:
    with pytest.raises(WorkflowMisuse, match=rf"takes one list of tasks. Write ctx.{combine.__name__}\(\["):
        combine(wrong)


# Combinations of combinations.


def test_combinations_nest() -> None:
    a, b, c = new(), new(), new()
    whole = when_all([when_any([a, b]), c, when_all([])])
    b.succeed("b")
    assert not whole.is_complete
    c.succeed("c")
    first, third, empty = whole.get_result()
    assert (first.get_result(), third, empty) == ("b", "c", [])


def test_a_failure_deep_inside_comes_out_at_the_top() -> None:
    a, b = new(), new()
    whole = when_all([when_all([a]), when_all([b])])
    error = ValueError("deep")
    a.fail(error)
    assert whole.get_exception() is error


@given(st.permutations(range(5)), st.sets(st.integers(0, 4)))
def test_all_and_any_depend_on_the_order_of_the_ends_and_on_nothing_else(order: list[int], failing: set[int]) -> None:
    # Given five tasks of which some will fail,
    tasks = [new() for _ in range(5)]
    every, first = when_all(tasks), when_any(tasks)
    # when they end in any order,
    for number in order:
        if number in failing:
            tasks[number].fail(ValueError(number))
        else:
            tasks[number].succeed(number)
    # then `when_any` gives the first to end, and `when_all` gives all results or the first failure.
    assert first.get_result() is tasks[order[0]]
    failed_first = next((number for number in order if number in failing), None)
    if failed_first is None:
        assert every.get_result() == list(range(5))
    else:
        assert every.get_exception().args == (failed_first,)


# The same, inside a workflow.


def test_a_workflow_may_combine_what_was_complete_before_it_waited() -> None:
    async def late(ctx: WorkflowContext) -> list[Any]:
        task = ctx.call_activity("a")
        await ctx.call_activity("b")
        first = await ctx.when_any([ctx.call_activity("c"), task])
        return [first is task, await ctx.when_all([task, task]), await ctx.when_all([])]

    lone = started(late)
    lone.feed(completed(1, 1), completed(2, 2))
    assert lone.result == [True, [1, 1], []]


def test_tasks_that_failed_but_were_never_awaited_do_no_harm() -> None:
    async def forgets(ctx: WorkflowContext) -> str:
        ctx.call_activity("a")
        await ctx.wait_for_external_event("e")
        return "fine"

    lone = started(forgets)
    lone.feed(failed(1), raised("e"))
    assert lone.result == "fine"


def test_a_failure_is_thrown_where_all_of_them_are_awaited_and_the_others_may_still_be() -> None:
    async def recovers(ctx: WorkflowContext) -> Any:
        tasks = [ctx.call_activity("a"), ctx.call_activity("b")]
        try:
            await ctx.when_all(tasks)
        except Exception:
            return await tasks[1]

    lone = started(recovers)
    lone.fail(1)
    lone.complete(2, "rescued")
    assert lone.result == "rescued"


def test_a_race_between_an_event_and_a_timer_is_won_by_what_comes_first() -> None:
    async def race(ctx: WorkflowContext) -> str:
        event, task = ctx.wait_for_external_event("e"), ctx.call_activity("a")
        return "event" if await ctx.when_any([task, event]) is event else "task"

    races: list[tuple[list[Arrival], str]] = [
        ([raised("e"), completed(1)], "event"),
        ([completed(1), raised("e")], "task"),
    ]
    for events, winner in races:
        lone = started(race)
        lone.feed(*events)
        assert lone.result == winner


def test_many_tasks_are_combined_in_a_moment() -> None:
    async def crowd(ctx: WorkflowContext) -> int:
        return sum(await ctx.when_all([ctx.call_activity("a") for _ in range(5_000)]))

    lone = started(crowd)
    lone.feed(*(completed(task_id, 1) for task_id in range(1, 5_001)))
    assert lone.result == 5_000
