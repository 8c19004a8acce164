"""A task group of an engine, for the work that messages to its routes request.

The rule: a route of the host may not wait, so each message to a route is handled in a task of its own.

`runtime/operations/child_starter.py`, `event_sender.py`, `bulk/runner.py` and `runtime/state/expiry.py` extend it.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
from anyio.abc import TaskGroup


class Attendance:
    """Runs functions as tasks, as long as its own `run` runs."""

    def __init__(self) -> None:
        self._tasks: TaskGroup | None = None
        self._scopes: dict[anyio.CancelScope, str] = {}  # scope of each running task -> the actor's id; in order

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run the tasks that are begun, until cancelled."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            task_status.started()
            await anyio.sleep_forever()

    def leave(self, has: Callable[[str], bool]) -> None:
        """Cancel the tasks for actors that another host owns now; that host begins the tasks anew.

        Args:
            has: Whether the actor with an id is one of these actors.
        """
        for scope, for_whom in list(self._scopes.items()):
            if has(for_whom):
                scope.cancel()

    def _attend(self, for_whom: str, function: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        """Begin a task.

        Args:
            for_whom: The id of the actor that has requested it.
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
