"""Running an actor's code inside the event loop, but outside of any task.

The rule: turns run synchronously in the host's own task, and must not get hold of
that task. Code in a turn that looks up "the current task", as `asyncio.timeout` and
anyio's scopes do, would get the host's task, and cancel it some time later. Inside of
`no_current_task` it finds no task, and fails at once.

`actors/hosting/` calls `Actor.turn` and `Actor.close` in it.
"""

import asyncio
from types import TracebackType
from typing import Any


class no_current_task:  # noqa: N801  used as a `with` block; a generator would cost three times as much
    """Take the current asyncio task away for the length of the block.

    The two functions are asyncio's own for this ("Extending asyncio: Task
    lifetime support"). Trio has no such functions; there, workflow code that opens
    a scope breaks its host. Daemons run on asyncio, tests on both.
    """

    __slots__ = ("_loop", "_task")

    def __enter__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._task = asyncio.current_task(self._loop)
        if self._task is not None:
            asyncio._leave_task(self._loop, self._task)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            asyncio._enter_task(self._loop, self._task)
