"""Commands have effects: activities, timers and children are asked for, and again after a crash (contract 3.6 to 3.14).

Each story is told twice: with an actor that stays in memory, and with one
that is rebuilt from its rows before every turn.
"""

from perdure import Status, WorkflowContext
from perdure.actors.turn import RECOVER, Envelope
from perdure.runtime.history.event import (
    ExecutionCompleted,
    ExecutionStarted,
    Parent,
    TimerCreated,
    TimerFired,
)
from perdure.runtime.instance.message import (
    ActivityDone,
    ChildDone,
    ChildStarted,
    Invoke,
    Start,
    Withdraw,
)
from perdure.runtime.instance.turn import take_turn

from ...support.workflows.lone_actor import LoneActor
from ...support.workflows.turn_app import FAILURE, PARENT, make_app


def test_an_activity_is_told_who_asks_and_has_a_stable_key(actor: LoneActor) -> None:
    actor.start("steps", "7")
    [(address_id, invoke)] = actor.sent(Invoke)
    assert invoke == Invoke("a", "7", "i", "x1", 1, "x1-1", workflow="steps", attempt=1)
    assert address_id == "x1:1"


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


def test_what_is_asked_for_again_is_called_off_by_an_answer_that_comes_before_the_commit() -> None:
    for name in ("steps", "loose_ends"):
        # Given an instance that asks for an activity again, in a turn whose commit is under way,
        actor = LoneActor(make_app())
        actor.start(name, "7")
        turn = take_turn(actor.actor, [Envelope(RECOVER)], actor.now_us)
        assert [body.task_id for _, body in turn.messages if isinstance(body, Invoke)] == [1]
        # when the answer to another activity comes, the request stays;
        take_turn(actor.actor, [Envelope(ActivityDone("x1", 2, "1", None))], actor.now_us)
        assert [body.task_id for _, body in turn.messages if isinstance(body, Invoke)] == [1]
        # and when its own answer comes, the activity is not performed in vain.
        answered = take_turn(actor.actor, [Envelope(ActivityDone("x1", 1, "1", None))], actor.now_us)
        assert [body.task_ids for _, body in answered.messages if isinstance(body, Withdraw)] == [(1,)]
        assert not [body for _, body in turn.messages if isinstance(body, Invoke)], name
        assert actor.actor.asked_again is None


def test_a_call_of_another_app_that_is_called_off_before_the_commit_is_not_waited_for() -> None:
    app = make_app()

    @app.workflow
    async def pays(ctx: WorkflowContext) -> None:
        await ctx.call_activity("pay", app_id="bank")

    # Given an instance that asks another app again, in a turn whose commit is under way,
    actor = LoneActor(app)
    actor.start("pays")
    turn = take_turn(actor.actor, [Envelope(RECOVER)], actor.now_us)
    assert [address.type for address, _ in turn.messages] == ["call@bank"]
    # when the answer comes, the request is called off and counted: the actor of the call would take it otherwise.
    take_turn(actor.actor, [Envelope(ActivityDone("x1", 1, "1", None))], actor.now_us)
    assert (turn.messages, turn.called_off) == ([], 1)


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


def test_an_event_in_time_takes_its_timer_back(actor: LoneActor) -> None:
    actor.start("approval")
    assert len(actor.reminders) == 1
    actor.raise_event("Approve", '"yes"')
    assert actor.reminders == set()
    assert actor.invoked == ["charge"]


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


def test_a_child_is_started_with_its_link_and_an_id_after_its_parents(actor: LoneActor) -> None:
    actor.start("parent")
    [(child_id, start)] = actor.sent(Start)
    assert child_id == "i:0001"
    assert start.parent == Parent("i", "x1", 1, "parent")
    assert (start.name, start.input) == ("steps", "1")


def test_a_child_tells_its_parent_how_it_ended(actor: LoneActor) -> None:
    actor.start("steps", "1", parent=PARENT)
    actor.done(1, "1")
    actor.done(2, "2")
    assert actor.sent(ChildDone) == [("p", ChildDone("px", 3, Status.COMPLETED.value, "[1,2]", None))]


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


def test_a_finished_parent_does_not_replace_another_instance_that_has_the_id_of_its_child(actor: LoneActor) -> None:
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
