"""Connections to a store's SQLite file, each with a thread of its own.

The rule: a function that is sent to the thread runs there as a whole, in one
trip. `actors/store/sqlite/store.py` has connections for writing, reading and
listing.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import aiosqlite

from ..durability import Durability

T = TypeVar("T")

LOCK_WAIT_S = 5.0  # how long to wait for another program that has locked the file, such as the sqlite3 shell
STATEMENTS_CACHED = 512  # more than `rows_of` makes; otherwise statements would be compiled for each commit


class Carrier(Protocol):
    """Carries functions to a SQLite connection, where they run one after the other.

    `Connection` does it with a thread; a simulation runs them in the event loop (`testing/simulation/machines/`).
    """

    async def call(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run `function` on the connection, after the functions called before it.

        If the caller is cancelled, the function runs all the same and its result is lost.
        """
        ...

    async def close(self) -> None:
        """Close the connection, after the functions called before."""
        ...


class Connect(Protocol):
    """Connects to a file; see `Connection.to`."""

    def __call__(self, path: str, *, statements: int = STATEMENTS_CACHED) -> Awaitable[Carrier]: ...


class Connection(aiosqlite.Connection):
    """A connection whose thread runs whole functions, each in one trip.

    While a function runs for long, the event loop rests for 0.05 ms every
    millisecond. CPython gives the interpreter lock to a waiting thread when the
    loop has held it for 5 ms without a break, or releases it for longer than the
    thread needs to wake up. A busy loop does neither: it releases the lock for a
    microsecond at each `select` and `send`, and each time the thread's 5 ms begin
    anew. Measured with 100 writes per commit beside a loop whose rounds take 30
    to 400 µs: most commits took from 0.2 seconds to more than a minute, and a
    switch interval of 0.5 ms did not help; with the rests a commit takes 2 to
    9 ms. A loop with pauses lets the thread through without a rest, and a rest
    would only delay other tasks; so the first rest comes after 3 ms.
    """

    FIRST_REST_S = 0.003
    REST_EVERY_S = 0.001
    REST_S = 0.000_05  # longer than a thread needs to wake up; the system rounds it up to 0.1 ms

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._under_way = 0
        self._next_rest: asyncio.TimerHandle | None = None

    @classmethod
    async def to(cls, path: str, *, statements: int = STATEMENTS_CACHED) -> "Connection":
        """Connect to a file.

        Args:
            statements: How many statements are kept compiled.

        Raises:
            sqlite3.Error: The file cannot be opened.

        The connector keeps the error and opens a database in memory instead: when a
        connector raises, aiosqlite ends its thread without waiting for it, and the thread
        may call the event loop after it has closed.
        """
        refused: list[sqlite3.Error] = []

        def connector() -> sqlite3.Connection:
            try:
                return connect(path, statements)
            except sqlite3.Error as error:
                refused.append(error)
                return sqlite3.connect(":memory:")

        connection = cls(connector)
        await connection
        if refused:
            await connection.close()
            raise refused[0]
        return connection

    async def call(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run `function` on the connection's thread, after the functions called before it.

        If the caller is cancelled, the function runs all the same and its result is lost.
        """
        if self._under_way == 0:
            loop = asyncio.get_running_loop()
            self._next_rest = loop.call_later(self.FIRST_REST_S, self._rest, loop)
        self._under_way += 1
        try:
            # A protected method, but there is no other way to run more than one statement per
            # trip; tests/actors/store/sqlite/test_connection.py checks that it exists.
            result: T = await self._execute(function, self._conn)  # type: ignore[no-untyped-call]
            return result
        finally:
            self._under_way -= 1
            if self._under_way == 0 and self._next_rest is not None:
                self._next_rest.cancel()

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        time.sleep(self.REST_S)
        self._next_rest = loop.call_later(self.REST_EVERY_S, self._rest, loop)


def connect(
    path: str, statements: int = STATEMENTS_CACHED, *, kind: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """Open a database that keeps `statements` statements compiled.

    Args:
        kind: The class of the connection.
    """
    # No implicit transactions: the callers begin and end them.
    return sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None, cached_statements=statements, factory=kind)


def set_flushes(connection: sqlite3.Connection, durability: Durability) -> None:
    """Make a connection flush its writes as the durability requires."""
    connection.execute(f"PRAGMA synchronous = {'FULL' if durability is Durability.FULL else 'NORMAL'}")
    # macOS: fsync leaves the data in the drive's cache. Elsewhere these settings have no effect.
    connection.execute(f"PRAGMA fullfsync = {durability is Durability.FULL:d}")
    connection.execute(f"PRAGMA checkpoint_fullfsync = {durability is Durability.FULL:d}")
