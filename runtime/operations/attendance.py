"""A task group that an engine runs, in which what it is sent is done.

The rule: a route of the host may not wait, so what it is sent is done in a task of its own.

`child_starter.py`, `event_sender.py` and `bulk/runner.py` are such.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
from anyio.abc import TaskGroup


class Attendance:
    """Does what it is told to in tasks, while it runs."""

    def __init__(self) -> None:
        self._tasks: TaskGroup | None = None

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run the tasks that are begun meanwhile, until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            task_status.started()
            await anyio.sleep_forever()

    def _attend(self, function: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        """Begin a task."""
        assert self._tasks is not None
        self._tasks.start_soon(function, *arguments)
