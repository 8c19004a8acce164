"""Lanes: activities that share a limit, and the tasks that perform them.

The rule: no more jobs run at once than the limit allows. The others wait,
those of one instance in their order, and the instances are taken in turn.

A task costs more than a short activity itself. So one task performs one job
after the other for as long as each ends without having waited. The first job
that does wait keeps the task for itself, and another task takes over the rest.
That is why a job that waits can be cancelled: nothing else is in its task.

The activity actors have a lane for each kind of activity.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Generator
from typing import Any, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from ...actors.instruments import SYSTEM, Stopwatch
from ...actors.text import described
from ...actors.waiting.cancellation import LentTask
from ...actors.waiting.ownership import CodeOwner, call_as
from ..workers.fair_queue import FairQueue

logger = logging.getLogger(__name__)

Job = TypeVar("Job")


class Lane(Generic[Job]):
    """Performs jobs, no more than a limit at once.

    Args:
        tasks: The task group of the tasks that perform them.
        limit: How many jobs at once.
        perform: Performs a job. It handles the errors of the job itself; an error that it raises ends the task group.
        ended: Says in a task that was cancelled whether the task group is being cancelled. Otherwise a job has
            cancelled its task.
        left_behind: Called with a job that does not end though it is cancelled.
        full: Called when a job has to wait for room, once until no job waits any more.
        stopwatch: Says when other tasks have their turn.
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
        left_behind: Callable[[Job], None] = lambda job: None,
        full: Callable[[], None] = lambda: None,
        stopwatch: Stopwatch = SYSTEM.stopwatch,
    ) -> None:
        self.limit = limit
        self.waiting: FairQueue[Job] = FairQueue()
        self._queues = self.waiting.queues  # read for each job: a method would cost a call
        self._tasks = tasks
        self._perform = perform
        self._ended = ended
        self._left_behind = left_behind
        self._full = full
        self._stopwatch = stopwatch
        self._full_told = False
        self._room = limit
        self._running = 0
        self._called = False  # a task was started and has not begun
        self._scopes: dict[Job, anyio.CancelScope] = {}  # of the jobs that run

    def add(self, owner: str, job: Job) -> None:
        """Take a job of an instance."""
        self.waiting.push(owner, job)
        if not self._called:
            self._call()

    def withdraw(self, owner: str, jobs: Collection[Job]) -> None:
        """Drop jobs of an instance that have not begun. The others go on."""
        self.waiting.remove(owner, jobs)

    def has_begun(self, job: Job) -> bool:
        """Whether a job runs now."""
        return job in self._scopes

    def cancel(self, job: Job) -> None:
        """Cancel a job that runs, and do nothing if it does not."""
        scope = self._scopes.get(job)
        if scope is not None:
            scope.cancel()

    def give_room(self, abandoned: int) -> None:
        """Set the number of abandoned calls, which belong to no job any more.

        They count beyond the limit first, up to the limit again; further ones take the places of jobs.
        """
        self._room = min(self.limit, 2 * self.limit - abandoned)
        self._call()

    def _call(self) -> None:
        """Start a task, if a job waits, the limit allows it, and no other is about to begin."""
        if not self._queues or self._called or self._tasks.cancel_scope.cancel_called:
            return
        if self._running < self._room:
            self._called = True
            # The caller may be in the task of another job, which may cancel the tasks that it begins, but not this one.
            call_as(CodeOwner.PROCESS, self._tasks.start_soon, self._serve)
        elif not self._full_told:
            self._full_told = True
            self._full()

    async def _serve(self) -> None:
        """Perform jobs in one task. A job that cancels or breaks the task does not keep the others from it."""
        self._called = False
        with anyio.CancelScope() as scope:
            task = LentTask()
            try:
                await self._perform_waiting(task, scope)
            except anyio.get_cancelled_exc_class():
                if await self._ended():
                    task.close_scopes()
                    raise
                # A job was cancelled, or has cancelled this task.
            if task.touched:
                await task.put_right()
        self._call()

    async def _perform_waiting(self, task: LentTask, scope: anyio.CancelScope) -> None:
        """Perform one job after the other, until one has waited, has cancelled this task, or none is left."""
        ends_s = self._stopwatch() + self.SLICE_S
        queues, scopes, new_context, cancellations = self._queues, self._scopes, task.context.copy, task.cancellations
        while queues and self._running < self._room:
            job = self.waiting.pop()
            self._running += 1
            scopes[job] = scope
            if queues and not self._called:
                self._call()  # for the jobs behind, should this one wait
            coroutine = self._perform(job)
            run = new_context().run
            try:
                # Most often the first step is the last one, and nothing has to be made that awaits the others.
                wanted = run(coroutine.send, None)
            except StopIteration:
                waited = False
            else:
                waited = True
                steps = Steps(coroutine, wanted, run, scope)
                try:
                    await steps
                finally:
                    if steps.left_behind:
                        self._left_behind(job)
            finally:
                self._running -= 1
                del scopes[job]
            if not queues:
                self._full_told = False
            if waited or cancellations():
                break
            if self._stopwatch() > ends_s:
                await anyio.lowlevel.checkpoint()
                ends_s = self._stopwatch() + self.SLICE_S


class Steps(Awaitable[None]):
    """Awaits the steps of a coroutine after the first, in the coroutine's own context.

    Args:
        wanted: The future that it waits for now.
        run: Runs a function in its context.
        scope: If this is cancelled, the coroutine is. A coroutine that goes on waiting nevertheless is left behind.
    """

    # The number of waits that a cancelled coroutine may begin to clean up. Each of these waits ends at once. Shielded
    # waits count on trio only, where they look the same from here.
    WAITS_MAX = 1_000

    __slots__ = ("_coroutine", "_run", "_scope", "_wanted", "left_behind")

    def __init__(
        self, coroutine: Coroutine[Any, Any, None], wanted: Any, run: Callable[..., Any], scope: anyio.CancelScope
    ) -> None:
        self._coroutine = coroutine
        self._wanted = wanted
        self._run = run
        self._scope = scope
        self.left_behind = False

    def __await__(self) -> Generator[Any, Any, None]:
        run, wanted = self._run, self._wanted
        step: Callable[[Any], Any]
        waits_left = self.WAITS_MAX
        while True:
            try:
                value = yield wanted
            except BaseException as error:
                step, value = self._coroutine.throw, error
            else:
                step = self._coroutine.send
            # trio sends the outcome of a wait where asyncio throws its error.
            if value is not None and self._scope.cancel_called:
                waits_left -= 1
                if not waits_left:
                    self.left_behind = True
                    run(_close, self._coroutine)
                    return
            try:
                wanted = run(step, value)
            except StopIteration:
                return


def _close(coroutine: Coroutine[Any, Any, None]) -> None:
    """End a coroutine that has caught all its cancellations."""
    try:
        coroutine.close()
    except BaseException as error:
        logger.debug("a cancelled activity raised while it was put away: %s", described(error))
