"""A SQLite store that counts the work done on it, and commits in lock step with its host.

The rule: a group is committed only when all other work waits. In production the size of a group depends on the disk and
on the thread that writes. Here a commit waits until no read is under way and the event loop has had `rounds` rounds, so
the same load makes the same groups on every machine.

SQLite itself reports each statement (its trace), and the rows that it changed (`total_changes`).
"""

import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import anyio

from ...actors.store.contract import Write
from ...actors.store.sqlite.store import SqliteStore

Arguments = ParamSpec("Arguments")
T = TypeVar("T")

# More than the longest chain of wake-ups in the engine; a test finds the same counts with half as many.
ROUNDS = 10

WRITING = re.compile(r"\s*(INSERT|REPLACE|UPDATE|DELETE)(?:\s+OR\s+\w+)?\s+(?:INTO\s+|FROM\s+)?(\w+)", re.IGNORECASE)


@dataclass(slots=True)
class StoreTally:
    """Counts of the groups, transactions, statements and rows that a store has written."""

    batches: int = 0  # groups of turns from the host
    commits: int = 0  # transactions with writes; each is a flush
    statements: int = 0  # of these transactions, without BEGIN and COMMIT
    rows: Counter[str] = field(default_factory=Counter)  # "insert log" -> rows that it changed
    runs_max: int = 0  # the most separate runs of one kind of write to one table in a transaction
    wal_bytes: int = 0
    blocks_max: int = 0  # the most memory blocks of Python before a commit


def counted(
    read: Callable[Concatenate["CountingStore", Arguments], Awaitable[T]],
) -> Callable[Concatenate["CountingStore", Arguments], Coroutine[Any, Any, T]]:
    async def reading(store: "CountingStore", /, *arguments: Arguments.args, **options: Arguments.kwargs) -> T:
        store.reads += 1
        try:
            return await read(store, *arguments, **options)
        finally:
            store.reads -= 1

    return reading


class CountingStore(SqliteStore):
    """A store that counts.

    Args:
        rounds: The rounds of the event loop that a commit waits, with no read under way.
    """

    def __init__(self, path: Path, *, rounds: int = ROUNDS) -> None:
        super().__init__(path)
        self._wal = Path(f"{path}-wal")
        self._rounds = rounds
        self.reads = 0  # reads under way
        self._committing = False
        self._batches = 0
        self._blocks_max = 0
        self._wal_bytes = 0
        self._trace: Trace | None = None

    async def open(self) -> None:
        await super().open()
        assert self._writer is not None
        self._trace = await self._writer.call(Trace)

    async def settled(self) -> None:
        """Wait until every task waits for a timer or for the caller."""
        await self._quiet()
        while self._committing:
            await self._quiet()

    async def _quiet(self) -> None:
        """Wait until every task waits for a commit, a timer or the caller."""
        rounds = 0
        while rounds < self._rounds:
            await anyio.lowlevel.checkpoint()
            rounds = 0 if self.reads else rounds + 1

    async def take(self) -> StoreTally:
        """Return and reset the counts. No read or write may be under way."""
        assert self._writer is not None
        assert self._trace is not None
        trace = self._trace
        tally = await self._writer.call(lambda _: trace.take())
        wal_bytes = self._wal.stat().st_size
        tally.wal_bytes, self._wal_bytes = wal_bytes - self._wal_bytes, wal_bytes
        tally.batches, self._batches = self._batches, 0
        tally.blocks_max, self._blocks_max = self._blocks_max, 0
        return tally

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        self._committing = True  # one commit at a time: the next group fills meanwhile
        try:
            await self._quiet()
            self._batches += 1
            self._blocks_max = max(self._blocks_max, sys.getallocatedblocks())
            await super().commit(writes, fences)
        finally:
            self._committing = False

    load = counted(SqliteStore.load)
    inspect = counted(SqliteStore.inspect)
    reminders = counted(SqliteStore.reminders)


class Trace:
    """The trace of a connection, called on its thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        # A checkpoint would restart the WAL, and make its size meaningless.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._connection = connection
        self._tally = StoreTally()
        self._kinds: list[str] = []  # the statements of the transaction under way
        self._changes = connection.total_changes
        connection.set_trace_callback(self._statement)

    def take(self) -> StoreTally:
        self._count_rows()
        tally, self._tally = self._tally, StoreTally()
        return tally

    def _statement(self, sql: str) -> None:
        """Called before each statement runs, and so after the previous one."""
        self._count_rows()
        verb = sql.split(None, 1)[0].upper()
        if verb == "BEGIN":
            self._kinds = []
        elif verb == "COMMIT":
            self._count_transaction()
        else:
            self._kinds.append(kind_of(sql))

    def _count_rows(self) -> None:
        changes = self._connection.total_changes
        if changes > self._changes:
            self._tally.rows[self._kinds[-1]] += changes - self._changes
            self._changes = changes

    def _count_transaction(self) -> None:
        if any(self._kinds):
            self._tally.commits += 1
            self._tally.statements += len(self._kinds)
            runs = Counter(kind for kind, _ in groupby(self._kinds) if kind)
            self._tally.runs_max = max(self._tally.runs_max, *runs.values())


def kind_of(sql: str) -> str:
    """Return the verb and the table of a statement, as "insert log"; empty if it does not write."""
    found = WRITING.match(sql)
    return f"{found[1]} {found[2]}".lower() if found else ""
