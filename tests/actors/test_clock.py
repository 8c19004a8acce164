"""The system clock tells Unix time in microseconds."""

import time

from perdure.actors.clock import SystemClock


def test_it_is_the_wall_clock_in_microseconds() -> None:
    before = time.time()
    now_us = SystemClock().now_us()
    assert before * 1e6 - 1 <= now_us <= time.time() * 1e6 + 1
