"""The pace of a bulk operation: the part of the time that it takes, so that other callers are served beside it.

The rule: if a quarter of the instances of a step answer late, the event loop or the commits are late for other callers
too. The operation's share is then halved, and grows again while answers come in time. A single slow instance changes
nothing. The share never becomes 0.

`runner.py` calls it after each step. It waits for nothing and reads no clock.
"""

from collections.abc import Sequence

LATE_S = 0.15  # an answer that takes longer is late: callers should wait at most 0.25 s in all
SHARE_MIN = 1 / 16
GROWTH = 1.25
REST_MAX_S = 5.0


class Pace:
    """The pace of one operation.

    Args:
        rate: Instances a second, at most.

    Attributes:
        share: The part of the time that it takes, above 0 and up to 1.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.share = 1.0

    def step_of(self, period_s: float) -> int:
        """The number of instances in the next step, if steps take `period_s` seconds."""
        return max(1, round(self._rate * period_s * self.share))

    def rest_after(self, *, asked: int, took_s: float, answers_s: Sequence[float]) -> float:
        """Take note of a step, and return the pause before the next one, in seconds.

        Args:
            asked: Instances that it had.
            took_s: How long it took in all.
            answers_s: How long each instance took to answer.
        """
        if answers_s and sorted(answers_s)[len(answers_s) * 3 // 4] > LATE_S:
            self.share = max(SHARE_MIN, self.share / 2)
        else:
            self.share = min(1.0, self.share * GROWTH)
        by_rate_s = asked / self._rate - took_s
        by_share_s = took_s * (1 / self.share - 1)
        return max(0.0, by_rate_s, min(REST_MAX_S, by_share_s))
