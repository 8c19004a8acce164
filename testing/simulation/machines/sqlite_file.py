"""The SQLite file of a simulated machine: the real store on a real file, for one life after the other.

The rule: the next life finds the file as it was when the last one was killed, and none of its locks and connections,
as after the death of a process.

SQLite's own errors are faults too, each at a statement of the writing connection:

    sqlite.begin    another program has the file
    sqlite.commit   the commit cannot be written, and what it had is rolled back

The file lies in memory if the machine has a file system for that (/dev/shm): a flush costs nothing there, and the
world decides how long it takes (`testing/simulation/machines/disk.py`).
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from ....actors.instruments import Instruments
from ....actors.store.contract import Write
from ....actors.store.sqlite.connection import STATEMENTS_CACHED, connect
from ....actors.store.sqlite.identity import holds_of
from ....actors.store.sqlite.store import SqliteStore
from ..choices import Choices
from .carrier import InlineCarrier

IN_MEMORY = "/dev/shm"  # noqa: S108  a folder of our own is made in it


class ChosenWorld(Protocol):
    """The part of a world that a file uses."""

    @property
    def choices(self) -> Choices:
        """The choices of the world."""
        ...


class FaultyConnection(sqlite3.Connection):
    """A connection of which statements fail by choice.

    Attributes:
        choices: None: none fails.
    """

    choices: Choices | None = None

    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        """Run a statement, unless a fault is chosen for it.

        Raises:
            sqlite3.OperationalError: The chosen fault.
        """
        if self.choices is not None:
            fault = FAULTS.get(sql)
            if fault is not None and self.choices.fault(fault.stream):
                raise sqlite3.OperationalError(fault.error)
        return super().execute(sql, *given)


class StatementFault(NamedTuple):
    """How a statement fails; nothing of it is done."""

    stream: str
    error: str  # SQLite's own


FAULTS = {
    "BEGIN IMMEDIATE": StatementFault("sqlite.begin", "database is locked"),
    "COMMIT": StatementFault("sqlite.commit", "disk I/O error"),
}


class SqliteFile:
    """A folder with a store's file, for as long as a block of `with` lasts.

    with SqliteFile() as file:
        SimWorld(app, choices, store=file.store).run(story)

    Attributes:
        folder, path: Of the file.
    """

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="perdure-world-", dir=IN_MEMORY if os.path.isdir(IN_MEMORY) else None)
        self.path = os.path.realpath(os.path.join(self.folder, "world.db"))
        self._last: LifeSqliteStore | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._last is not None:
            self._last.abandon()
        shutil.rmtree(self.folder, ignore_errors=True)

    def store(self, world: ChosenWorld, instruments: Instruments) -> "LifeSqliteStore":
        """The store of a new life."""
        self._last = LifeSqliteStore(self.path, instruments, world.choices)
        return self._last


class LifeSqliteStore(SqliteStore):
    """The store of one life.

    Args:
        path: The real path of the file.
        choices: Decide which statements fail.
    """

    def __init__(self, path: str, instruments: Instruments, choices: Choices) -> None:
        super().__init__(path, connect=self._connect_inline, instruments=instruments)
        self._choices = choices
        self._carriers: list[InlineCarrier] = []

    async def commit_telling(
        self, writes: Sequence[Write], fences: Mapping[int, int], told: Callable[[], None]
    ) -> None:
        """Commit, and call `told` as soon as the commit is in the file."""
        # Nothing waits between here and the call of the function, and the first connection is the one that writes.
        self._carriers[0].when_done = told
        await self.commit(writes, fences)

    def abandon(self) -> None:
        """Take away the connections and the locks of the process, as the operating system does when one is killed.

        SQLite would fold its -wal into the file when the last connection is closed, which a killed process does not.
        """
        holds = holds_of(self.path)
        for hold in holds:
            hold.keep_wal()
        carriers, self._carriers = self._carriers, []
        for carrier in carriers:
            carrier.drop()
        for hold in holds:
            hold.release()

    async def _connect_inline(self, path: str, *, statements: int = STATEMENTS_CACHED) -> InlineCarrier:
        connection = connect(path, statements, kind=FaultyConnection)
        assert isinstance(connection, FaultyConnection)
        if not self._carriers:  # the first is the one that writes
            connection.choices = self._choices
        carrier = InlineCarrier(connection)
        self._carriers.append(carrier)
        return carrier
