"""Clocks: the wall clock, and one that never goes back.

The rule: code that decides has no clock; it gets the time as an argument. The host
(`actors/hosting/host.py`), its loops and `runtime/operations/retention.py` have one.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """A wall clock. It tells the date; waiting is done with anyio."""

    def now_us(self) -> int:
        """Unix time, microseconds."""
        ...


class SystemClock:
    """The wall clock of the machine."""

    def now_us(self) -> int:
        return time.time_ns() // 1000


class SteadyClock:
    """A clock that is never earlier than it was before, so that histories stay in order if the clock is set back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._latest_us = 0

    def now_us(self) -> int:
        self._latest_us = max(self._latest_us, self._clock.now_us())
        return self._latest_us
