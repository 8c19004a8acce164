"""What an instance does with each message, in each status (contract 1.5, 3.6 to 3.14, 4.1 to 4.4).

Every story is told twice: with an actor that stays in memory, and with one
that is rebuilt from its rows before every turn.
"""

from datetime import timedelta
from typing import Any

import pytest

from perdure import App, FailureDetails, RetryPolicy, Status, TaskFailedError, WorkflowContext
from perdure.actors.turn import RECOVER
from perdure.runtime.errors import (
    DescendantsUnknown,
    InstanceExists,
    InstanceNotFound,
    InstanceStalled,
    InstanceUnfinished,
)
from perdure.runtime.history.event import (
    ChildCreated,
    EventRaised,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    Parent,
    TaskCompleted,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from perdure.runtime.instance.message import (
    ActivityDone,
    ChildDone,
    ChildStarted,
    Continue,
    Invoke,
    RaiseEvent,
    Resume,
    Start,
    Suspend,
    Terminate,
)

from ...support.workflows.lone_actor import LoneActor

FAILURE = FailureDetails(error_type="ValueError", message="no")
PARENT = Parent("p", "px", 3, "parent")


def make_app() -> App:
    app = App("test")

    @app.workflow
    async def steps(ctx: WorkflowContext, n: int | None) -> list[Any]:
        return [await ctx.call_activity("a", input=n), await ctx.call_activity("b", input=n)]

    @app.workflow
    async def events(ctx: WorkflowContext) -> list[Any]:
        ctx.set_custom_status("waiting")
        return [await ctx.wait_for_external_event("e"), await ctx.wait_for_external_event("e")]

    @app.workflow
    async def approval(ctx: WorkflowContext) -> str:
        try:
            answer: str = await ctx.wait_for_external_event("approve", timeout=timedelta(days=3))
        except TimeoutError:
            return "too late"
        await ctx.call_activity("charge")
        return answer

    @app.workflow
    async def sleeper(ctx: WorkflowContext) -> str:
        await ctx.create_timer(timedelta(hours=1))
        return "awake"

    @app.workflow
    async def parent(ctx: WorkflowContext, child_id: str | None) -> Any:
        try:
            return await ctx.call_child_workflow("steps", input=1, instance_id=child_id)
        except TaskFailedError as error:
            return f"{error.details.error_type}: {error.details.message}"

    @app.workflow
    async def counting(ctx: WorkflowContext, n: int) -> Any:
        ctx.set_custom_status(f"round {n}")
        value = await ctx.wait_for_external_event("tick")
        if n == 2:
            return value
        ctx.continue_as_new(n + 1, save_events=True)
        return None

    @app.workflow
    async def retried(ctx: WorkflowContext) -> Any:
        policy = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=2)
        return await ctx.call_activity("a", retry_policy=policy)

    @app.workflow
    async def broken(ctx: WorkflowContext) -> None:
        raise KeyError("x")

    @app.workflow
    async def loose_ends(ctx: WorkflowContext) -> str:
        ctx.call_activity("not awaited")
        ctx.create_timer(timedelta(days=1))
        return "done"

    return app


@pytest.fixture(params=[False, True], ids=["in memory", "rebuilt"])
def actor(request: pytest.FixtureRequest) -> LoneActor:
    return LoneActor(make_app(), forgetful=request.param)


# Starting, running, ending.


def test_a_start_runs_the_code_at_once_and_its_history_has_the_canonical_order(actor: LoneActor) -> None:
    assert actor.start("steps", "7") == "i"
    assert actor.status is Status.RUNNING
    assert actor.invoked == ["a"]
    actor.done(1, '"one"')
    actor.done(2, '"two"')
    assert actor.status is Status.COMPLETED
    assert actor.state.output == '["one","two"]'
    assert actor.state.input == "7"
    kinds = [[type(event) for event in row.turn or ()] for row in actor.rows]
    assert kinds == [
        [ExecutionStarted, TaskScheduled],
        [TaskCompleted, TaskScheduled],
        [TaskCompleted, ExecutionCompleted],
    ]


def test_a_turn_leaves_one_row(actor: LoneActor) -> None:
    actor.start("steps", "7")
    actor.done(1, "1")
    actor.done(2, "2")
    assert len(actor.entries) == 3


def test_an_activity_is_told_who_asks_and_has_a_stable_key(actor: LoneActor) -> None:
    actor.start("steps", "7")
    [(address_id, invoke)] = actor.sent(Invoke)
    assert invoke == Invoke("a", "7", "i", "x1", 1, "x1-1")
    assert address_id == "x1:1"


def test_a_workflow_that_raises_ends_failed_with_what_it_raised(actor: LoneActor) -> None:
    actor.start("broken")
    state = actor.state
    assert state.status is Status.FAILED
    assert state.output is None
    assert state.failure is not None
    assert (state.failure.error_type, state.failure.message) == ("KeyError", "'x'")
    assert "raise KeyError" in (state.failure.stack_trace or "")


def test_an_unregistered_workflow_ends_failed_and_says_so(actor: LoneActor) -> None:
    assert actor.start("nope") == "i"
    failure = actor.state.failure
    assert failure is not None
    assert failure.error_type == "WorkflowNotRegisteredError"
    assert "'nope'" in failure.message


def test_what_was_asked_for_and_not_awaited_is_done_but_no_timer_is_left_behind(actor: LoneActor) -> None:
    actor.start("loose_ends")
    assert actor.status is Status.COMPLETED
    assert actor.invoked == ["not awaited"]
    assert actor.reminders == set()


def test_what_was_asked_for_in_the_last_turn_is_asked_for_again_after_a_crash_until_it_is_done(
    actor: LoneActor,
) -> None:
    actor.start("loose_ends")
    assert actor.busy
    actor.restart()
    assert actor.invoked == ["not awaited"]
    actor.done(1, None)
    if not actor.forgetful:
        assert not actor.busy


def test_an_answer_for_a_task_that_is_answered_already_changes_nothing(actor: LoneActor) -> None:
    actor.start("steps")
    actor.done(1, "1")
    before = list(actor.entries)
    actor.done(1, "1")
    actor.done(99, "1")
    actor.send(ActivityDone("another execution", 2, "1", None))
    assert actor.entries == before
    assert actor.status is Status.RUNNING


def test_two_answers_in_one_turn_are_one_row(actor: LoneActor) -> None:
    actor.start("events")
    actor.send(RaiseEvent("e", "1"), RaiseEvent("e", "2"))
    assert len(actor.entries) == 2
    assert actor.state.output == "[1,2]"


def test_a_retry_waits_for_its_timer_and_keeps_the_key_of_the_call(actor: LoneActor) -> None:
    actor.start("retried")
    actor.done(1, None, FAILURE)
    assert len(actor.reminders) == 1
    actor.fire()
    keys = [body.task_execution_id for _, body in actor.sent(Invoke)]
    assert keys == ["x1-1", "x1-1"]
    actor.done(3, None, FAILURE)
    assert actor.status is Status.FAILED
    assert "Activity task #3 failed: no" in (actor.state.failure or FAILURE).message


# Starting again (contract 4.2).


def test_an_id_is_taken_while_its_instance_is_not_finished(actor: LoneActor) -> None:
    actor.start("events")
    assert str(actor.start("events")) == "an active workflow with ID 'i' already exists"
    actor.suspend()
    assert isinstance(actor.start("events"), InstanceExists)


def test_a_finished_instance_is_replaced_by_a_new_one_with_a_new_history(actor: LoneActor) -> None:
    actor.start("broken")
    assert actor.start("steps", "1", execution_id="x2") == "i"
    assert actor.status is Status.RUNNING
    assert actor.execution_id == "x2"
    assert [type(event) for event in actor.history] == [ExecutionStarted, TaskScheduled]


def test_a_finished_instance_is_not_replaced_by_a_start_that_wants_the_id_for_the_first_time(actor: LoneActor) -> None:
    actor.start("broken")
    error = actor.start("broken", unique=True)
    assert isinstance(error, InstanceExists)
    assert "enforces instance ID uniqueness" in str(error)


def test_a_finished_instance_with_children_is_replaced_only_after_somebody_looked_at_them(actor: LoneActor) -> None:
    actor.start("parent")
    actor.child_done(1, Status.COMPLETED, "[1,2]")
    assert isinstance(actor.start("steps"), DescendantsUnknown)
    assert isinstance(actor.start("steps", descendants_finished="another"), DescendantsUnknown)
    assert actor.start("steps", descendants_finished="x1") == "i"


def test_a_late_answer_to_the_instance_before_does_not_reach_the_new_one(actor: LoneActor) -> None:
    actor.start("steps")
    actor.terminate()
    actor.start("steps", execution_id="x2")
    actor.send(ActivityDone("x1", 1, "1", None))
    assert [type(event) for event in actor.history] == [ExecutionStarted, TaskScheduled]


# A scheduled start.


def test_a_scheduled_start_is_pending_until_its_time_and_keeps_what_comes_before(actor: LoneActor) -> None:
    actor.start("events", start_at_us=actor.now_us + 5_000_000)
    assert actor.status is Status.PENDING
    assert actor.raise_event("e", "1") is None
    assert actor.status is Status.PENDING
    assert not actor.busy
    actor.fire()
    assert actor.status is Status.RUNNING
    actor.raise_event("e", "2")
    assert actor.state.output == "[1,2]"


def test_a_scheduled_start_in_the_past_is_a_start(actor: LoneActor) -> None:
    actor.start("events", start_at_us=1)
    assert actor.status is Status.RUNNING
    assert actor.reminders == set()


def test_a_scheduled_start_can_be_suspended_resumed_and_begins_when_both_allow_it(actor: LoneActor) -> None:
    actor.start("events", start_at_us=actor.now_us + 5_000_000)
    actor.suspend()
    assert actor.status is Status.SUSPENDED
    actor.resume()
    assert actor.status is Status.PENDING
    actor.suspend()
    actor.fire()
    assert actor.status is Status.SUSPENDED
    actor.resume()
    assert actor.status is Status.RUNNING
    assert actor.state.custom_status == "waiting"


def test_a_finished_parent_does_not_replace_whoever_has_the_id_of_a_child_by_now(actor: LoneActor) -> None:
    app = make_app()

    @app.workflow
    async def leaves_a_child(ctx: WorkflowContext) -> None:
        ctx.call_child_workflow("steps", instance_id="kid")

    lone = LoneActor(app, forgetful=actor.forgetful)
    lone.start("leaves_a_child")
    assert lone.busy
    [(_, first)] = lone.sent(Start)
    assert not first.unique
    lone.restart()
    [(_, again)] = lone.sent(Start)
    assert again.unique
    lone.send(ChildStarted("x1", 1))
    if not lone.forgetful:
        assert not lone.busy


def test_a_pending_instance_can_be_terminated(actor: LoneActor) -> None:
    actor.start("events", start_at_us=actor.now_us + 5_000_000)
    actor.terminate('"never"')
    assert actor.status is Status.TERMINATED
    assert actor.state.output == '"never"'
    assert actor.reminders == set()


# Events.


def test_events_are_matched_without_case_and_handed_out_in_their_order(actor: LoneActor) -> None:
    actor.start("events")
    actor.raise_event("E", "1")
    actor.raise_event("e", "2")
    assert actor.state.output == "[1,2]"
    assert [event.name for event in actor.history if isinstance(event, EventRaised)] == ["E", "e"]


def test_an_event_in_time_takes_its_timer_back(actor: LoneActor) -> None:
    actor.start("approval")
    assert len(actor.reminders) == 1
    actor.raise_event("Approve", '"yes"')
    assert actor.reminders == set()
    assert actor.invoked == ["charge"]


def test_a_timeout_comes_as_a_timeout_error(actor: LoneActor) -> None:
    actor.start("approval")
    actor.fire()
    assert actor.state.output == '"too late"'


def test_an_event_for_a_finished_instance_is_taken_and_dropped(actor: LoneActor) -> None:
    actor.start("broken")
    before = list(actor.entries)
    assert actor.raise_event("e", "1") is None
    assert actor.entries == before


# Timers.


def test_a_timer_is_a_reminder_and_its_row_goes_with_the_turn_that_fires_it(actor: LoneActor) -> None:
    actor.start("sleeper")
    [(name, due_us)] = actor.reminders
    assert name == "1"
    assert due_us == actor.now_us + 3_600_000_000
    assert not actor.busy  # a sleeper costs nothing after a restart
    actor.fire()
    assert actor.state.output == '"awake"'
    assert actor.reminders == set()
    assert [type(event) for event in actor.history] == [ExecutionStarted, TimerCreated, TimerFired, ExecutionCompleted]


# Suspending.


def test_a_suspended_instance_keeps_what_comes_and_goes_on_with_it(actor: LoneActor) -> None:
    actor.start("steps")
    actor.suspend()
    actor.done(1, "1")
    assert actor.status is Status.SUSPENDED
    assert actor.invoked == ["a"]
    actor.resume()
    assert actor.status is Status.RUNNING
    assert actor.invoked == ["a", "b"]


def test_events_keep_their_order_over_a_suspension(actor: LoneActor) -> None:
    actor.start("events")
    actor.suspend()
    actor.raise_event("e", "1")
    actor.raise_event("e", "2")
    actor.resume()
    assert actor.state.output == "[1,2]"


def test_suspension_and_resumption_in_one_batch_lose_nothing(actor: LoneActor) -> None:
    actor.start("events")
    actor.send(RaiseEvent("e", "1"), Suspend(None), RaiseEvent("e", "2"), Resume(None))
    assert actor.state.output == "[1,2]"


def test_what_came_before_a_suspension_in_the_same_batch_is_fed(actor: LoneActor) -> None:
    actor.start("events")
    actor.send(RaiseEvent("e", "1"), Suspend(None), RaiseEvent("e", "2"))
    assert actor.status is Status.SUSPENDED
    actor.resume()
    assert actor.state.output == "[1,2]"


def test_redundant_suspends_and_resumes_leave_no_trace(actor: LoneActor) -> None:
    actor.start("events")
    assert actor.resume() is None
    actor.suspend()
    before = list(actor.entries)
    assert actor.suspend() is None
    assert actor.entries == before
    actor.resume()
    assert actor.resume() is None
    kinds = [type(event) for event in actor.history]
    assert kinds.count(ExecutionSuspended) == kinds.count(ExecutionResumed) == 1


def test_a_timer_that_fires_during_a_suspension_counts_afterwards(actor: LoneActor) -> None:
    actor.start("sleeper")
    actor.suspend()
    actor.fire()
    assert actor.status is Status.SUSPENDED
    actor.resume()
    assert actor.state.output == '"awake"'


# Terminating.


def test_termination_ends_an_instance_with_the_given_output(actor: LoneActor) -> None:
    actor.start("sleeper")
    assert actor.terminate('"bye"') is None
    assert actor.status is Status.TERMINATED
    assert actor.state.output == '"bye"'
    assert actor.reminders == set()


def test_termination_beats_whatever_else_is_in_the_batch(actor: LoneActor) -> None:
    actor.start("events")
    actor.send(RaiseEvent("e", "1"), RaiseEvent("e", "2"), Terminate(None, recurse=True))
    assert actor.status is Status.TERMINATED


def test_a_suspended_instance_is_terminated_at_once(actor: LoneActor) -> None:
    actor.start("events")
    actor.suspend()
    actor.terminate()
    assert actor.status is Status.TERMINATED


def test_a_finished_instance_takes_a_termination_and_stays_as_it_is(actor: LoneActor) -> None:
    actor.start("broken")
    assert actor.terminate() is None
    assert actor.status is Status.FAILED


@pytest.mark.parametrize("recurse", [True, False])
def test_termination_reaches_unfinished_children_if_it_is_to(actor: LoneActor, recurse: bool) -> None:
    actor.start("parent")
    actor.terminate(recurse=recurse)
    link = Parent("i", "x1", 1, "parent")
    assert actor.sent(Terminate) == ([("i:0001", Terminate(None, recurse=True, parent=link))] if recurse else [])


def test_a_terminated_parent_tells_its_children_again_after_a_restart(actor: LoneActor) -> None:
    actor.start("parent")
    actor.terminate()
    actor.restart()
    [(child_id, _)] = actor.sent(Terminate)
    assert child_id == "i:0001"


def test_a_termination_from_a_parent_is_only_for_its_child(actor: LoneActor) -> None:
    actor.start("events", parent=PARENT)
    actor.tell(Terminate(None, recurse=True, parent=PARENT._replace(instance_id="stranger")))
    assert actor.status is Status.RUNNING
    actor.tell(Terminate(None, recurse=True, parent=PARENT))
    assert actor.state.status is Status.TERMINATED


def test_a_child_that_comes_into_being_after_its_parents_termination_is_told(actor: LoneActor) -> None:
    actor.start("parent", '"mine"')
    actor.terminate()
    actor.messages.clear()
    actor.tell(ChildStarted("x1", 1))
    [(child_id, _)] = actor.sent(Terminate)
    assert child_id == "mine"


# Children.


def test_a_child_is_started_with_its_link_and_an_id_after_its_parents(actor: LoneActor) -> None:
    actor.start("parent")
    [(child_id, start)] = actor.sent(Start)
    assert child_id == "i:0001"
    assert start.parent == Parent("i", "x1", 1, "parent")
    assert (start.name, start.input) == ("steps", "1")


def test_a_childs_result_is_its_parents_tasks(actor: LoneActor) -> None:
    actor.start("parent")
    actor.child_done(1, Status.COMPLETED, '["x"]')
    assert actor.state.output == '["x"]'


def test_a_child_that_fails_or_is_terminated_fails_its_task(actor: LoneActor) -> None:
    actor.start("parent")
    actor.child_done(1, Status.FAILED, None, FAILURE)
    assert actor.state.output == '"ValueError: no"'
    actor.start("parent", execution_id="x2", descendants_finished="x1")
    actor.child_done(1, Status.TERMINATED)
    assert actor.state.output == '"TerminatedError: the child workflow was terminated"'


def test_a_child_tells_its_parent_how_it_ended(actor: LoneActor) -> None:
    actor.start("steps", "1", parent=PARENT)
    actor.done(1, "1")
    actor.done(2, "2")
    assert actor.sent(ChildDone) == [("p", ChildDone("px", 3, Status.COMPLETED.value, "[1,2]", None))]


def test_a_child_that_is_started_twice_by_the_same_task_runs_once_and_answers_twice(actor: LoneActor) -> None:
    actor.start("steps", "1", parent=PARENT)
    assert actor.start("steps", "1", parent=PARENT, execution_id="x9") == "i"
    assert actor.execution_id == "x1"
    assert actor.sent(ChildDone) == []
    actor.done(1, "1")
    actor.done(2, "2")
    actor.start("steps", "1", parent=PARENT)
    assert len(actor.sent(ChildDone)) == 2


def test_a_child_whose_id_is_taken_fails_its_parents_task(actor: LoneActor) -> None:
    actor.start("events")
    actor.tell(Start("steps", None, "c", PARENT))
    [(parent_id, done)] = actor.sent(ChildDone)
    assert parent_id == "p"
    assert "already exists" in done.failure.message


def test_a_parent_sends_its_open_children_again_after_a_restart(actor: LoneActor) -> None:
    actor.start("parent")
    before = actor.sent(Start)
    actor.restart()
    assert actor.sent(Start) == before


def test_a_parent_with_a_child_of_its_own_naming_is_busy_until_it_is_confirmed(actor: LoneActor) -> None:
    actor.start("parent", '"mine"')
    [(address_id, start)] = actor.sent(Start)
    assert address_id == "mine"
    assert actor.busy
    actor.send(ChildStarted("x1", 1))
    if not actor.forgetful:
        assert not actor.busy
    actor.child_done(1, Status.COMPLETED, "[]")
    assert actor.status is Status.COMPLETED
    assert start.parent is not None


# Continuing as new.


def settle(actor: LoneActor) -> None:
    """Deliver what the actor sends itself."""
    while any(isinstance(body, Continue) for _, body in actor.messages):
        actor.messages = [pair for pair in actor.messages if not isinstance(pair[1], Continue)]
        actor.send(Continue())


def test_a_generation_begins_with_a_new_input_id_and_history(actor: LoneActor) -> None:
    actor.start("counting", "0")
    actor.raise_event("tick", "1")
    settle(actor)
    assert actor.status is Status.RUNNING
    assert actor.state.input == "1"
    assert actor.execution_id != "x1"
    assert actor.state.custom_status == "round 1"
    assert [type(event) for event in actor.history] == [ExecutionStarted]


def test_no_event_is_lost_or_doubled_over_generations(actor: LoneActor) -> None:
    actor.start("counting", "0")
    actor.send(RaiseEvent("tick", "1"), RaiseEvent("tick", "2"), RaiseEvent("tick", "3"))
    settle(actor)
    assert actor.status is Status.COMPLETED
    assert actor.state.output == "3"
    assert actor.state.input == "2"


def test_a_generation_that_was_committed_and_not_begun_is_busy_and_begins_after_a_restart(actor: LoneActor) -> None:
    actor.start("counting", "0")
    actor.raise_event("tick", "1")
    assert actor.busy
    actor.restart()
    assert actor.state.custom_status == "round 1"


def test_the_last_generation_tells_the_parent(actor: LoneActor) -> None:
    actor.start("counting", "1", parent=PARENT)
    actor.send(RaiseEvent("tick", "1"), RaiseEvent("tick", "2"))
    settle(actor)
    assert actor.sent(ChildDone) == [("p", ChildDone("px", 3, Status.COMPLETED.value, "2", None))]


# Purging.


def test_only_a_finished_instance_is_purged_unless_forced(actor: LoneActor) -> None:
    assert isinstance(actor.purge(), InstanceNotFound)
    actor.start("sleeper")
    assert isinstance(actor.purge(), InstanceUnfinished)
    assert actor.purge(force=True) is None
    assert actor.record is None
    assert actor.reminders == set()
    assert isinstance(actor.raise_event("e"), InstanceNotFound)


def test_a_purged_id_is_free_again(actor: LoneActor) -> None:
    actor.start("broken")
    actor.purge()
    assert actor.start("steps") == "i"
    assert actor.status is Status.RUNNING


def test_purged_and_started_in_one_turn_begins_with_an_empty_history(actor: LoneActor) -> None:
    actor.start("broken")
    from perdure.runtime.instance.message import Purge  # noqa: PLC0415

    assert actor.send(Purge(force=False), Start("steps", None, "x2")) == "i"
    assert [type(event) for event in actor.history] == [ExecutionStarted, TaskScheduled]


@pytest.mark.parametrize("body", [RaiseEvent("e", None), Suspend(None), Resume(None), Terminate(None, recurse=True)])
def test_a_request_to_nobody_is_refused(actor: LoneActor, body: Any) -> None:
    assert isinstance(actor.send(body), InstanceNotFound)
    assert actor.record is None
    assert actor.entries == []


# Restarting.


def test_what_was_in_flight_is_asked_for_again_after_a_restart(actor: LoneActor) -> None:
    actor.start("steps", "7")
    before = actor.sent(Invoke)
    assert actor.busy
    actor.restart()
    assert actor.sent(Invoke) == before


def test_without_code_an_instance_waits_for_it(actor: LoneActor) -> None:
    lone = LoneActor(None, forgetful=actor.forgetful)
    lone.start("steps", "7")
    assert lone.status is Status.PENDING
    assert lone.busy
    lone.restart(make_app())
    assert lone.status is Status.RUNNING
    assert lone.invoked == ["a"]


# Stalling.


def other_app() -> App:
    app = App("changed")

    @app.workflow
    async def steps(ctx: WorkflowContext, n: int | None) -> list[Any]:
        return [await ctx.call_activity("other"), await ctx.call_activity("b")]

    return app


def test_code_that_no_longer_fits_stalls_the_instance_and_says_why(actor: LoneActor) -> None:
    actor.start("steps", "7")
    actor.restart(other_app())
    actor.done(1, "1")
    assert actor.status is Status.STALLED
    stall = actor.state.stall or ""
    assert "event 1" in stall
    assert "recorded activity 'a'" in stall
    assert "now the code asks activity 'other'" in stall
    assert "is_patched" in stall
    assert actor.busy  # a restart with mended code picks it up


@pytest.mark.parametrize("body", [RaiseEvent("e", None), Suspend(None), Resume(None), Terminate(None, recurse=True)])
def test_a_stalled_instance_refuses_requests(actor: LoneActor, body: Any) -> None:
    actor.start("steps")
    actor.restart(other_app())
    actor.done(1, "1")
    assert isinstance(actor.send(body), InstanceStalled)
    assert isinstance(actor.purge(), InstanceStalled)
    assert actor.status is Status.STALLED


def test_mended_code_lets_a_stalled_instance_go_on_with_all_that_came(actor: LoneActor) -> None:
    actor.start("steps")
    actor.restart(other_app())
    actor.done(1, "1")
    actor.restart(make_app())
    assert actor.status is Status.RUNNING
    assert actor.state.stall is None
    assert actor.invoked == ["b"]
    actor.done(2, "2")
    assert actor.state.output == "[1,2]"


def test_the_same_stall_is_recorded_once(actor: LoneActor) -> None:
    actor.start("steps")
    actor.restart(other_app())
    actor.done(1, "1")
    actor.restart(other_app())
    actor.restart(other_app())
    assert [type(event) for event in actor.history].count(ExecutionStalled) == 1


def test_an_instance_whose_workflow_is_gone_stalls_rather_than_fails(actor: LoneActor) -> None:
    actor.start("steps")
    actor.restart(App("empty"))
    actor.done(1, "1")
    assert actor.status is Status.STALLED
    assert "was not registered" in (actor.state.stall or "")


def test_a_stalled_instance_can_be_purged_by_force(actor: LoneActor) -> None:
    actor.start("steps")
    actor.restart(other_app())
    actor.done(1, "1")
    assert actor.purge(force=True) is None


def test_recovery_of_nobody_is_harmless(actor: LoneActor) -> None:
    actor.send(RECOVER)
    assert actor.entries == []


def test_a_termination_is_recorded_with_its_end(actor: LoneActor) -> None:
    actor.start("parent")
    actor.terminate('"x"', recurse=False)
    assert [type(event) for event in actor.history] == [
        ExecutionStarted,
        ChildCreated,
        ExecutionTerminated,
        ExecutionCompleted,
    ]
