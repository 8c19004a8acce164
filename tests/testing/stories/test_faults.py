"""A kind of fault that is off is never chosen, and has no place."""

import pytest

from perdure.testing import Faults
from perdure.testing.simulation.choices import Choices
from perdure.testing.stories.faults import ChosenFaults

STREAMS = {
    "kills": "kill.before",
    "disk": "store.fail",
    "network": "request.lost",
    "outside": "bank.charge.lost",
    "pauses": "host.pause",
    "order": "timer.late",
    "clock": "clock.step",
}


def places(choices: Choices) -> set[str]:
    for stream in STREAMS.values():
        for _ in range(1_000):
            choices.fault(stream, rates=(0.5,))
    return {stream for stream, _ in choices.taken}


@pytest.mark.parametrize("kind", STREAMS)
def test_only_what_is_on_is_chosen(kind: str) -> None:
    on = Faults(**{each: each == kind for each in STREAMS})
    found = {stream for seed in range(8) for stream in places(ChosenFaults.of(Choices(seed), on))}
    assert found == {STREAMS[kind]}
    assert set(ChosenFaults.of(Choices(0), on).faults) <= {STREAMS[kind]}


def test_all_but_the_clock_is_on_by_default_and_nothing_with_none() -> None:
    assert [kind for kind in STREAMS if not getattr(Faults(), kind)] == ["clock"]
    assert not places(ChosenFaults.of(Choices(1), Faults.none()))


def test_the_choices_of_a_story_are_always_there() -> None:
    choices = ChosenFaults.of(Choices(schedule={("story.pick", 0): 3, ("deploy.now", 0): 1}), Faults.none())
    assert (choices.draw("story.pick", 5), choices.fault("deploy.now")) == (3, 1)


def test_what_was_chosen_is_chosen_again_by_its_schedule() -> None:
    first = ChosenFaults.of(Choices(3), Faults())
    places(first)
    again = ChosenFaults.of(Choices(schedule=first.taken), Faults())
    places(again)
    assert again.taken == first.taken
    assert not again.unmet


def test_noise_and_order_go_with_their_kind() -> None:
    choices = ChosenFaults.of(Choices(schedule={("timer.late", 0): 1, ("order", 0): 1}), Faults(order=False))
    assert (choices.noise("timer.late"), choices.draw("order", 4)) == (0, 0)
