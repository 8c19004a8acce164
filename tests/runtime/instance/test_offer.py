"""An offer settles the events of a turn when a worker takes it, and waits a little for results under way."""

from typing import Any

import pytest

from perdure.runtime.history.event import EventRaised, TaskCompleted, TaskScheduled
from perdure.runtime.history.timed_event import TurnStarted
from perdure.runtime.instance.message import RemoteAnswer, WorkflowAnswer
from perdure.runtime.instance.offer import PATIENCE_MAX_S, Offer

from ...support.workflows.lone_actor import LoneActor


@pytest.fixture
def actor() -> LoneActor:
    """An instance whose code has asked for two activities."""
    actor = LoneActor(None)
    actor.start("w")
    work = last(actor).settle()
    assert work is not None
    tasks = (TaskScheduled(1, "a", None, "k1"), TaskScheduled(2, "a", None, "k2"))
    actor.tell(RemoteAnswer(work, WorkflowAnswer("i", "", tasks)))
    return actor


def last(actor: LoneActor) -> Offer:
    offer: Any = actor.sent(Offer)[-1][1]
    assert isinstance(offer, Offer)
    return offer


def kinds(offer: Offer) -> list[type]:
    work = offer.settle()
    assert work is not None
    return [type(timed.event) for timed in work.new]


def test_what_arrives_after_the_offer_is_fed_with_it_and_what_arrives_after_it_is_settled_is_not(
    actor: LoneActor,
) -> None:
    actor.raise_event("first")
    offer = last(actor)
    actor.raise_event("second")
    assert kinds(offer) == [TurnStarted, EventRaised, EventRaised]
    work = offer.settle()
    assert work is not None
    actor.raise_event("third")
    assert len(work.fed) == 2
    assert len(actor.sent(Offer)) == 2  # the start's, and this one


def test_an_offer_waits_a_part_of_the_time_that_the_code_has_waited_while_results_are_under_way(
    actor: LoneActor,
) -> None:
    actor.now_us += 39_000  # and a turn takes one more millisecond
    actor.done(1)
    assert last(actor).patience_s == pytest.approx(0.01)


def test_an_offer_never_waits_long(actor: LoneActor) -> None:
    actor.now_us += 3_600_000_000
    actor.done(1)
    assert last(actor).patience_s == PATIENCE_MAX_S


def test_the_last_result_that_was_under_way_ends_the_wait(actor: LoneActor) -> None:
    actor.now_us += 39_000
    actor.done(1)
    offer = last(actor)
    made = len(actor.sent(Offer))
    actor.done(2)
    assert len(actor.sent(Offer)) == made + 1
    assert last(actor) is offer
    assert offer.patience_s == 0
    assert kinds(offer) == [TurnStarted, TaskCompleted, TaskCompleted]


def test_with_nothing_under_way_an_offer_does_not_wait() -> None:
    actor = LoneActor(None)
    actor.start("w")
    assert last(actor).patience_s == 0


@pytest.mark.parametrize("ended", ["suspend", "terminate", "purge"])
def test_an_offer_that_cannot_be_taken_any_more_is_void(actor: LoneActor, ended: str) -> None:
    actor.raise_event("e")
    offer = last(actor)
    if ended == "purge":
        actor.purge(force=True)
    else:
        getattr(actor, ended)()
    assert offer.settle() is None


def test_after_a_suspension_a_new_offer_is_made(actor: LoneActor) -> None:
    actor.raise_event("e")
    offer = last(actor)
    actor.suspend()
    assert offer.settle() is None
    actor.resume()
    assert last(actor) is not offer
    assert EventRaised in kinds(last(actor))
