"""Choices: all that is up to chance in a world, as small numbers in named streams.

The rule: 0 is calm. A choice that is 0 is a fault that does not happen, the oldest step, the usual pause; so the
list of the choices that were not 0, the *schedule*, is short, and a world without one is calm.

A seed makes a schedule; the schedule is replayed and kept. Each stream has a generator of its own, so that an
additional draw in one stream changes nothing in another. A stream's name says what it decides ("kill.unheard"), never
when.

A world makes thousands of choices, and nearly all of them are 0. So a stream of faults knows the number of its next
draw that is not 0, and uses its generator only then.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from math import log
from random import Random
from typing import Protocol, TypeAlias

# (stream, number of the draw) -> the drawn value, if it was not 0.
Schedule: TypeAlias = dict[tuple[str, int], int]

# How often a kind of fault happens in a world in which it happens at all; drawn anew for each kind and world, because a
# fixed rate hides bugs that need many faults, and bugs that need few.
INTENSITIES = (0.004, 0.02, 0.08)
# Half of the kinds are off in a world.
ON = 0.5

# A choice as text. A value of 0 is that of no fault, which no schedule has; 99 digits are those of a drawn number.
CHOICE = re.compile(r"([^\s=,]+)#([0-9]{1,9})(?:=([1-9][0-9]{0,98}))?")

# The number of a draw that never comes.
NEVER = -1


class Generator(Protocol):
    """The source of a stream's numbers, made from a text that no other stream of any seed has."""

    def __init__(self, seed: str, /) -> None: ...

    def random(self) -> float:
        """A number from 0 to just below 1."""
        ...


class Choices:
    """The source of choices.

    Args:
        seed: Chooses at random.
        schedule: The choices that are not 0. Give `seed` or `schedule`, or neither for a calm world.
        rates: With a seed, how often the fault of a stream happens; streams that it does not have happen as often as
            the seed says.

    Attributes:
        faults: The streams of faults so far, and how many kinds of fault each has.
        taken: The choices that were not 0.
        calmed: Whether faults are over; `fault` and `noise` then give 0 and do not count.
        generator: The class of the generators of streams.
    """

    generator: type[Generator] = Random

    def __init__(
        self,
        seed: int | None = None,
        *,
        schedule: Mapping[tuple[str, int], int] | None = None,
        rates: Mapping[str, float] | None = None,
    ) -> None:
        assert seed is None or schedule is None, "a seed or a schedule"
        self.seed = seed
        self.faults: dict[str, int] = {}
        self.taken: Schedule = {}
        self.calmed = False
        self._schedule = schedule or {}
        self._rates = rates or {}
        self._streams: dict[str, _Stream] = {}

    def draw(self, stream: str, below: int) -> int:
        """Choose a number from 0 to just below `below`, each as likely."""
        source = self._streams.get(stream) or self._open(stream)
        index = source.drawn
        source.drawn = index + 1
        value = source.number(index, below)
        if value:
            self.taken[stream, index] = value
        return value

    def fault(self, stream: str, below: int = 2, *, rates: Sequence[float] = INTENSITIES) -> int:
        """Choose whether a fault happens, and which: 0 is none. Its rate is the world's for this stream.

        Args:
            rates: A world has one of these, or none.
        """
        if self.calmed:
            return 0
        source = self._streams.get(stream)
        if source is None:
            source = self._open(stream, rates)
            self.faults[stream] = below - 1
        index = source.drawn
        source.drawn = index + 1
        return self._strike(source, index, below) if index == source.next else 0

    def noise(self, stream: str, below: int = 2, *, rates: Sequence[float] = INTENSITIES) -> int:
        """Choose like `fault`, for effects without a place of their own (lateness), which are not in `faults`."""
        if self.calmed:
            return 0
        source = self._streams.get(stream) or self._open(stream, rates)
        index = source.drawn
        source.drawn = index + 1
        return self._strike(source, index, below) if index == source.next else 0

    @property
    def drawn(self) -> Mapping[str, int]:
        """How many choices were made in each stream, while they were not calmed."""
        return {stream: source.drawn for stream, source in self._streams.items()}

    @property
    def unmet(self) -> Sequence[tuple[str, int]]:
        """The choices of the schedule that this run has not reached, because the code or an earlier choice differs."""
        drawn = self.drawn
        return [place for place in self._schedule if drawn.get(place[0], 0) <= place[1]]

    def _open(self, stream: str, rates: Sequence[float] | None = None) -> "_Stream":
        source: _Stream
        if self.seed is None:
            values = {index: value for (name, index), value in self._schedule.items() if name == stream}
            source = _Told(stream, values)
        else:
            rate = 0.0 if rates is None else self._rates.get(stream, _rate(f"{self.seed}/{stream}/rate", rates))
            source = _Chosen(stream, f"{self.seed}/{stream}", rate, self.generator)
        self._streams[stream] = source
        return source

    def _strike(self, source: "_Stream", index: int, below: int) -> int:
        value = self.taken[source.name, index] = source.strike(below)
        return value


class _Stream:
    """A stream: how many of its draws were made, and which of them is the next that strikes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.drawn = 0
        self.next = NEVER

    def number(self, index: int, below: int) -> int:
        """The number of a draw, from 0 to just below `below`."""
        raise NotImplementedError

    def strike(self, below: int) -> int:
        """The fault of the draw `next`, from 1 to just below `below`; moves `next` to the next draw that strikes."""
        raise NotImplementedError


class _Told(_Stream):
    """Makes the choices of a schedule."""

    def __init__(self, name: str, values: Mapping[int, int]) -> None:
        super().__init__(name)
        self._values = values
        self._places = iter(sorted(values))
        self.next = next(self._places, NEVER)

    def number(self, index: int, below: int) -> int:
        return min(self._values.get(index, 0), below - 1)

    def strike(self, below: int) -> int:
        value = min(self._values[self.next], below - 1)
        self.next = next(self._places, NEVER)
        return value


class _Chosen(_Stream):
    """Chooses at random."""

    def __init__(self, name: str, seed: str, rate: float, generator: type[Generator]) -> None:
        super().__init__(name)
        self._seed = seed
        self._rate = rate
        self._make = generator
        self._random: Generator | None = None  # not made for the many streams that never strike
        if rate > 0:
            self.next = self._gap(self._generator())

    def number(self, index: int, below: int) -> int:
        # Not `randrange`, which takes six times as long to be exact to the last bit.
        return int((self._random or self._generator()).random() * below)

    def strike(self, below: int) -> int:
        random = self._random or self._generator()
        value = 1 + int(random.random() * (below - 1))
        self.next += 1 + self._gap(random)
        return value

    def _generator(self) -> Generator:
        self._random = random = self._make(self._seed)
        return random

    def _gap(self, random: Generator) -> int:
        """The number of draws before the next that strikes: the geometric distribution, by its inverse."""
        return int(log(1.0 - random.random()) / log(1.0 - self._rate)) if self._rate < 1 else 0


def _rate(seed: str, rates: Sequence[float]) -> float:
    """The rate of a stream in a world: none, or one of `rates`."""
    number = int.from_bytes(blake2b(seed.encode(), digest_size=8).digest())
    on = number % 1_000 < ON * 1_000
    return rates[number // 1_000 % len(rates)] if on else 0.0


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
    found = CHOICE.fullmatch(text)
    if found is None:
        raise ValueError(
            f"a choice is a stream, # and a number, as kill.unheard#3 or store.slow#0=2; not {text[:80]!r}"
        )
    stream, number, value = found.groups()
    return (stream, int(number)), int(value or 1)


def union(schedules: Iterable[Mapping[tuple[str, int], int]]) -> Schedule:
    """Several schedules as one; the last one wins."""
    made: Schedule = {}
    for schedule in schedules:
        made.update(schedule)
    return made
