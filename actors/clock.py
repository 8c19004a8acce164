"""Time as the shell sees it. Pure code never comes here: it is told `now`."""

import time
from typing import Protocol


class Clock(Protocol):
    """The wall clock. Waiting is anyio's; only the date comes from here."""

    def now_us(self) -> int:
        """Unix time, microseconds."""
        ...


class SystemClock:
    """The machine's own wall clock."""

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
