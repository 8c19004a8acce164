"""The calls of a blocking client, whose asynchronous client runs in the event loop of a thread.

The rule: the first call starts the thread, and it ends with the program. A forked process starts its own thread.
Several threads may call at the same time.

The methods of the client in `client/blocking.py`, which are generated from the asynchronous client, call this module.
"""

import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from ..runtime.state.client import StateClient
from .remote_client import RemoteClient

T = TypeVar("T")


class LoopThread:
    """An event loop in its own thread, with an open client."""

    def __init__(self, make: Callable[[], RemoteClient]) -> None:
        self.process = os.getpid()
        self._make = make
        self._ready = threading.Event()
        self._portal: BlockingPortal | None = None
        self._error: BaseException | None = None
        self.client = make()
        # A daemon thread, so that a program that does not close the client can end.
        self._thread = threading.Thread(target=anyio.run, args=(self._run,), name="perdure client", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise self._error

    async def _run(self) -> None:
        try:
            async with BlockingPortal() as portal, self.client:
                self._portal = portal
                self._ready.set()
                await portal.sleep_until_stopped()
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._ready.set()

    def call(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Run a function in the loop, and wait for it."""
        assert self._portal is not None
        future = self._portal.start_task_soon(function, *arguments)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # the caller was interrupted; otherwise the future is done
            raise

    def stop(self) -> None:
        """End the loop when all calls under way have ended."""
        assert self._portal is not None
        self._portal.call(self._portal.stop)
        self._thread.join()


class LoopOnDemand:
    """The event loop of a client that several threads share. It is started on demand, once."""

    def __init__(self, make: Callable[[], RemoteClient]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._loop: LoopThread | None = None

    def running(self) -> LoopThread:
        """Return the loop. It is started if this process has none."""
        with self._lock:
            # A forked process has the object but not the thread.
            if self._loop is None or self._loop.process != os.getpid():
                self._loop = LoopThread(self._make)
            return self._loop

    def close(self) -> None:
        """End the loop, if there is one."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None and loop.process == os.getpid():
            loop.stop()


class BlockingStream(Generic[T]):
    """A stream for a `for` loop. `with` or `close` ends it early."""

    def __init__(self, items: Generator[T, None, None]) -> None:
        self._items = items

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        return next(self._items)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the stream."""
        self._items.close()


class BlockingCalls:
    """Calls an asynchronous client in its event loop, and waits.

    Args:
        make: Makes the client. It is called for each loop, and once more for methods that need no loop.
    """

    def __init__(self, make: Callable[[], RemoteClient]) -> None:
        self._unopened = make()
        self._loops = LoopOnDemand(make)

    def close(self) -> None:
        """End the client's thread. A later call starts another."""
        self._loops.close()

    def _call(self, function: Callable[[RemoteClient], Awaitable[T]]) -> T:
        """Run a function with the asynchronous client, and wait for it."""
        loop = self._loops.running()
        return loop.call(partial(function, loop.client))

    def _each(self, function: Callable[[RemoteClient], AsyncGenerator[T, None]]) -> BlockingStream[T]:
        """Return the items of an async generator as a blocking stream."""
        return BlockingStream(self._items(function))

    def _each_within(
        self, function: Callable[[RemoteClient], AbstractAsyncContextManager[AsyncIterator[T]]]
    ) -> BlockingStream[T]:
        """Return the items of a stream within an `async with` as a blocking stream."""

        async def entered(client: RemoteClient) -> AsyncGenerator[T, None]:
            async with function(client) as items:
                async for item in items:
                    yield item

        return self._each(entered)

    def _items(self, function: Callable[[RemoteClient], AsyncGenerator[T, None]]) -> Generator[T, None, None]:
        loop = self._loops.running()
        items = function(loop.client)
        try:
            while (item := loop.call(anext, items, None)) is not None:
                yield item
        finally:
            loop.call(items.aclose)


class BlockingStateCalls:
    """Calls the client of a state store in the event loop of another client, and waits.

    Args:
        store: The name of the store.
    """

    def __init__(self, calls: BlockingCalls, store: str) -> None:
        self._calls = calls
        self._store = store

    def _call(self, function: Callable[[StateClient], Awaitable[T]]) -> T:
        """Run a function with the state store, and wait for it."""
        return self._calls._call(lambda client: function(client.state(self._store)))
