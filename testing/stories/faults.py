"""Faults: which kinds of them the worlds of a test have.

The rule: a kind that is off is never chosen, and has no place in a sweep.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from ..simulation.choices import INTENSITIES, Choices

# The first word of a stream of choices -> the field of Faults that controls it. Any other first word is a fake's name.
KINDS: Mapping[str, str] = {
    "caller": "network",
    "answer": "network",
    "request": "network",
    "kill": "kills",
    "store": "disk",
    "host": "pauses",
    "clock": "clock",
    "order": "order",
    "world": "order",
    "step": "order",
    "timer": "order",
    "thread": "order",
    "process": "kills",
}
# Those of the world itself: choices of the story, and which app a host has.
ALWAYS = frozenset({"story", "deploy"})
# Names that no fake may have.
RESERVED = frozenset({*KINDS, *ALWAYS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Which kinds of faults there are; all but the clock by default."""

    kills: bool = True  # the host is killed, as by kill -9, at any place and moment
    disk: bool = True  # a commit fails or is slow, a read fails
    network: bool = True  # a request or its answer is lost, doubled or late, between the client and the host
    outside: bool = True  # the same between activities and the fakes of `world.outside`
    pauses: bool = True  # the host stands still for a while, or comes back late
    order: bool = True  # steps overtake each other, timers are late
    clock: bool = False  # the date is set back and forward; worlds with months in them take long then

    @classmethod
    def none(cls) -> "Faults":
        """No faults at all: only the story's own choices are left."""
        return cls(**{field.name: False for field in fields(cls)})


class ChosenFaults(Choices):
    """Choices among the kinds of faults that are on.

    Args:
        seed, schedule: As for `Choices`.
    """

    def __init__(
        self, faults: Faults, seed: int | None = None, *, schedule: Mapping[tuple[str, int], int] | None = None
    ) -> None:
        super().__init__(seed, schedule=schedule)
        self._on = {stream: getattr(faults, field) for stream, field in KINDS.items()}
        self._outside = faults.outside
        self._known: dict[str, bool] = {}

    @classmethod
    def of(cls, choices: Choices, faults: Faults) -> "ChosenFaults":
        """The same choices, without the kinds that are off."""
        return cls(faults, choices.seed, schedule=choices._schedule if choices.seed is None else None)

    def fault(self, stream: str, below: int = 2, *, rates: Sequence[float] = INTENSITIES) -> int:
        return super().fault(stream, below, rates=rates) if self._has(stream) else 0

    def noise(self, stream: str, below: int = 2, *, rates: Sequence[float] = INTENSITIES) -> int:
        return super().noise(stream, below, rates=rates) if self._has(stream) else 0

    def draw(self, stream: str, below: int) -> int:
        return super().draw(stream, below) if self._has(stream) else 0

    def _has(self, stream: str) -> bool:
        known = self._known.get(stream)
        if known is None:
            word = stream.partition(".")[0]
            known = self._known[stream] = word in ALWAYS or self._on.get(word, self._outside)
        return known
