"""The effect of each message on an instance in each status (contract 1.5, 3.6 to 3.14, 4.1 to 4.4).

Each story is told twice: with an actor that stays in memory, and with one
that is rebuilt from its rows before every turn.
"""

from typing import Any

import pytest

from perdure import Status
from perdure.actors.turn import RECOVER, ReminderDue
from perdure.runtime.errors import (
    DescendantsUnknown,
    InstanceExists,
    InstanceNotFound,
    InstanceStalled,
    InstanceUnfinished,
)
from perdure.runtime.history.event import (
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    Parent,
    TaskScheduled,
)
from perdure.runtime.instance.message import (
    ActivityDone,
    ChildDone,
    ChildStarted,
    RaiseEvent,
    Resume,
    Start,
    Suspend,
    Terminate,
)

from ...support.workflows.lone_actor import LoneActor
from ...support.workflows.turn_app import FAILURE, PARENT, other_app


def test_an_answer_for_a_task_that_is_answered_already_changes_nothing(actor: LoneActor) -> None:
    actor.start("steps")
    actor.done(1, "1")
    before = list(actor.entries)
    actor.done(1, "1")
    actor.done(99, "1")
    actor.send(ActivityDone("another execution", 2, "1", None))
    assert actor.entries == before
    assert actor.status is Status.RUNNING


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


def test_a_finished_instance_with_children_is_replaced_only_after_a_look_at_them(actor: LoneActor) -> None:
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


def test_an_event_for_a_finished_instance_is_taken_and_dropped(actor: LoneActor) -> None:
    actor.start("broken")
    before = list(actor.entries)
    assert actor.raise_event("e", "1") is None
    assert actor.entries == before


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


def test_redundant_suspends_and_resumes_leave_no_trace(actor: LoneActor) -> None:
    # A request for the present state is answered with the status.
    actor.start("events")
    assert actor.resume() == "RUNNING"
    actor.suspend()
    before = list(actor.entries)
    assert actor.suspend() == "SUSPENDED"
    assert actor.entries == before
    actor.resume()
    assert actor.resume() == "RUNNING"
    kinds = [type(event) for event in actor.history]
    assert kinds.count(ExecutionSuspended) == kinds.count(ExecutionResumed) == 1


def test_a_timer_that_fires_during_a_suspension_counts_afterwards(actor: LoneActor) -> None:
    actor.start("sleeper")
    actor.suspend()
    actor.fire()
    assert actor.status is Status.SUSPENDED
    actor.resume()
    assert actor.state.output == '"awake"'


def test_a_finished_instance_takes_a_termination_and_stays_as_it_is(actor: LoneActor) -> None:
    actor.start("broken")
    assert actor.terminate() == "FAILED"
    assert actor.status is Status.FAILED


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


@pytest.mark.parametrize("body", [RaiseEvent("e", None), Suspend(None), Resume(None), Terminate(None, recurse=True)])
def test_a_request_to_a_missing_instance_is_refused(actor: LoneActor, body: Any) -> None:
    assert isinstance(actor.send(body), InstanceNotFound)
    assert actor.record is None
    assert actor.entries == []


@pytest.mark.parametrize("body", [RaiseEvent("e", None), Suspend(None), Resume(None), Terminate(None, recurse=True)])
def test_a_stalled_instance_refuses_requests(actor: LoneActor, body: Any) -> None:
    actor.start("steps")
    actor.restart(other_app())
    actor.done(1, "1")
    assert isinstance(actor.send(body), InstanceStalled)
    assert isinstance(actor.purge(), InstanceStalled)
    assert actor.status is Status.STALLED


def test_a_stalled_instance_can_be_purged_by_force(actor: LoneActor) -> None:
    actor.start("steps")
    actor.restart(other_app())
    actor.done(1, "1")
    assert actor.purge(force=True) is None


def test_recovery_of_a_missing_instance_is_harmless(actor: LoneActor) -> None:
    actor.send(RECOVER)
    assert actor.entries == []


# A reminder with changed fields: no checksum shows it, but the history does.


@pytest.mark.parametrize(
    ("name", "shift_us"),
    [("1", -1_000_000), ("1", 1_000_000), ("3", 0), ("q", 0), ("", 0), ("1x", 0), ("²", 0), ("-1", 0)],
)
def test_a_timer_whose_reminder_has_changed_on_the_disk_fires_at_its_time_all_the_same(
    actor: LoneActor, name: str, shift_us: int
) -> None:
    # Given a timer whose row has got another name, or another time,
    actor.start("sleeper")
    [(timer, due_us)] = actor.reminders
    actor.reminders = set()
    wrong_us = due_us + shift_us
    # when it fires at its changed time,
    actor.now_us = max(actor.now_us, wrong_us)
    actor.send(ReminderDue(name, wrong_us))
    # then the timer is set again as in the history, not before its time,
    assert actor.status is Status.RUNNING
    if shift_us < 0 and name != timer:
        assert actor.reminders == set()
    else:
        assert actor.reminders == {(timer, due_us)}
        # and fires.
        actor.fire()
        assert actor.status is Status.COMPLETED


@pytest.mark.parametrize(("name", "shift_us"), [("1", 1_000_000), ("3", 0), ("q", 0)])
def test_so_does_the_end_of_a_wait(actor: LoneActor, name: str, shift_us: int) -> None:
    # Given a wait with a timeout, whose row has got another name, or another time,
    actor.start("approval")
    [(timer, due_us)] = actor.reminders
    actor.reminders = set()
    # when that fires,
    actor.now_us = due_us + shift_us
    actor.send(ReminderDue(name, due_us + shift_us))
    # then the timer is set again, and the wait ends.
    assert actor.reminders == {(timer, due_us)}
    actor.fire()
    assert (actor.status, actor.state.output) == (Status.COMPLETED, '"too late"')


def test_the_timer_of_a_wait_that_its_event_has_ended_is_not_set_again(actor: LoneActor) -> None:
    actor.start("approval")
    [(_, due_us)] = actor.reminders
    actor.raise_event("approve", '"yes"')
    assert actor.reminders == set()
    actor.now_us = due_us
    actor.send(ReminderDue("q", due_us))
    assert actor.reminders == set()
    assert actor.status is Status.RUNNING


@pytest.mark.parametrize("workflow", ["sleeper", "approval"])
def test_a_restart_sets_timers_again_that_the_disk_has_lost(actor: LoneActor, workflow: str) -> None:
    actor.start(workflow)
    [timer] = actor.reminders
    actor.reminders = set()
    actor.restart()
    assert actor.reminders == {timer}
    actor.fire()
    assert actor.status is Status.COMPLETED
    # The wait is over, and sets no timer.
    actor.restart()
    assert actor.reminders == set()


@pytest.mark.parametrize("running", [True, False])
def test_a_start_behind_a_termination_finds_the_instance_ended(actor: LoneActor, running: bool) -> None:
    # Given a child, or the start of one that waits, which is to be terminated with its parent's first run,
    first, second = Parent("p", "run-1", 1, "p"), Parent("p", "run-2", 1, "p")
    start = Start("steps", None, "c1", parent=first)
    before = [] if running else [start]
    if running:
        actor.tell(start)
        actor.messages.clear()
    # when the start of the second run's child comes in the same turn,
    actor.send(*before, Terminate(None, recurse=True, parent=first), Start("steps", None, "c2", parent=second))
    # then it begins, and the first run is notified that its child was terminated.
    record = actor.actor.record
    assert record is not None
    assert (record.execution_id, record.parent) == ("c2", second)
    assert [event for event in actor.history if isinstance(event, ExecutionTerminated | ExecutionCompleted)] == []
    told = {(body.execution_id, Status(body.status)) for _, body in actor.messages if isinstance(body, ChildDone)}
    assert told == {("run-1", Status.TERMINATED)}
    actor.restart()
    assert actor.actor.record is not None
    assert actor.actor.record.parent == second
