"""Makes the schedule of a failure smaller, as long as it causes the same failure.

The rule: what it returns has failed, with the same error, apart from numbers.

Whole streams go first, those of the order of steps before all others, because most bugs need no order; then halves,
quarters and single choices (Zeller's ddmin); then values become smaller. The choices that a run has really made replace
the ones that it was told to choose, so that choices which it does not reach are dropped at once.
"""

import math
import time
from collections import Counter

from ..choices import Choices, Schedule
from ..wall import WorldTooLong
from .attempt import Attempt, FoundFailure, Run, signature


def shrink(run: Run, failure: FoundFailure, *, runs_max: int = 400, seconds: float = math.inf) -> FoundFailure:
    """Make the schedule of a failure smaller; not of a world that took too long, as each try would too.

    Args:
        run: Runs a world.
        failure: As it was found.
        runs_max: The maximum number of worlds.
        seconds: No world begins after that; a livelock takes seconds.

    Returns:
        The smallest that was found; `runs` is how many worlds it took.
    """
    if isinstance(failure.error, WorldTooLong):
        return failure
    return _Shrinking(run, failure, runs_max, time.perf_counter() + seconds).smallest()


class _Shrinking:
    """The best so far, and the runs that it has cost."""

    def __init__(self, run: Run, failure: FoundFailure, runs_max: int, until_s: float) -> None:
        self._run = run
        self._wanted = signature(failure.error)
        self._best = failure._replace(runs=0)
        self._runs_max = runs_max
        self._until_s = until_s

    def smallest(self) -> FoundFailure:
        while self._pass():
            pass
        return self._best

    def _pass(self) -> bool:
        """Try all ways once; return whether one has helped."""
        before = self._best.schedule
        for stream in _streams(before):
            self._try({place: value for place, value in self._best.schedule.items() if place[0] != stream})
        self._drop_parts()
        for place, value in list(self._best.schedule.items()):
            for smaller in (1, value - 1):
                if 0 < smaller < self._best.schedule.get(place, 0):
                    self._try({**self._best.schedule, place: smaller})
        return self._best.schedule != before

    def _drop_parts(self) -> None:
        size = len(self._best.schedule)
        while size := size // 2 if size > 1 else 0:
            begin = 0
            while begin < len(places := list(self._best.schedule)):
                dropped = set(places[begin : begin + size])
                if not self._try({at: value for at, value in self._best.schedule.items() if at not in dropped}):
                    begin += size

    def _try(self, schedule: Schedule) -> bool:
        """Run a smaller schedule, and keep it if it causes the same failure."""
        if schedule == self._best.schedule or self._best.runs >= self._runs_max or time.perf_counter() > self._until_s:
            return False
        tried = self._run(Choices(schedule=schedule))
        self._best = self._best._replace(runs=self._best.runs + 1)
        if tried.error is None or signature(tried.error) != self._wanted:
            return False
        self._keep(schedule, tried)
        return True

    def _keep(self, schedule: Schedule, tried: Attempt) -> None:
        assert tried.error is not None
        met = {place: value for place, value in tried.choices.taken.items() if place in schedule}
        self._best = FoundFailure(met, tried.error, tried.story, self._best.runs, tried)


def _streams(schedule: Schedule) -> list[str]:
    """The streams of a schedule: the order of steps, then the longest first."""
    counted = Counter(stream for stream, _ in schedule)
    return sorted(counted, key=lambda stream: (not stream.startswith("order"), -counted[stream], stream))
