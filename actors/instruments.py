"""Instruments: the readings of a machine beside its clock, durations and chance among them.

The rule: nothing in `actors/` and `runtime/` asks the machine for time, chance or ids but through `actors/clock.py` and
these. So a simulation (`testing/simulation/`) can put its own in their place, and the same seed gives the same run.
`tests/house/test_determinism.py` holds it, and has the list of exceptions.

Each of the real ones is a function of the interpreter's. They are called in each slice of turns and for each id, where
a call into Python would show.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

# Tells seconds since some moment. Only differences mean anything.
Stopwatch: TypeAlias = Callable[[], float]

# Gives so many bytes that nobody can guess.
Chance: TypeAlias = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Instruments:
    """The readings that a host takes of its machine: time, chance. By default they are real.

    Args:
        stopwatch: How long slices of turns, commits and activities take.
        chance: Ids of instances, tokens of workers, names of feeds.
        time_ns: The date that ids begin with; Unix time, nanoseconds. Nothing but the place of rows in the store
            depends on it.
    """

    stopwatch: Stopwatch = time.perf_counter
    chance: Chance = os.urandom
    time_ns: Callable[[], int] = time.time_ns


# The machine itself.
SYSTEM = Instruments()


def number_of(chance: Chance, bits: int) -> int:
    """Draw a number of so many bits that is not 0, which means "none" where such numbers stand."""
    size = -(-bits // 8)
    return int.from_bytes(chance(size)) >> (8 * size - bits) or 1
