"""How an instance ends, begins again with a new generation, or stalls (contract 1.5, 4.1 to 4.4).

Each story is told twice: with an actor that stays in memory, and with one
that is rebuilt from its rows before every turn.
"""

import pytest

from perdure import Status
from perdure.runtime.history.event import (
    ChildCreated,
    ExecutionCompleted,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionTerminated,
    Parent,
)
from perdure.runtime.instance.message import (
    ChildDone,
    Continue,
    RaiseEvent,
    Terminate,
)

from ...support.workflows.lone_actor import LoneActor
from ...support.workflows.turn_app import PARENT, other_app


def test_termination_ends_an_instance_with_the_given_output(actor: LoneActor) -> None:
    actor.start("sleeper")
    assert actor.terminate('"bye"') is None
    assert actor.status is Status.TERMINATED
    assert actor.state.output == '"bye"'
    assert actor.reminders == set()


def test_a_suspended_instance_is_terminated_at_once(actor: LoneActor) -> None:
    actor.start("events")
    actor.suspend()
    actor.terminate()
    assert actor.status is Status.TERMINATED


def test_a_pending_instance_can_be_terminated(actor: LoneActor) -> None:
    actor.start("events", start_at_us=actor.now_us + 5_000_000)
    actor.terminate('"never"')
    assert actor.status is Status.TERMINATED
    assert actor.state.output == '"never"'
    assert actor.reminders == set()


def test_a_termination_is_recorded_with_its_end(actor: LoneActor) -> None:
    actor.start("parent")
    actor.terminate('"x"', recurse=False)
    assert [type(event) for event in actor.history] == [
        ExecutionStarted,
        ChildCreated,
        ExecutionTerminated,
        ExecutionCompleted,
    ]


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


def test_the_same_stall_is_recorded_once(actor: LoneActor) -> None:
    actor.start("steps")
    actor.restart(other_app())
    actor.done(1, "1")
    actor.restart(other_app())
    actor.restart(other_app())
    assert [type(event) for event in actor.history].count(ExecutionStalled) == 1
