"""The activities that workers are performing, for whoever counts them.

The one law: what is counted happened. An answer counts if the dispatcher took
it and it is to the last time the activity was given. An execution is lost when
the activity is given again, and no sooner: a worker that lost its connection
may still bring the result over another.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ...runtime.observer import FAILED, RECOVERABLE, SUCCESS, ActivityWatch
from ...runtime.workers.items import ActivityAnswer, ActivityItem


class Running(NamedTuple):
    """One activity that a worker has."""

    name: str
    token: str  # of this time it was given
    began_s: float


class RunningActivities:
    """Keeps in mind what was sent and is not answered."""

    def __init__(self, watch: ActivityWatch, *, now_s: Callable[[], float] = time.perf_counter) -> None:
        self._now_s = now_s
        self._watch = watch
        self._running: dict[tuple[str, int], Running] = {}

    @contextmanager
    def sending(self, item: ActivityItem) -> Iterator[None]:
        """A worker is sent an activity as long as the context lasts. The answer may come before that ends."""
        key = item.instance_id, item.task_id
        if key in self._running:
            self._end(key, RECOVERABLE)
        began_s = self._now_s()
        self._running[key] = Running(item.name, item.token, began_s)
        yield
        self._watch.activity_given(item.name, self._now_s() - began_s)

    def answered(self, answer: ActivityAnswer, *, wanted: bool) -> None:
        """An answer came. Not wanted: its instance is gone, or it was answered before."""
        key = answer.instance_id, answer.task_id
        running = self._running.get(key)
        if running is None or answer.token not in ("", running.token):
            return
        if wanted:
            self._end(key, SUCCESS if answer.failure is None else FAILED)
        else:
            del self._running[key]

    def _end(self, key: tuple[str, int], status: str) -> None:
        running = self._running.pop(key)
        self._watch.activity_ended(running.name, status, self._now_s() - running.began_s)
