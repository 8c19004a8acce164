"""Lanes: activities that share a limit, and the tasks that perform them.

The one law: no more jobs run at once than the limit allows, and the others wait
in their order.

A task costs more than a short activity itself. So one task performs one job
after the other for as long as each ends without having waited. The first job
that does wait keeps the task for itself, and another task takes over the rest.

The activity actors have a lane for each kind of activity.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import copy_context
from time import perf_counter
from typing import Any, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from ...actors.waiting.cancellation import LentTask

Job = TypeVar("Job")


class Lane(Generic[Job]):
    """Performs jobs, no more than a limit at once; the others wait, oldest first.

    Args:
        tasks: The task group of the tasks that perform them.
        limit: How many jobs at once.
        perform: Performs a job. It handles the errors of the job itself; an error that it raises ends the task group.
        ended: Says in a task that was cancelled whether the task group is being cancelled. Otherwise a job has
            cancelled its task.
    """

    # Jobs follow one another for no longer than this before other tasks have a turn on the event loop.
    SLICE_S = 0.005

    def __init__(
        self,
        tasks: TaskGroup,
        limit: int,
        perform: Callable[[Job], Coroutine[Any, Any, None]],
        *,
        ended: Callable[[], Awaitable[bool]],
    ) -> None:
        self.limit = limit
        self.waiting: deque[Job] = deque()
        self._tasks = tasks
        self._perform = perform
        self._ended = ended
        self._running = 0
        self._called = False  # a task has been asked for and has not begun

    def add(self, job: Job) -> None:
        self.waiting.append(job)
        self._call()

    def _call(self) -> None:
        """Start a task, if a job waits, the limit allows it, and no other is about to begin."""
        if self.waiting and not self._called and self._running < self.limit:
            if self._tasks.cancel_scope.cancel_called:
                return
            self._called = True
            self._tasks.start_soon(self._serve)

    async def _serve(self) -> None:
        """Perform jobs in one task. Whatever a job has done to the task, the others are performed all the same."""
        self._called = False
        task = LentTask()
        try:
            await self._perform_waiting(task)
        except anyio.get_cancelled_exc_class():
            if await self._ended():
                task.close_scopes()
                raise
            # A job has cancelled this task.
        if task.touched:
            await task.put_right()
        self._call()

    async def _perform_waiting(self, task: LentTask) -> None:
        """Perform one job after the other, until one has waited, has cancelled this task, or none is left."""
        ends_s = perf_counter() + self.SLICE_S
        while self.waiting and self._running < self.limit:
            steps = Steps(self._perform(self.waiting.popleft()))
            self._running += 1
            self._call()  # for the jobs behind, should this one wait
            try:
                await steps
            finally:
                self._running -= 1
            if steps.waited or task.cancellations():
                break
            if perf_counter() > ends_s:
                await anyio.lowlevel.checkpoint()
                ends_s = perf_counter() + self.SLICE_S


class Steps(Awaitable[None]):
    """Awaits a coroutine, in a context of its own, and records whether it has waited."""

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
