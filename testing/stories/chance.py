"""Chance of a story: a generator of random numbers whose numbers are choices, so that they shrink with the rest.

The rule: equal choices give equal numbers.

`testing/stories/world.py` gives one to the story and to the app.
"""

from random import Random
from typing import Any

from ..simulation.choices import Choices

STREAM = "story.random"
BITS_MAX = 32  # of one choice


class ChosenRandom(Random):
    """A `random.Random` of choices. The calm world has zeros: `random()` is 0.0, `choice` the first.

    Args:
        choices: Where its numbers come from.
    """

    def __new__(cls, choices: Choices) -> "ChosenRandom":
        return super().__new__(cls)

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        super().__init__(0)

    def random(self) -> float:
        """A chosen number from 0.0 on, below 1.0."""
        return float(self.getrandbits(BITS_MAX)) / 2.0**BITS_MAX

    def getrandbits(self, k: int, /) -> int:
        """A chosen number of `k` bits."""
        value = 0
        while k > 0:
            bits = min(k, BITS_MAX)
            value = value << bits | self._choices.draw(STREAM, 1 << bits)
            k -= bits
        return value

    def seed(self, *given: Any, **named: Any) -> None:
        """Does nothing: the seed is the world's."""

    def getstate(self) -> Any:
        """Refuse: choices have no state."""
        raise NotImplementedError("the state of a world's chance is the world's")

    def setstate(self, state: Any) -> None:
        """Refuse: choices have no state."""
        raise NotImplementedError("the state of a world's chance is the world's")
