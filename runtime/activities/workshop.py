"""The workshop of activities: where plain functions have threads and `executor="process"` has processes.

The rule: nothing else in `runtime/` begins a thread or a process. So a simulation (`testing/simulation/machines/`) puts
a workshop of its own in its place, in which one thread runs at a time.

`Opening.workshop` names another; `runtime/activities/actors.py` works in it.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
from anyio.abc import TaskGroup

from ..authoring.fence import Performed
from .process_call import Reference
from .process_pool import Call, ProcessPool

T = TypeVar("T")


class WorkerProcesses(Protocol):
    """Performs activities in processes of their own; `runtime/activities/process_pool.py` says how."""

    async def perform(self, reference: Reference, call: Call, payload: str | None) -> Performed:
        """Perform an activity in a process.

        Args:
            reference: The place of its function.
            call: The facts of the call that the activity sees.
            payload: Its input, JSON text; None: it has none.
        """
        ...


class Workshop(Protocol):
    """Gives threads and processes."""

    async def in_thread(self, function: Callable[[], T], limiter: anyio.CapacityLimiter) -> T:
        """Call a function in a thread, and return its result.

        If this is cancelled, the function goes on and its outcome has no reader.
        """
        ...

    def in_loop(self, function: Callable[..., object], *given: Any) -> None:
        """Call a function in the event loop, from a thread of `in_thread`, and wait for its end.

        Raises:
            RuntimeError: The event loop has ended.
        """
        ...

    def processes(self, tasks: TaskGroup) -> WorkerProcesses:
        """Make the processes of an engine; its task group has the tasks that they need."""
        ...


class SystemWorkshop:
    """Threads and processes of the operating system.

    Args:
        folder: The working folder of worker processes; None: the present one when the engine begins.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder

    async def in_thread(self, function: Callable[[], T], limiter: anyio.CapacityLimiter) -> T:
        return await anyio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=limiter)

    def in_loop(self, function: Callable[..., object], *given: Any) -> None:
        anyio.from_thread.run_sync(function, *given)

    def processes(self, tasks: TaskGroup) -> WorkerProcesses:
        return ProcessPool(tasks, self._folder)
