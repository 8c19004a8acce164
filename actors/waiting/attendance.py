"""A task group of an engine, for the work that messages to it ask for.

The rule: a route of the host may not wait, so each message to it is worked on in a task of its own.

`runtime/operations/child_starter.py`, `event_sender.py` and `bulk/runner.py` are such, and `runtime/state/expiry.py`.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
from anyio.abc import TaskGroup


class Attendance:
    """Runs the functions that it is given as tasks, while it runs itself."""

    def __init__(self) -> None:
        self._tasks: TaskGroup | None = None
        self._scopes: dict[anyio.CancelScope, str] = {}  # of the tasks that are not over, and for whom; in order

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run the tasks that are begun meanwhile, until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            task_status.started()
            await anyio.sleep_forever()

    def leave(self, has: Callable[[str], bool]) -> None:
        """Cancel the tasks for actors that are another host's now, which begins them anew.

        Args:
            has: Whether the actor of an id is one of them.
        """
        for scope, for_whom in list(self._scopes.items()):
            if has(for_whom):
                scope.cancel()

    def _attend(self, for_whom: str, function: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        """Begin a task.

        Args:
            for_whom: The id of the actor that has asked for it.
        """
        assert self._tasks is not None
        scope = anyio.CancelScope()
        self._scopes[scope] = for_whom
        self._tasks.start_soon(self._within, scope, function, *arguments)

    async def _within(
        self, scope: anyio.CancelScope, function: Callable[..., Coroutine[Any, Any, None]], *arguments: Any
    ) -> None:
        try:
            if not scope.cancel_called:
                with scope:
                    await function(*arguments)
        finally:
            del self._scopes[scope]
