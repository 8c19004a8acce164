"""Choices: all that is up to chance in a world, as small numbers in named streams.

The one law: 0 is calm. A choice that is 0 is a fault that does not happen, the oldest step, the usual pause; so the
list of those that were not 0, the *schedule*, is short, and a world without one is calm.

A seed is how a schedule is made; a schedule is what is replayed and kept. Each stream has a generator of its own, so
that one draw more in one moves nothing in another. Streams are named by what they are about ("kill.unheard"), never by
when.
"""

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import TypeAlias

# (stream, which draw of it) -> what was drawn, where that was not 0.
Schedule: TypeAlias = dict[tuple[str, int], int]

# How often a kind of fault happens in a world in which it happens at all; drawn anew for each kind and world, because a
# fixed rate hides what needs many faults, and what needs few.
INTENSITIES = (0.004, 0.02, 0.08)
# Half of the kinds are off in a world.
ON = 0.5


class Choices:
    """Where choices come from.

    Args:
        seed: Chooses at random.
        schedule: Chooses as it says, and 0 elsewhere. One of the two is given, or none: then all is calm.

    Attributes:
        drawn: How many choices were made in each stream, while they were not calmed.
        faults: The streams of faults so far, and how many kinds of fault each has.
        taken: What was not 0.
        calmed: Whether faults are over; `fault` then gives 0 and does not count.
    """

    def __init__(self, seed: int | None = None, *, schedule: Mapping[tuple[str, int], int] | None = None) -> None:
        assert seed is None or schedule is None, "a seed or a schedule"
        self.seed = seed
        self.drawn: dict[str, int] = {}
        self.faults: dict[str, int] = {}
        self.taken: Schedule = {}
        self.calmed = False
        self._schedule = schedule or {}
        self._streams: dict[str, Random] = {}
        self._rates: dict[str, float] = {}

    def draw(self, stream: str, below: int) -> int:
        """Choose a number from 0 to just below `below`, each as likely."""
        return self._draw(stream, below, 1.0)

    def fault(self, stream: str, below: int = 2, *, rates: Sequence[float] = INTENSITIES) -> int:
        """Choose whether a fault happens, and which: 0 is none. Its rate is the world's for this stream.

        Args:
            rates: Of which a world has one, or none.
        """
        if self.calmed:
            return 0
        if stream not in self._rates:
            self.faults[stream] = below - 1
            world = Random(f"{self.seed}/{stream}/rate")  # noqa: S311  no secret
            self._rates[stream] = world.choice(rates) if world.random() < ON else 0.0
        return self._draw(stream, below, self._rates[stream])

    @property
    def unmet(self) -> Sequence[tuple[str, int]]:
        """The choices of the schedule that this run has not come to, because the code is another or a choice before."""
        return [place for place in self._schedule if self.drawn.get(place[0], 0) <= place[1]]

    def _draw(self, stream: str, below: int, rate: float) -> int:
        index = self.drawn.get(stream, 0)
        self.drawn[stream] = index + 1
        if self.seed is None:
            value = min(self._schedule.get((stream, index), 0), below - 1)
        else:
            random = self._streams.get(stream)
            if random is None:
                random = self._streams[stream] = Random(f"{self.seed}/{stream}")  # noqa: S311  no secret
            if rate >= 1.0:
                value = random.randrange(below)
            else:
                value = random.randrange(1, below) if random.random() < rate else 0
        if value:
            self.taken[stream, index] = value
        return value


def told(schedule: Mapping[tuple[str, int], int]) -> str:
    """A schedule as one line: `kill.unheard#3 store.slow#0=2`."""
    return " ".join(f"{stream}#{n}" + (f"={value}" if value > 1 else "") for (stream, n), value in schedule.items())


def read_schedule(line: str) -> Schedule:
    """Read what `told` has written.

    Raises:
        ValueError: It is no such line.
    """
    return dict(_read_choice(each) for each in line.split())


def _read_choice(text: str) -> tuple[tuple[str, int], int]:
    stream, hash_sign, rest = text.rpartition("#")
    number, equals, value = rest.partition("=")
    if not hash_sign or not number.isdigit() or (equals and not value.isdigit()):
        raise ValueError(f"a choice is a stream, # and a number, as kill.unheard#3 or store.slow#0=2; not {text!r}")
    return (stream, int(number)), int(value) if equals else 1


def union(schedules: Iterable[Mapping[tuple[str, int], int]]) -> Schedule:
    """Several schedules as one; the last has its way."""
    made: Schedule = {}
    for schedule in schedules:
        made.update(schedule)
    return made
