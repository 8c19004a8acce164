"""Figures of activities, by name: how many are under way now, and how long the newest attempts took.

The rule: to note an attempt costs an entry in a list of fixed length, and no call of a function of ours.

Activity actors and the dispatcher of workers note them; `runtime/operations/overview/workflows.py` sums them up.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from math import ceil, copysign
from typing import NamedTuple

ATTEMPTS_MAX = 256  # of one name
NAMES_MAX = 1000  # a worker may send any name

# By name; seconds, and less than 0 for an attempt that failed.
RecentAttempts = defaultdict[str, deque[float]]


def recent_attempts() -> RecentAttempts:
    """Make an empty list of attempts."""
    return defaultdict(partial(deque, maxlen=ATTEMPTS_MAX))


class ActivityLoad(NamedTuple):
    """The attempts of an activity on one host, now."""

    running: int = 0
    waiting: int = 0
    oldest_us: int | None = None  # when the oldest that runs began; Unix time, microseconds

    def with_one(self, began_us: int | None) -> "ActivityLoad":
        """Count one more attempt, which began at that time, or waits."""
        if began_us is None:
            return self._replace(waiting=self.waiting + 1)
        oldest_us = began_us if self.oldest_us is None else min(self.oldest_us, began_us)
        return self._replace(running=self.running + 1, oldest_us=oldest_us)


def oldest_of(asked: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Find the earliest moment of each name."""
    oldest: dict[str, int] = {}
    for name, asked_us in asked:
        if name in oldest or len(oldest) < NAMES_MAX:
            oldest[name] = min(asked_us, oldest.get(name, asked_us))
    return oldest


class AttemptFigures(NamedTuple):
    """The figures of the newest attempts of an activity."""

    attempts: int
    failed: int
    p50_s: float
    p99_s: float


def figures_of(attempts: Collection[float]) -> AttemptFigures | None:
    """Sum attempts up; None if there are none."""
    if not attempts:
        return None
    took_s = sorted(map(abs, attempts))
    failed = sum(copysign(1, each) < 0 for each in attempts)  # an attempt may take no time at all
    return AttemptFigures(len(took_s), failed, percentile(took_s, 0.5), percentile(took_s, 0.99))


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of ascending values that at least this share of them does not exceed."""
    return ordered[max(0, ceil(len(ordered) * share) - 1)]
