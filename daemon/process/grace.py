"""The time that a stop may take: one budget, which all parts of the daemon share.

The rule: `--stop-grace` begins when the daemon is told to stop, and each part that waits for something gets the rest
of it. Activities run on while the servers answer their last requests. `daemon/daemon.py` begins it.
"""

from collections.abc import Callable

import anyio


class Grace:
    """The rest of the time for a stop.

    Args:
        total_s: `--stop-grace`.
        clock: A monotonic clock, in seconds; by default the event loop's.
    """

    def __init__(self, total_s: float, clock: Callable[[], float] = anyio.current_time) -> None:
        self._total_s = total_s
        self._clock = clock
        self._began_s: float | None = None

    async def begin_with(self, told: anyio.Event) -> None:
        """Begin when the daemon is told to stop."""
        await told.wait()
        self.begin()

    def begin(self) -> None:
        """Begin now, unless it has begun."""
        if self._began_s is None:
            self._began_s = self._clock()

    def left_s(self) -> float:
        """How much of it is left, in seconds; all of it, if it has not begun."""
        if self._began_s is None:
            return self._total_s
        return max(0.0, self._total_s - (self._clock() - self._began_s))
