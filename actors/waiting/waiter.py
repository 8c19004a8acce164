"""Waiters: one task waits until it is woken, once.

The rule: a waiter is for one task and one wait. Signals, replies and watches are
made of waiters.

`anyio.Event` does the same for any number of tasks. On asyncio, where daemons
run, a bare future costs a tenth of an event, and each instance needs several waiters.
"""

import asyncio
from collections.abc import Generator
from math import inf
from typing import Any, Protocol

import anyio


class Waiter(Protocol):
    """A wait of one task, which may be cancelled meanwhile."""

    def wake(self) -> None:
        """Let the task go on. Harmless if it has gone on already."""
        ...

    def __await__(self) -> Generator[Any, Any, None]: ...

    async def wait_for(self, seconds: float) -> None:
        """Wait to be woken, but at most `seconds`."""
        ...


def new_waiter() -> Waiter:
    """Make a waiter for the event loop that is running."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _EventWaiter()
    return _FutureWaiter(loop.create_future())


class _FutureWaiter:
    __slots__ = ("_future",)

    def __init__(self, future: "asyncio.Future[None]") -> None:
        self._future = future

    def wake(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def __await__(self) -> Generator[Any, Any, None]:
        return self._future.__await__()

    async def wait_for(self, seconds: float) -> None:
        # A timer that wakes the task takes one step of the event loop; a cancel scope takes six.
        timer = self._future.get_loop().call_later(seconds, self.wake) if seconds < inf else None
        try:
            await self._future
        finally:
            if timer is not None:
                timer.cancel()


class _EventWaiter:
    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def wake(self) -> None:
        self._event.set()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._event.wait().__await__()

    async def wait_for(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._event.wait()
