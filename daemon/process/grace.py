"""The time that a stop may take: one budget for all parts of the daemon.

The rule: `--stop-grace` begins when the daemon is told to stop, and each part that waits may use the time that is left.
Activities run on while the servers answer their last requests. `daemon/daemon.py` begins the grace.
"""

from collections.abc import Callable

import anyio


class Grace:
    """The time that is left for a stop.

    Args:
        total_s: `--stop-grace`.
        clock: A monotonic clock, in seconds; by default the event loop's.
    """

    def __init__(self, total_s: float, clock: Callable[[], float] = anyio.current_time) -> None:
        self._total_s = total_s
        self._clock = clock
        self._began_s: float | None = None

    async def begin_with(self, told: anyio.Event) -> None:
        """Wait until the daemon is told to stop, and begin."""
        await told.wait()
        self.begin()

    def begin(self) -> None:
        """Begin now, unless it has begun."""
        if self._began_s is None:
            self._began_s = self._clock()

    def left_s(self) -> float:
        """Return the time that is left, in seconds; the whole grace if it has not begun."""
        if self._began_s is None:
            return self._total_s
        return max(0.0, self._total_s - (self._clock() - self._began_s))
