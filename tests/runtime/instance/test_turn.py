"""One turn: arrivals are fed, and all of it is one row of the history.

Each story is told twice: with an actor that stays in memory, and with one
that is rebuilt from its rows before every turn.
"""

from perdure import Status
from perdure.runtime.history.event import (
    ExecutionCompleted,
    ExecutionStarted,
    TaskCompleted,
    TaskScheduled,
)
from perdure.runtime.instance.message import (
    Invoke,
    RaiseEvent,
    Resume,
    Start,
    Suspend,
    Terminate,
)

from ...support.workflows.lone_actor import LoneActor


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


def test_two_answers_in_one_turn_are_one_row(actor: LoneActor) -> None:
    actor.start("events")
    actor.send(RaiseEvent("e", "1"), RaiseEvent("e", "2"))
    assert len(actor.entries) == 2
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


def test_termination_beats_whatever_else_is_in_the_batch(actor: LoneActor) -> None:
    actor.start("events")
    actor.send(RaiseEvent("e", "1"), RaiseEvent("e", "2"), Terminate(None, recurse=True))
    assert actor.status is Status.TERMINATED


def test_purged_and_started_in_one_turn_begins_with_an_empty_history(actor: LoneActor) -> None:
    actor.start("broken")
    from perdure.runtime.instance.message import Purge  # noqa: PLC0415

    assert actor.send(Purge(force=False), Start("steps", None, "x2")) == "i"
    assert [type(event) for event in actor.history] == [ExecutionStarted, TaskScheduled]


def test_what_was_in_flight_is_asked_for_again_after_a_restart(actor: LoneActor) -> None:
    actor.start("steps", "7")
    before = actor.sent(Invoke)
    assert actor.busy
    actor.restart()
    assert actor.sent(Invoke) == before
