"""The delay of the event loop: how late a sleep of half a second ends.

The rule: a delay counts for half a minute, so that no scrape misses it. It is measured only where metrics are served.
"""

import time
from collections import deque

import anyio

STEP_S = 0.5
KEPT_S = 30.0


class LoopDelay:
    """Measures the delay of the event loop."""

    def __init__(self) -> None:
        self._measured: deque[float] = deque(maxlen=round(KEPT_S / STEP_S))

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            began_s = time.perf_counter()
            await anyio.sleep(STEP_S)
            self._measured.append(max(0.0, time.perf_counter() - began_s - STEP_S))

    def largest_s(self) -> float:
        """The largest delay of the last half minute, in seconds; 0 before the first measurement."""
        return max(self._measured, default=0.0)
