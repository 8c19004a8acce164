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
