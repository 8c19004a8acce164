"""Native code is fed the arrivals; code that is missing, or that does not fit, does not change the history.

Each story is told twice: with an actor that stays in memory, and with one
that is rebuilt from its rows before every turn.
"""

from perdure import App, Status
from perdure.runtime.history.event import (
    EventRaised,
)

from ...support.workflows.lone_actor import LoneActor
from ...support.workflows.turn_app import make_app, other_app


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


def test_events_are_matched_without_case_and_handed_out_in_their_order(actor: LoneActor) -> None:
    actor.start("events")
    actor.raise_event("E", "1")
    actor.raise_event("e", "2")
    assert actor.state.output == "[1,2]"
    assert [event.name for event in actor.history if isinstance(event, EventRaised)] == ["E", "e"]


def test_a_timeout_comes_as_a_timeout_error(actor: LoneActor) -> None:
    actor.start("approval")
    actor.fire()
    assert actor.state.output == '"too late"'


def test_an_instance_has_started_with_the_first_turn_of_its_generation(actor: LoneActor) -> None:
    actor.start("steps")
    began_us = actor.now_us
    assert actor.state.started_us == began_us
    actor.done(1)
    assert actor.state.started_us == began_us
    # An instance that is to start later has not started,
    later = LoneActor(make_app(), forgetful=actor.forgetful)
    later.start("steps", start_at_us=5_000_000)
    assert later.state.started_us is None
    later.fire()
    assert later.state.started_us == later.now_us
    # nor has one that is paused before its first turn.
    paused = LoneActor(make_app(), forgetful=actor.forgetful)
    paused.start("steps", start_at_us=5_000_000)
    paused.suspend()
    paused.fire()
    assert paused.state.started_us is None
    paused.resume()
    assert paused.state.started_us == paused.now_us


def test_without_code_an_instance_waits_for_it(actor: LoneActor) -> None:
    lone = LoneActor(None, forgetful=actor.forgetful)
    lone.start("steps", "7")
    assert lone.status is Status.PENDING
    assert lone.busy
    lone.restart(make_app())
    assert lone.status is Status.RUNNING
    assert lone.invoked == ["a"]


def test_an_instance_whose_workflow_is_gone_stalls_rather_than_fails(actor: LoneActor) -> None:
    actor.start("steps")
    actor.restart(App("empty"))
    actor.done(1, "1")
    assert actor.status is Status.STALLED
    assert "was not registered" in (actor.state.stall or "")


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
