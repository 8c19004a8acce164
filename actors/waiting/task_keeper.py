"""A group of tasks that exists while its owner runs.

The rule: outside of `run` there is no group, and the owner begins no tasks.

`runtime/workers/hosts/answers.py` and `runtime/workers/hosts/entries.py` are owners.
"""

import anyio
from anyio.abc import TaskGroup


class TaskKeeper:
    """Keeps a group of tasks while it runs."""

    _tasks: TaskGroup | None = None  # while it runs

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run the tasks that are begun, until cancelled; the cancellation reaches them too."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                self._tasks = None
