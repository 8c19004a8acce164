"""Lanes: activities that share a limit, and the tasks that perform them.

A task costs more than a short activity itself. So one task performs what waits,
one after the other, for as long as each ends without having waited for
anything. The first that does wait keeps the task for itself, and another task
takes over what is left.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import copy_context
from time import perf_counter
from typing import Any, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

Job = TypeVar("Job")


class Lane(Generic[Job]):
    """Performs so many jobs at once; those that would exceed the limit wait, oldest first.

    Args:
        perform: Performs a job. It handles whatever goes wrong; what it raises ends the task group.
    """

    # Jobs follow one another for no longer than this before others get a look in.
    SLICE_S = 0.005

    def __init__(self, tasks: TaskGroup, limit: int, perform: Callable[[Job], Coroutine[Any, Any, None]]) -> None:
        self.limit = limit
        self.waiting: deque[Job] = deque()
        self._tasks = tasks
        self._perform = perform
        self._running = 0
        self._called = False  # a task has been asked for and has not begun

    def add(self, job: Job) -> None:
        self.waiting.append(job)
        self._call()

    def _call(self) -> None:
        """Ask for a task, if there is something for it to do."""
        if self.waiting and not self._called and self._running < self.limit:
            if self._tasks.cancel_scope.cancel_called:
                return
            self._called = True
            self._tasks.start_soon(self._serve)

    async def _serve(self) -> None:
        self._called = False
        ends_s = perf_counter() + self.SLICE_S
        while self.waiting and self._running < self.limit:
            steps = Steps(self._perform(self.waiting.popleft()))
            self._running += 1
            self._call()  # for those behind, should this one wait
            try:
                await steps
            finally:
                self._running -= 1
            if steps.waited:
                break
            if perf_counter() > ends_s:
                await anyio.lowlevel.checkpoint()
                ends_s = perf_counter() + self.SLICE_S
        self._call()


class Steps(Awaitable[None]):
    """Awaits a coroutine, in a context of its own, and notices whether it waits for anything."""

    __slots__ = ("_coroutine", "waited")

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine
        self.waited = False

    def __await__(self) -> Generator[Any, Any, None]:
        run = copy_context().run
        step: Callable[[Any], Any] = self._coroutine.send
        value: Any = None
        while True:
            try:
                wanted = run(step, value)
            except StopIteration:
                return
            self.waited = True
            try:
                value = yield wanted
            except BaseException as error:
                step, value = self._coroutine.throw, error
            else:
                step = self._coroutine.send
