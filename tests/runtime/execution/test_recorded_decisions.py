"""Replay uses the recorded decisions of policies and options; a change applies from the next decision on.

One table: a change of each option, made between two parts of the history, at
each point at which the instance can be. Instances of a store that commit
5a883a1 has written go on as well.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from perdure import App, Engine, NondeterminismError, RetryPolicy, Settings, Status, TaskFailedError, WorkflowContext
from perdure.runtime.execution.replay import replay
from perdure.runtime.history.event import ChildCreated, Command, ExecutionStarted, TaskScheduled, TimerCreated
from perdure.runtime.history.row import Row

from ...support.paths import ROOT
from ...support.workflows.lone_execution import ENCODER, LoneExecution, app_of, started

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
TWICE = RetryPolicy(first_retry_interval=SECOND, max_number_of_attempts=2)


def code(
    policy: RetryPolicy | None = None,
    *,
    timeout: timedelta | None = None,
    child: bool = False,
    child_id: str | None = None,
) -> Callable[..., Any]:
    """A workflow that makes a call, notes its failure, and waits for an event."""

    async def w(ctx: WorkflowContext) -> Any:
        said: list[Any] = []
        try:
            if child:
                said.append(await ctx.call_child_workflow("c", instance_id=child_id, retry_policy=policy))
            else:
                said.append(await ctx.call_activity("a", retry_policy=policy))
        except TaskFailedError as error:
            said.append(error.details.message)
        try:
            said.append(await ctx.wait_for_external_event("e", timeout=timeout))
        except TimeoutError:
            said.append("timeout")
        said.append(await ctx.call_activity("b"))
        return said

    return w


def fail_the_call(lone: LoneExecution) -> list[Command]:
    """The try that is under way fails."""
    asked = [each for each in lone.commands if isinstance(each, TaskScheduled | ChildCreated)][-1]
    if isinstance(asked, ChildCreated):
        return lone.fail_child(asked.event_id, ValueError("no"))
    return lone.fail(asked.event_id)


def fire_the_retry(lone: LoneExecution) -> list[Command]:
    return lone.fire(lone.timers[-1].event_id)


POLICIES: dict[str, tuple[RetryPolicy | None, RetryPolicy | None]] = {
    "more attempts": (TWICE, replace(TWICE, max_number_of_attempts=3)),
    "one attempt": (TWICE, replace(TWICE, max_number_of_attempts=1)),
    "a policy is added": (None, TWICE),
    "a policy is taken away": (TWICE, None),
    "another interval": (TWICE, replace(TWICE, first_retry_interval=DAY)),
    "a steeper backoff": (TWICE, replace(TWICE, backoff_coefficient=9.0)),
    "a shorter longest interval": (TWICE, replace(TWICE, max_retry_interval=timedelta(0))),
    "a retry timeout": (TWICE, replace(TWICE, retry_timeout=timedelta(0))),
    "no retry timeout any more": (replace(TWICE, retry_timeout=timedelta(0)), TWICE),
    "an error that is not retried": (TWICE, replace(TWICE, non_retryable_error_types=["ValueError"])),
    "an error that is retried now": (replace(TWICE, non_retryable_error_types=["ValueError"]), TWICE),
    "jitter": (TWICE, replace(TWICE, jitter=1.0)),
}


@pytest.mark.parametrize("child", [False, True], ids=["activity", "child"])
@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_that_changes_leaves_the_decisions_of_the_past(name: str, child: bool) -> None:
    then, now = POLICIES[name]
    # Given a history under one policy, cut wherever a deploy may fall,
    lone = started(code(then, child=child))
    cuts = [list(lone.rows)]
    asked = lone.commands
    while asked:
        asked = fire_the_retry(lone) if isinstance(asked[-1], TimerCreated) else fail_the_call(lone)
        cuts.append(list(lone.rows))
    # then the new code fits each part, and continues where the old code was.
    for rows in cuts:
        lone.replayed(code(now, child=child), rows=rows)


def test_after_the_change_the_next_failure_is_judged_by_the_new_policy() -> None:
    three = replace(TWICE, max_number_of_attempts=3)
    # Given an instance that waits for its second attempt under a policy of two,
    lone = started(code(TWICE))
    fail_the_call(lone)
    for policy, tried_again in ((TWICE, False), (three, True), (None, False)):
        again = LoneExecution(code(policy))
        again.rows, again.commands, again.now_us = list(lone.rows), list(lone.commands), lone.now_us
        again.execution = again.replayed()
        # when the second attempt fails after the deploy,
        fire_the_retry(again)
        fail_the_call(again)
        # then the new policy says whether there is a third.
        assert isinstance(again.commands[-1], TimerCreated) is tried_again


def test_an_instance_that_has_given_up_does_not_begin_again() -> None:
    lone = started(code(TWICE))
    fail_the_call(lone)
    fire_the_retry(lone)
    fail_the_call(lone)
    again = lone.replayed(code(replace(TWICE, max_number_of_attempts=9)))
    lone.execution = again
    lone.raise_event("e", 1)
    lone.complete(lone.tasks[-1].event_id, "b")
    assert lone.result == ["no", 1, "b"]


TIMEOUTS = {
    "added": (None, DAY),
    "taken away": (DAY, None),
    "longer": (DAY, 9 * DAY),
    "shorter": (DAY, SECOND),
    "at once": (DAY, timedelta(0)),
}


@pytest.mark.parametrize("came", ["waits", "event", "timeout"])
@pytest.mark.parametrize("name", TIMEOUTS)
def test_a_wait_keeps_the_timeout_that_it_had(name: str, came: str) -> None:
    then, now = TIMEOUTS[name]
    lone = started(code(timeout=then))
    lone.complete(1, "a")
    match came:
        case "event":
            lone.raise_event("e", 1)
        case "timeout" if then is not None:
            lone.fire(lone.timers[-1].event_id)
        case "timeout":
            return
    lone.execution = lone.replayed(code(timeout=now))
    if came == "waits":
        lone.raise_event("e", 1)
    lone.complete(lone.tasks[-1].event_id, "b")
    assert lone.result == ["a", "timeout" if came == "timeout" else 1, "b"]


def test_two_waits_for_one_event_in_a_turn_keep_their_own_timeouts() -> None:
    async def waits(ctx: WorkflowContext) -> Any:
        first = ctx.wait_for_external_event("e")
        second = ctx.wait_for_external_event("e", timeout=DAY)
        return [await first, await second]

    lone = started(waits)
    lone.evict()
    lone.raise_event("e", 1)
    lone.evict()
    lone.raise_event("e", 2)
    assert lone.result == [1, 2]
    assert lone.execution.cancelled_timers == [1]


def test_a_timeout_does_not_hide_another_difference() -> None:
    async def other(ctx: WorkflowContext) -> None:
        await ctx.call_activity("a")
        await ctx.wait_for_external_event("f", timeout=DAY)

    lone = started(code(timeout=DAY))
    lone.complete(1, "a")
    with pytest.raises(NondeterminismError) as caught:
        lone.replayed(other)
    assert (caught.value.recorded, caught.value.asked) == ("a timeout for event 'e'", "a timeout for event 'f'")


@pytest.mark.parametrize("policies", [(None, TWICE), (TWICE, None)])
def test_children_to_which_the_code_gave_one_id_keep_their_own_policies(policies: list[RetryPolicy | None]) -> None:
    async def twins(ctx: WorkflowContext) -> Any:
        tasks = [ctx.call_child_workflow("c", instance_id="kid", retry_policy=policy) for policy in policies]
        await ctx.when_all(tasks)

    lone = started(twins)
    lone.fail_child(1, ValueError("no"))
    lone.fail_child(2, ValueError("no"))
    assert lone.replayed().outcome == lone.execution.outcome


# Ids that the code did not choose.


def test_a_child_that_the_code_did_not_name_keeps_its_recorded_id() -> None:
    lone = started(code(TWICE, child=True))
    (child,) = lone.children
    renamed = child._replace(instance_id="as-it-was")
    lone.rows[-1] = lone.rows[-1]._replace(turn=[lone.started, renamed])
    lone.execution = lone.replayed()
    # Also the timer before its next try names it.
    lone.fail_child(1, ValueError("no"))
    assert lone.timers[-1].reference == "as-it-was"
    lone.evict()
    fire_the_retry(lone)
    assert lone.children[-1].retry_of == "as-it-was"
    lone.evict()


def test_a_name_that_is_given_later_does_not_count_and_one_that_was_given_still_does() -> None:
    lone = started(code(child=True))
    lone.replayed(code(child=True, child_id="kid"))
    lone = started(code(child=True, child_id="kid"))
    for child_id in (None, "other"):
        with pytest.raises(NondeterminismError):
            lone.replayed(code(child=True, child_id=child_id))


def test_an_activity_keeps_its_key_when_its_history_was_copied_to_another_execution() -> None:
    lone = started(code(TWICE))
    fail_the_call(lone)
    begun = lone.started._replace(execution_id="copy")
    lone.rows[0] = lone.rows[0]._replace(turn=[begun, *(lone.rows[0].turn or ())[1:]])
    lone.execution = lone.replayed()
    fire_the_retry(lone)
    assert lone.tasks[-1].task_execution_id == lone.tasks[0].task_execution_id == "x1-1"


def test_children_of_later_generations_have_other_ids_and_those_of_older_histories_are_kept() -> None:
    definition = app_of(code(child=True), "w").workflows["w"]
    execution_id = "0123456789abcdef0123456789abcdef"
    begun = ExecutionStarted("w", None, execution_id)

    def child_of(generation: int, *rows: Row) -> str:
        execution, _ = replay(definition, ENCODER, instance_id="i", generation=generation, rows=rows)
        commands = execution.feed([begun], 1)[0] if not rows else [each for row in rows for each in row.turn or ()]
        return next(each.instance_id for each in commands if isinstance(each, ChildCreated))

    assert child_of(0) == "i:0001"
    assert child_of(1) == "i:01234567:0001"
    assert child_of(1, Row(1, [begun, ChildCreated(1, "i:0001", "c", None)], [])) == "i:0001"


# A store of an older release.


def older_app(*, attempts: int | None, timeout: timedelta | None) -> App:
    """The workflows of the store, with changed options."""
    app = App("old")
    policy = (
        RetryPolicy(first_retry_interval=timedelta(milliseconds=1), max_number_of_attempts=attempts)
        if attempts is not None
        else None
    )

    @app.activity
    async def fails(ctx: Any) -> None:
        raise ValueError("no")

    @app.workflow
    async def kid(ctx: WorkflowContext) -> Any:
        return await ctx.wait_for_external_event("go", timeout=timeout)

    @app.workflow
    async def generations(ctx: WorkflowContext, n: int) -> Any:
        if n == 0:
            ctx.continue_as_new(1)
            return None
        return await ctx.call_child_workflow(kid, retry_policy=policy)

    async def failed(ctx: WorkflowContext) -> Any:
        with suppress(TaskFailedError):
            await ctx.call_activity(fails, retry_policy=policy)
        return await ctx.wait_for_external_event("go", timeout=timeout)

    app.workflow(name="failed_twice")(failed)
    app.workflow(name="failed_once")(failed)
    return app


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("waits", [None, DAY], ids=["no timeout", "a timeout"])
@pytest.mark.parametrize("attempts", [None, 1, 3])
async def test_instances_of_an_older_store_go_on_under_other_options(
    tmp_path: Path, settings: Settings, attempts: int | None, waits: timedelta | None
) -> None:
    # Given a store of commit 5a883a1, with instances under way,
    data = tmp_path / "perdure.db"
    with sqlite3.connect(data) as connection:
        connection.executescript((ROOT / "tests/support/workflows/store_5a883a1.sql").read_text())
    connection.close()
    # when code with other options takes it over,
    async with Engine(older_app(attempts=attempts, timeout=waits), data=data, settings=settings) as engine:
        for instance_id in ("generations:0001", "failed_twice", "failed_once"):
            await engine.client.raise_event(instance_id, "go", data=instance_id)
        # then all of them continue: the child of the second generation keeps its id.
        for instance_id in ("generations", "failed_twice", "failed_once"):
            state = await engine.client.wait(instance_id, timeout=timedelta(seconds=5))
            assert state.status is Status.COMPLETED, state
            assert state.output == ("generations:0001" if instance_id == "generations" else instance_id)
