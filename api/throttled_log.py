"""A log of what may come a thousand times a second: one line at once, then one line with a count for each interval.

The rule: no input from outside can fill a log. Of each kind of line the first is written as it comes; what follows in
the same interval is counted, and the count is written with the next line or by `flush`.

`http/serving/` and `rpc/serving/` log refused requests and limits that are reached with it.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

INTERVAL_S = 10.0


@dataclass(slots=True)
class _Kind:
    since_s: float  # when its last line was written
    level: int
    last: str = ""  # the last line that was counted and not written
    counted: int = 0


class ThrottledLog:
    """Writes lines of some kinds to a logger, of each kind at most one in an interval.

    Args:
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self, logger: logging.Logger, *, interval_s: float = INTERVAL_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._interval_s = interval_s
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}

    def log(self, kind: str, level: int, message: str, *values: object) -> None:
        """Write a line, or count it.

        Args:
            kind: One of a fixed number of words; lines of one kind are counted together.
            message: For `%`, as for a logger.
        """
        now_s = self._clock()
        known = self._kinds.get(kind)
        if known is None:
            self._kinds[kind] = _Kind(now_s, level)
            self._logger.log(level, message, *values)
            return
        known.level = max(level, known.level) if known.counted else level
        known.last = message % values
        known.counted += 1
        if now_s - known.since_s >= self._interval_s:
            self._write(known, now_s)

    def warning(self, kind: str, message: str, *values: object) -> None:
        """Write or count a warning; see `log`."""
        self.log(kind, logging.WARNING, message, *values)

    def flush(self, *, now: bool = False) -> None:
        """Write the counts whose interval is over. To be called about once a second, and with `now` at the end."""
        now_s = self._clock()
        for known in self._kinds.values():
            if known.counted and (now or now_s - known.since_s >= self._interval_s):
                self._write(known, now_s)

    def _write(self, kind: _Kind, now_s: float) -> None:
        more = f" ({kind.counted} such lines in {now_s - kind.since_s:.0f} s)" if kind.counted > 1 else ""
        self._logger.log(kind.level, "%s%s", kind.last, more)
        kind.since_s, kind.counted = now_s, 0
