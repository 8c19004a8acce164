"""A task of ours in which code of others runs, and how it is put right again when that code has meddled with it.

The rule: only a cancel scope of ours ends a task of ours. Code that runs in one, as activities do,
can get hold of it with `asyncio.current_task()` and cancel it, or can leave a cancel scope open in
it (a generator with `anyio.fail_after` around its `yield` does, if it is not read to its end).
Tasks and scopes that it leaves behind must not end the task's group.

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
    """The current task, as it is before code of others runs in it.

    Trio's tasks cannot be cancelled from outside of their scopes, and a scope that is left open there is an error of
    trio's. Under trio nothing is put right.

    Attributes:
        context: For the code that it is lent to; to be copied for each call.
    """

    __slots__ = ("_scope", "_task", "cancellations", "context")

    def __init__(self) -> None:
        task: asyncio.Task[Any] | None = None
        with suppress(RuntimeError):
            task = asyncio.current_task()
        self._task = task
        self.context: Context = context_of(task if task is not None else CodeOwner.USER)
        # Counts the requests to cancel the task, by `Task.cancel`, that nobody has taken back. The method itself: it
        # is asked after each job.
        self.cancellations: Callable[[], int] = task.cancelling if task is not None else _none
        self._scope = _scope_of(task)

    @property
    def touched(self) -> bool:
        """Whether the task is not as it was."""
        return self.cancellations() > 0 or _scope_of(self._task) is not self._scope

    async def put_right(self) -> None:
        """Close the scopes that were left open, and take back the requests to cancel the task."""
        task = self._task
        if task is None:
            return
        if self.cancellations():
            _take_back(task)
            with suppress(asyncio.CancelledError), anyio.CancelScope(shield=True):
                await asyncio.sleep(0)  # the error that the task would meet where it waits next
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
    """Wait until a scope that is being cancelled has reached all tasks in it; return even if this task is one of them.

    A scope reaches them in one round of the event loop. A task that was cancelled can then ask one that user code
    cannot reach whether all were.
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
    """The innermost cancel scope of a task. anyio has no function that tells; without its table nothing is closed."""
    if task is None:
        return None
    from anyio._backends import _asyncio  # noqa: PLC0415  only asyncio's tasks are asked about

    try:
        scope: anyio.CancelScope | None = _asyncio._task_states[task].cancel_scope
    except (AttributeError, KeyError):
        return None
    return scope
