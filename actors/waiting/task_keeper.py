"""A group of tasks that is there while its owner runs.

The rule: outside of `run` there is no group, and the owner begins nothing.

`runtime/workers/hosts/answers.py` and `runtime/workers/hosts/entries.py` are owners.
"""

import anyio
from anyio.abc import TaskGroup


class TaskKeeper:
    """Keeps a group of tasks while it runs."""

    _tasks: TaskGroup | None = None  # while it runs

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run the tasks that are begun meanwhile, until cancelled; they are cancelled with it."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                self._tasks = None
