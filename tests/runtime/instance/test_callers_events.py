"""Events with keys of callers: taken once, kept by an instance that is stuck, and refused by one that has ended."""

from collections.abc import Callable
from typing import Any

import pytest

from perdure import FailureDetails, Status
from perdure.actors.turn import SetAside
from perdure.runtime.errors import EventRefused, InstanceNotFound
from perdure.runtime.history.event import EventRaised
from perdure.runtime.history.keys import event_key_of
from perdure.runtime.instance.ending import RECEIVED_MAX
from perdure.runtime.instance.message import RaiseEvent, ReleaseAside

from ...support.workflows.lone_actor import LoneActor
from ...support.workflows.turn_app import make_app, other_app


def event(key: str | None, name: str = "e", data: str | None = "1") -> RaiseEvent:
    return RaiseEvent(name, data, event_key_of(key) if key is not None else None, strict=True)


def raised(actor: LoneActor) -> int:
    return sum(isinstance(each, EventRaised) for each in actor.history)


def running(actor: LoneActor) -> None:
    actor.start("events")


def suspended(actor: LoneActor) -> None:
    actor.start("events")
    actor.suspend()


def waiting_to_start(actor: LoneActor) -> None:
    actor.start("events", start_at_us=actor.now_us + 60_000_000)


def stalled(actor: LoneActor) -> None:
    actor.start("steps")
    actor.restart(other_app())
    actor.done(1, "1")
    assert actor.status is Status.STALLED


def aside(actor: LoneActor) -> None:
    actor.start("events")
    actor.tell(SetAside("poison"))


each_state = pytest.mark.parametrize("reach", [running, suspended, waiting_to_start, stalled, aside])


@each_state
def test_it_is_kept_once_whatever_the_instance_waits_for(actor: LoneActor, reach: Callable[[LoneActor], Any]) -> None:
    reach(actor)
    for _ in range(3):
        assert actor.send(event("k")) is None
    assert raised(actor) == 1
    # In one turn too, and after a restart.
    assert actor.send(event("k2"), event("k2"), event("k")) is None
    assert raised(actor) == 2
    actor.restart()
    assert actor.send(event("k"), event("k2")) is None
    assert raised(actor) == 2


@each_state
def test_without_a_key_each_counts(actor: LoneActor, reach: Callable[[LoneActor], Any]) -> None:
    reach(actor)
    for _ in range(2):
        assert actor.send(event(None)) is None
    assert raised(actor) == 2


def test_what_came_while_it_was_set_aside_is_fed_after_the_release(actor: LoneActor) -> None:
    aside(actor)
    actor.send(event("a"))
    actor.send(event("b"))
    assert actor.send(ReleaseAside()) is None
    assert (actor.status, actor.state.output) == (Status.COMPLETED, "[1,1]")


@pytest.mark.parametrize("end", ["completes", "terminated", "failed"])
def test_what_has_ended_drops_a_repeat_and_refuses_what_is_new(actor: LoneActor, end: str) -> None:
    if end == "failed":
        actor.start("steps", start_at_us=actor.now_us + 60_000_000)
        actor.send(event("a"), event("b"))
        actor.fire()
        actor.evict()
        actor.done(1, None, FailureDetails(error_type="E", message="m"))
    else:
        actor.start("events")
        actor.send(event("a"))
        actor.send(event("b"))
        if end == "terminated":
            actor.terminate()
    assert actor.status.terminal
    for _ in range(2):
        entries = list(actor.entries)
        assert actor.send(event("a")) is None
        refused = actor.send(event("c"))
        assert isinstance(refused, EventRefused)
        assert "event 'e' was not taken: instance 'i' is" in str(refused)
        assert isinstance(actor.send(event(None)), EventRefused)
        assert actor.entries == entries
        actor.evict()
    # Dapr's doors drop it silently.
    assert actor.raise_event("e") is None


def test_nobody_takes_it(actor: LoneActor) -> None:
    assert isinstance(actor.send(event("k")), InstanceNotFound)


def test_the_last_thousand_keys_are_known_to_the_next_generations() -> None:
    lone = LoneActor(make_app())
    lone.start("counting", "0")
    lone.suspend()
    for number in range(RECEIVED_MAX + 1):
        lone.send(event(str(number), "tick"))
    lone.resume()
    lone.evict()
    assert lone.state.execution_id != "x1"
    for number in range(1, RECEIVED_MAX + 1):
        assert lone.send(event(str(number), "tick", '"again"')) is None
    assert not [each for each in lone.history if isinstance(each, EventRaised) and each.input == '"again"']


def test_a_new_holder_of_the_id_knows_no_keys(actor: LoneActor) -> None:
    actor.start("events")
    actor.send(event("a"))
    actor.terminate()
    actor.start("events", execution_id="x2")
    assert actor.send(event("a")) is None
    assert raised(actor) == 1
