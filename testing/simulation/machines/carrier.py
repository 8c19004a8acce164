"""The way to a SQLite file in a world: functions run in the event loop, in the place of a host's thread.

The rule: functions run in the order of the calls, each as a whole and a moment after it was called, and its caller
gets the result another moment later. A host that is killed in one of these moments leaves the file with the function's
work or without it.

`testing/simulation/machines/sqlite_file.py` gives these to the store in the place of
`actors/store/sqlite/connection.py`.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

# From the call to the function, and from its end to the caller; a thread is woken in about as long.
TRIP_S = 0.000_010


class _Called(NamedTuple):
    function: Callable[[sqlite3.Connection], Any]
    done: Callable[[], None] | None
    answer: "asyncio.Future[Any]"


class InlineCarrier:
    """Runs functions on a connection, in the event loop.

    Args:
        connection: The connection, which nothing else uses.

    Attributes:
        when_done: Called when the function that is called next has done its work, before its caller gets the result.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._called: deque[_Called] = deque()
        self.when_done: Callable[[], None] | None = None

    async def call(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run a function, after earlier calls. It runs also if the caller is cancelled."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._called.append(_Called(function, self.when_done, answer))
        self.when_done = None
        if len(self._called) == 1:
            loop.call_later(TRIP_S, self._run, loop)
        return await answer

    async def close(self) -> None:
        """Close the connection, behind the functions called before."""
        await self.call(sqlite3.Connection.close)

    def drop(self) -> None:
        """Close the connection as the operating system does when a process is killed: at once."""
        self._connection.close()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        called = self._called[0]
        result, error = None, None
        try:
            result = called.function(self._connection)
        except Exception as raised:
            error = raised
        else:
            if called.done is not None:
                called.done()
        loop.call_later(TRIP_S, self._tell, loop, called.answer, result, error)

    def _tell(
        self, loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[Any]", result: Any, error: Exception | None
    ) -> None:
        self._called.popleft()
        if self._called:
            loop.call_soon(self._run, loop)
        if answer.done():
            return  # the caller was cancelled
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)
