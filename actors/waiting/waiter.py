"""Waiters: one task waits until it is woken, once.

The rule: a waiter is for one task and one wait. Signals, replies and watches are
made of waiters.

`anyio.Event` does the same for any number of tasks. On asyncio, where daemons
run, a bare future costs a tenth of an event, and each instance needs several.
"""

import asyncio
from collections.abc import Generator
from typing import Any, Protocol

import anyio


class Waiter(Protocol):
    """A wait of one task, which may be cancelled meanwhile."""

    def wake(self) -> None:
        """Let the task go on. Harmless if it has gone on already."""
        ...

    def __await__(self) -> Generator[Any, Any, None]: ...


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


class _EventWaiter:
    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def wake(self) -> None:
        self._event.set()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._event.wait().__await__()
