"""The activities that workers are performing, for the metrics.

The rule: only an execution that has happened is counted. An answer counts if
the dispatcher took it and it belongs to the last time the activity was given. An
execution is lost when the activity is given again, and no sooner: a worker that
lost its connection may still bring the result over another.

`rpc/services/work_items.py` tells it of each activity sent and answered.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ...runtime.observing.observer import FAILED, RECOVERABLE, SUCCESS, ActivityWatch
from ...runtime.workers.items import ActivityAnswer


class Running(NamedTuple):
    """One activity that a worker has."""

    name: str
    token: str  # of this time it was given
    began_s: float


class RunningActivities:
    """Keeps the activities that were sent and are not answered, and tells a watch how each ends."""

    def __init__(self, watch: ActivityWatch, *, now_s: Callable[[], float] = time.perf_counter) -> None:
        self._now_s = now_s
        self._watch = watch
        self._running: dict[tuple[str, int], Running] = {}

    @contextmanager
    def sending(self, instance_id: str, task_id: int, name: str, token: str) -> Iterator[None]:
        """Hold this context while an activity is sent to a worker. The answer may come before the sending has ended."""
        key = instance_id, task_id
        if key in self._running:
            self._end(key, RECOVERABLE)
        began_s = self._now_s()
        self._running[key] = Running(name, token, began_s)
        yield
        self._watch.activity_given(name, self._now_s() - began_s)

    def answered(self, answer: ActivityAnswer, *, wanted: bool) -> None:
        """Take note of an answer.

        Args:
            wanted: Whether the dispatcher took it; it does not if the instance is gone, or another answer came first.
        """
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
