"""Clocks: the wall clock, and the monotonic clock beside it.

The rule: code that decides has no clock; it gets the time as an argument. The host
(`actors/hosting/host.py`), its loops and `runtime/operations/retention/loop.py` have a clock.

The wall clock may be set back or forward at any moment. So no order follows from it: the order of turns is the order
of the log. `actors/reminders/loop.py` compares the two clocks.
"""

import time
from typing import Protocol

from .reading import Reading


class Clock(Protocol):
    """Gives the date, and how much time has passed. Code waits with anyio, not with a clock."""

    @property
    def may_be_set(self) -> bool:
        """Whether the wall clock may be set back or forward, so that loops that wait for a date have to look at it."""
        ...

    def now_us(self) -> int:
        """The wall clock: Unix time, microseconds. It may be earlier than it was before."""
        ...

    def monotonic_us(self) -> int:
        """The monotonic clock: microseconds since some moment. Only differences mean anything."""
        ...


class SystemClock:
    """The clocks of the machine."""

    may_be_set = True

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        return time.monotonic_ns() // 1000


# A process that is stopped between reading one clock and the other would see a step of the clock that did not happen.
READING_TAKES_US_MAX = 50_000


def read(clock: Clock) -> Reading:
    """Read both clocks at one moment."""
    while True:
        before_us = clock.monotonic_us()
        wall_us = clock.now_us()
        if clock.monotonic_us() - before_us <= READING_TAKES_US_MAX:
            return Reading(wall_us, before_us)
