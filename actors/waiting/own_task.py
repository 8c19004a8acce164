"""An asyncio task of its own for a context manager.

The rule: only this module makes such a task, with asyncio. On trio `runtime/engine.py` enters and leaves in the
caller's task.

anyio's scopes must be left in the task that has entered them. A fixture, a start and a stop hook, and two cells of a
notebook are different tasks. So the task group of an engine lives in a task that this module makes, and callers only
request that the task leaves.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from threading import get_ident

import anyio

from ..errors import ForeignLoop, ForeignThread, HostCancelled, HostNotRunning

# How long a stop that is cancelled may still take: the turns at hand are taken and committed, and activities are not
# waited for. The host gives messages between actors 2 s (`Host.STOP_S`).
HURRY_S = 3.0


def on_asyncio() -> bool:
    """Whether the caller runs in a task of asyncio."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


def place_of_caller() -> Callable[[], object]:
    """Choose a function that identifies the caller's place: on asyncio its event loop, elsewhere its thread.

    Returns:
        A built-in function of the interpreter, which adds no measurable time to a request.
    """
    return asyncio._get_running_loop if asyncio._get_running_loop() is not None else get_ident


class OwnTask:
    """Enters a context manager in a task of its own, and leaves it there.

    Args:
        make: Makes the context manager.
        hurry: Called when the caller of `leave` is cancelled, so that the end takes at most `HURRY_S`.
        ended: Called with the error that has ended the task, if `leave` was not called.
    """

    def __init__(
        self,
        make: Callable[[], AbstractAsyncContextManager[None]],
        *,
        hurry: Callable[[], None],
        ended: Callable[[BaseException], None],
    ) -> None:
        self._make = make
        self._hurry = hurry
        self._ended = ended
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._told: asyncio.Event | None = None
        self._block: asyncio.Task[object] | None = None  # the caller's, cancelled if this one ends by itself
        self._cancelled: asyncio.Task[object] | None = None  # `_block`, once it was cancelled
        self._looked = False  # whether the end of the task was handled
        self._error: BaseException | None = None  # for the first caller of `leave`

    async def enter(self, *, guard: bool) -> None:
        """Enter the context manager.

        Args:
            guard: The caller's task runs a block that is to be cancelled if this one ends by itself.

        Raises:
            Exception: The error that entering has raised.
        """
        self._loop = asyncio.get_running_loop()
        self._told = asyncio.Event()
        entered = self._loop.create_future()
        self._task = self._loop.create_task(self._run(entered, self._told), name="perdure engine")
        try:
            await asyncio.wait({self._task, entered}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._cut_off(None)
            raise
        if not entered.done():
            # Entering raises its errors before there is a task group, so it raises no group of exceptions.
            self._task.result()
        if guard:
            self._block = asyncio.current_task()
        self._task.add_done_callback(self._look_at_end)

    async def leave(self) -> None:
        """Leave the context manager. A second call only waits for the first.

        A caller that is cancelled meanwhile hurries the end, and still waits for it, up to `HURRY_S`.

        Raises:
            HostNotRunning: It was not entered.
            ForeignLoop, ForeignThread: It was entered in another event loop.
            BaseException: The error that has ended the task before, or that leaving has raised; raised once.
        """
        if self._task is None or self._told is None or self._loop is None:
            raise HostNotRunning
        self._block = None
        if not self._task.done():
            if self._loop is not asyncio.get_running_loop():
                raise ForeignThread if self._loop.is_running() else ForeignLoop
            self._told.set()
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError:
                self._hurry()
                await self._wait_shielded(HURRY_S)
                # The caller may be part of the engine: an activity that stops it.
                await self._cut_off(HURRY_S)
                raise
            # The callback of the task's end comes a round of the event loop later.
            self._look_at_end(self._task)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def pardon_block(self) -> bool:
        """Whether the caller's task was cancelled because this one has ended; if so, take the cancellation back."""
        cancelled, self._cancelled = self._cancelled, None
        task = asyncio.current_task()
        if task is None or task is not cancelled:
            return False
        task.uncancel()
        return True

    async def _run(self, entered: "asyncio.Future[None]", told: asyncio.Event) -> None:
        name_library()
        async with self._make():
            if not entered.done():
                entered.set_result(None)
            await told.wait()

    def _look_at_end(self, task: "asyncio.Task[None]") -> None:
        assert self._told is not None
        if self._looked:
            return
        self._looked = True
        error: BaseException | None = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            return
        if self._told.is_set():
            self._error = None if task.cancelled() else only_exception(error)
            return
        self._error = error = HostCancelled() if task.cancelled() else only_exception(error)
        self._ended(error)
        if self._block is not None and not self._block.done():
            self._cancelled = self._block
            self._block.cancel("the engine has ended")

    async def _cut_off(self, seconds: float | None) -> None:
        assert self._task is not None
        self._task.cancel()
        await self._wait_shielded(seconds)

    async def _wait_shielded(self, seconds: float | None) -> None:
        assert self._task is not None
        # Also inside a cancelled scope of anyio's, which would cancel each wait anew.
        with anyio.CancelScope(shield=True):
            await asyncio.wait({self._task}, timeout=seconds)


def name_library(name: str | None = "asyncio") -> None:
    """Set sniffio's library in the present context, and in all tasks that it begins.

    Args:
        name: asyncio; None in a thread beside the loop, which may have a loop of its own.

    Where sniffio is installed, anyio asks sniffio, and sniffio looks for the current task. Turns run outside of any
    task (`actors/waiting/taskless.py`), and their effects begin tasks at once. `anyio.run` sets the library too, so
    only programs that run on `asyncio.run` or a server's loop need this.
    """
    with suppress(ImportError):
        from sniffio import current_async_library_cvar  # noqa: PLC0415  no dependency: anyio uses it if installed

        current_async_library_cvar.set(name)


def only_exception(group: BaseException) -> BaseException:
    """The only exception in a group, also within nested groups; the group itself if it has several."""
    error = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
