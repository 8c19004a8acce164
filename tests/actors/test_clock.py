"""The system clock tells Unix time in microseconds, and a steady clock never goes back."""

import time

from perdure.actors.clock import SteadyClock, SystemClock


def test_it_is_the_wall_clock_in_microseconds() -> None:
    before = time.time()
    now_us = SystemClock().now_us()
    assert before * 1e6 - 1 <= now_us <= time.time() * 1e6 + 1


def test_a_steady_clock_stands_still_while_the_wall_clock_is_behind() -> None:
    class Set:
        def __init__(self) -> None:
            self.times_us = iter([10, 20, 5, 19, 21])

        def now_us(self) -> int:
            return next(self.times_us)

    clock = SteadyClock(Set())
    assert [clock.now_us() for _ in range(5)] == [10, 20, 20, 20, 21]
