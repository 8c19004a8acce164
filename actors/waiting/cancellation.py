"""Lent tasks: the engine's tasks in which code of users runs, and how they are restored if that code cancels them.

The rule: only a cancel scope of the engine ends a task of the engine. Code that runs in such a task, as activities do,
can cancel the task by `asyncio.current_task()`, or can leave a cancel scope open in it (a generator with
`anyio.fail_after` around its `yield` does, if it is not read to its end). Requests to cancel and open scopes that the
code leaves behind must not end the task's group.

`runtime/activities/lane.py` lends its tasks to activities.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Any

import anyio

from .ownership import CodeOwner, context_of


class LentTask:
    """The current task, as it is before code of users runs in it.

    Under trio nothing is restored: trio's tasks cannot be cancelled from outside of their scopes, and trio itself
    raises an error if a scope is left open.

    Attributes:
        context: For the code that runs in the task; to be copied for each call.
    """

    __slots__ = ("_scope", "_task", "cancellations", "context")

    def __init__(self) -> None:
        task: asyncio.Task[Any] | None = None
        with suppress(RuntimeError):
            task = asyncio.current_task()
        self._task = task
        self.context: Context = context_of(task if task is not None else CodeOwner.USER)
        # Counts the requests to cancel the task, by `Task.cancel`, that were not taken back. It is the bound method of
        # the task, without a wrapper, because it is called after each job.
        self.cancellations: Callable[[], int] = task.cancelling if task is not None else _none
        self._scope = _scope_of(task)

    @property
    def touched(self) -> bool:
        """Whether the task has requests to cancel it, or another innermost scope than before."""
        return self.cancellations() > 0 or _scope_of(self._task) is not self._scope

    async def put_right(self) -> None:
        """Close the scopes that were left open, and take back the requests to cancel the task."""
        task = self._task
        if task is None:
            return
        if self.cancellations():
            _take_back(task)
            with suppress(asyncio.CancelledError), anyio.CancelScope(shield=True):
                await asyncio.sleep(0)  # raises the error that the task would get at its next wait
        self.close_scopes()
        _take_back(task)

    def close_scopes(self) -> None:
        """Close the scopes that were left open, from the inside to the outside."""
        while (scope := _scope_of(self._task)) is not self._scope and scope is not None:
            with suppress(asyncio.CancelledError):
                scope.__exit__(None, None, None)
            if _scope_of(self._task) is scope:
                break


async def let_cancellation_spread() -> None:
    """Wait until a scope that is being cancelled has cancelled all tasks in it; return even if this task is in it.

    A scope cancels its tasks within one round of the event loop. A cancelled task can then look at a task that code of
    users cannot reach, to see whether the whole scope was cancelled.
    """
    for _ in range(2):
        with suppress(anyio.get_cancelled_exc_class()), anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()


def _none() -> int:
    return 0


def _take_back(task: asyncio.Task[Any]) -> None:
    while task.cancelling():
        task.uncancel()


def _scope_of(task: asyncio.Task[Any] | None) -> anyio.CancelScope | None:
    """The innermost cancel scope of a task. anyio has no function for it; without anyio's table no scope is closed."""
    if task is None:
        return None
    from anyio._backends import _asyncio  # noqa: PLC0415  only for tasks of asyncio

    try:
        scope: anyio.CancelScope | None = _asyncio._task_states[task].cancel_scope
    except (AttributeError, KeyError):
        return None
    return scope
