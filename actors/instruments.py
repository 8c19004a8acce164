"""Instruments: the readings of a machine that a host needs beside the clock, such as durations and random bytes.

The rule: code in `actors/` and `runtime/` gets time, random bytes and ids only through `actors/clock.py` and
instruments. So a simulation (`testing/simulation/`) can use instruments of its own, and the same seed gives the same
run. `tests/house/test_determinism.py` holds it, and has the list of exceptions.

Each instrument of `SYSTEM` is a built-in function of the interpreter. Instruments are called in each slice of turns and
for each id, where the time of a function written in Python would be measurable.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

# Returns seconds since some moment. Only differences mean anything.
Stopwatch: TypeAlias = Callable[[], float]

# Returns the given number of random bytes, which cannot be guessed.
Chance: TypeAlias = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Instruments:
    """The instruments of a host: time, random bytes. By default they are those of the machine.

    Args:
        stopwatch: Measures how long slices of turns, commits and activities take.
        chance: Random bytes for ids of instances, tokens of workers and names of feeds.
        time_ns: The date that ids begin with; Unix time, nanoseconds. Only the place of rows in the store
            depends on it.
    """

    stopwatch: Stopwatch = time.perf_counter
    chance: Chance = os.urandom
    time_ns: Callable[[], int] = time.time_ns


# The machine itself.
SYSTEM = Instruments()


def number_of(chance: Chance, bits: int) -> int:
    """Draw a random number of `bits` bits. It is not 0, because 0 means "none" in the fields that hold such numbers."""
    size = -(-bits // 8)
    return int.from_bytes(chance(size)) >> (8 * size - bits) or 1
