"""The random numbers of a story are choices."""

import pytest

from perdure.testing.simulation.choices import Choices
from perdure.testing.stories.chance import ChosenRandom


def test_the_calm_world_has_zeros() -> None:
    chance = ChosenRandom(Choices())
    assert (chance.random(), chance.getrandbits(70), chance.choice("abc"), chance.randint(3, 9)) == (0.0, 0, "a", 3)


def test_a_seed_gives_numbers_that_its_schedule_gives_again() -> None:
    choices = Choices(5)
    chance = ChosenRandom(choices)
    drawn = [chance.random(), chance.getrandbits(70), chance.randint(0, 10**6), chance.sample(range(99), 3)]
    again = ChosenRandom(Choices(schedule=choices.taken))
    assert drawn == [again.random(), again.getrandbits(70), again.randint(0, 10**6), again.sample(range(99), 3)]
    assert 0.0 < drawn[0] < 1.0  # type: ignore[operator]


def test_its_state_is_the_worlds() -> None:
    chance = ChosenRandom(Choices(1))
    chance.seed(3)
    for ask in (chance.getstate, lambda: chance.setstate(None)):
        with pytest.raises(NotImplementedError):
            ask()
