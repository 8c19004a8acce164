"""Tracks the activities that workers perform, for the metrics.

The rule: only finished executions are counted. An answer counts if the dispatcher accepted it and it belongs to the
last dispatch of the activity. An execution counts as lost only when the activity is dispatched again: a worker that
lost its connection may still send the result over another one.

`rpc/services/work_items.py` reports each activity that was sent or answered.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ...runtime.observing.observer import FAILED, RECOVERABLE, SUCCESS, ActivityWatch
from ...runtime.workers.items import ActivityAnswer


class Running(NamedTuple):
    """An activity that was sent to a worker."""

    name: str
    token: str  # of this dispatch
    began_s: float


class RunningActivities:
    """Keeps the activities that were sent and are not answered, and reports the end of each to a watch."""

    def __init__(self, watch: ActivityWatch, *, now_s: Callable[[], float] = time.perf_counter) -> None:
        self._now_s = now_s
        self._watch = watch
        self._running: dict[tuple[str, int], Running] = {}

    @contextmanager
    def sending(self, instance_id: str, task_id: int, name: str, token: str) -> Iterator[None]:
        """Enter this context while an activity is sent to a worker. The answer may come before the context ends."""
        key = instance_id, task_id
        if key in self._running:
            self._end(key, RECOVERABLE)
        began_s = self._now_s()
        self._running[key] = Running(name, token, began_s)
        yield
        self._watch.activity_given(name, self._now_s() - began_s)

    def answered(self, answer: ActivityAnswer, *, wanted: bool) -> None:
        """Note an answer.

        Args:
            wanted: Whether the dispatcher accepted it: not if the instance was deleted, or another answer came first.
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
