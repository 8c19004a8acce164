"""The pace of a bulk operation: which part of the time it takes, so that others are served beside it.

The rule: a step in which a quarter of the instances answered late says that the event loop or the commits are late, for
others who ask too. The operation's share is halved then, and grows again while answers come in time. One instance that
is slow for a reason of its own changes nothing. It never stands still.

`runner.py` asks it after each step. It waits for nothing and looks at no clock.
"""

from collections.abc import Sequence

LATE_S = 0.15  # an answer that took longer: callers are to wait no longer than 0.25 s in all
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
        """How many instances the next step has, if steps are to take so long."""
        return max(1, round(self._rate * period_s * self.share))

    def rest_after(self, *, asked: int, took_s: float, answers_s: Sequence[float]) -> float:
        """Take note of a step, and say how many seconds come before the next.

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
