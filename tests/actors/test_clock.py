"""The system's clocks give Unix time and passed time, both at one moment."""

import time

from perdure.actors.clock import SystemClock, read
from perdure.actors.reading import Reading


def test_it_is_the_wall_clock_in_microseconds() -> None:
    before = time.time()
    now_us = SystemClock().now_us()
    assert before * 1e6 - 1 <= now_us <= time.time() * 1e6 + 1


def test_it_is_the_monotonic_clock_in_microseconds() -> None:
    before = time.monotonic()
    now_us = SystemClock().monotonic_us()
    assert before * 1e6 - 1 <= now_us <= time.monotonic() * 1e6 + 1


def test_a_reading_that_was_interrupted_is_taken_again() -> None:
    # Given a process that stops for a second between its first readings of the two clocks,
    class Interrupted:
        may_be_set = True

        def __init__(self) -> None:
            self.monotonic = iter([10, 1_000_010, 1_000_011, 1_000_012])
            self.wall = iter([2_000_000, 3_000_001])

        def now_us(self) -> int:
            return next(self.wall)

        def monotonic_us(self) -> int:
            return next(self.monotonic)

    # then the result is that of the second try.
    assert read(Interrupted()) == Reading(3_000_001, 1_000_011)
