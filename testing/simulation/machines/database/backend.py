"""The server's side of sessions: statements that run, that wait for each other, and that are refused.

The rule: nothing here takes time. A statement runs until it has its rows or waits for a transaction. `sessions.py`, or
a test that goes step by step, decides how long it is on its way, and when its commit is on the disk.

The functions in the place of SQL are in `statements/`.
"""

import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from .....actors.store.postgres.driver import Refused, Statement
from .tables import Table
from .transactions import Ledger, Row, Transaction
from .work import Waiting, Work

Tables: TypeAlias = Mapping[str, Table]

BROKEN = "25P02"  # the transaction was refused before
DEADLOCK = "40P01"
NO_TABLE = "42P01"
TIMELINE = "00000001"


class Scene(NamedTuple):
    """The tables and the session that the function of a statement works with."""

    server: "ServerCore"
    backend: "Backend"
    work: Work

    @property
    def tables(self) -> Tables:
        """The tables of the schema.

        Raises:
            Refused: The schema has no tables.
        """
        tables = self.server.schemas.get(self.backend.schema)
        if tables is None:
            raise Refused(NO_TABLE, "a table does not exist")
        return tables


Function: TypeAlias = Callable[..., Waiting[Sequence[Row]] | Sequence[Row]]


class Lacking(Exception):
    """The stand-in has no function for a statement."""


class StatementUnderWay:
    """A statement under way.

    Attributes:
        rows: Its rows, once it has them.
        refused: Why it was refused; None: it was not.
        waits_for: The transaction that it waits for; None: for none.
    """

    def __init__(self, backend: "Backend", function: Callable[[], Any], finished: "Finished") -> None:
        self.backend = backend
        self.rows: Sequence[Row] | None = None
        self.refused: Refused | None = None
        self.waits_for: Transaction | None = None
        self._function: Callable[[], Any] = function
        self._finished = finished
        self._running: Generator[Transaction, None, Sequence[Row]] | None = None

    @property
    def over(self) -> bool:
        """Whether it has its rows, or was refused."""
        return self.rows is not None or self.refused is not None

    def begin(self) -> None:
        """Run it until it ends or waits."""
        try:
            made = self._function()
        except Refused as refused:
            self.refuse(refused)
            return
        if isinstance(made, Generator):
            self._running = made
            self.go_on()
        else:
            self._end(made)

    def go_on(self) -> None:
        """Resume it, after the end of the transaction that it has waited for."""
        if self._running is None:
            return
        self.waits_for = None
        try:
            holder = next(self._running)
            while holder.over:
                holder = next(self._running)
        except StopIteration as stop:
            self._end(stop.value)
        except Refused as refused:
            self.refuse(refused)
        else:
            self.waits_for = holder
            holder.waiting.append(self)

    def refuse(self, refused: Refused) -> None:
        """End it with an error."""
        self.drop()
        self.refused = refused
        self._finished(self)

    def drop(self) -> None:
        """Run it no further."""
        if self.waits_for is not None:
            self.waits_for.waiting.remove(self)
            self.waits_for = None
        running, self._running = self._running, None
        if running is not None:
            running.close()

    def is_deadlocked(self) -> bool:
        """Whether it waits for itself, by way of others."""
        at, seen = self.waits_for, 0
        while at is not None and seen <= len(self.backend.server.backends):
            if at is self.backend.transaction:
                return True
            other = self.backend.server.backend_of(at)
            at = other.execution.waits_for if other is not None and other.execution is not None else None
            seen += 1
        return False

    def _end(self, rows: Sequence[Row]) -> None:
        self._running = None
        self.rows = rows
        self._finished(self)


Finished: TypeAlias = Callable[[StatementUnderWay], None]


class Backend:
    """The server's side of a session.

    Attributes:
        transaction: The open transaction, if there is one.
        explicit: Whether it was begun by a statement of its own, and ends by one.
        failed: Whether it was undone, as a statement of it was refused, and has not ended yet.
        execution: The statement under way.
        ended: Whether the session is over.
    """

    def __init__(self, server: "ServerCore", settings: Mapping[str, str]) -> None:
        self.server = server
        self.settings = settings
        self.schema = settings.get("search_path", "public")
        self.pid = next(server.pids)
        self.transaction: Transaction | None = None
        self.explicit = False
        self.failed = False
        self.execution: StatementUnderWay | None = None
        self.ended = False
        self.when_ended: Callable[[], None] | None = None
        self.when_committed: list[Callable[[], None]] = []
        self.cursor: Sequence[Row] = []
        self.seen_rows: sqlite3.Connection | None = None  # of a transaction that sees one snapshot; `listing.py`
        self._snapshot: int | None = None  # of a transaction that sees one to its end
        self._repeats = False
        self._held: int | None = None
        server.backends[self.pid] = self

    def start(self, statement: Statement, arguments: Sequence[Any], finished: Finished) -> StatementUnderWay:
        """Run a statement.

        Args:
            finished: Called once it has its rows, or is refused. Then `settle` ends it.
        """
        assert self.execution is None, "a session runs one statement at a time"
        control = statement.sql.split(None, 1)[0]
        if control in ("BEGIN", "COMMIT", "ROLLBACK"):
            return self._start(lambda: self._control(control, statement.sql), finished)
        named = self.server.functions.get(statement.name)
        if named is None:
            raise Lacking(f"the stand-in has no statement {statement.name!r}: {statement.sql}")
        return self._start(lambda: self._call(named, statement, arguments), finished)

    def start_together(self, statements: Sequence[str], finished: Finished) -> StatementUnderWay:
        """Run statements without arguments in one transaction."""
        together = self.server.functions["together"]
        return self._start(lambda: self._call(together, Statement("together", ""), (statements,)), finished)

    def _start(self, function: Callable[[], Any], finished: Finished) -> StatementUnderWay:
        self.execution = execution = StatementUnderWay(self, function, finished)
        execution.begin()
        return execution

    def settle(self) -> Refused | Sequence[Row]:
        """End the statement whose rows are there: commit it, if it is a transaction of its own."""
        execution, self.execution = self.execution, None
        assert execution is not None
        self._release()
        if execution.refused is not None:
            # The changes of a transaction are undone at once, also where it only ends later.
            failed = self.explicit
            self._undo()
            self.explicit = self.failed = failed
            return execution.refused
        if not self.explicit:
            self._commit()
        assert execution.rows is not None
        return execution.rows

    def end(self) -> None:
        """End the session. Its uncommitted changes are undone."""
        if self.ended:
            return
        self.ended = True
        execution, self.execution = self.execution, None
        if execution is not None:
            execution.drop()
        self._release()
        self._undo()
        self.server.backends.pop(self.pid, None)
        if self.when_ended is not None:
            self.when_ended()

    # Inside.

    def _call(self, function: Function, statement: Statement, arguments: Sequence[Any]) -> Any:
        if self.failed:
            raise Refused(BROKEN, "current transaction is aborted, commands ignored until end of transaction block")
        if self.transaction is None:
            self.transaction = self.server.ledger.begin()
        self.transaction.command += 1
        snapshot = self.server.ledger.commits if self._snapshot is None else self._snapshot
        if self._repeats and self._snapshot is None:
            self._snapshot = snapshot
        if self._held is None:
            self._held = self.server.ledger.hold(snapshot)
        scene = Scene(self.server, self, Work(self.server.ledger, self.transaction, snapshot))
        return function(scene, statement, *arguments)

    def _control(self, control: str, sql: str) -> Sequence[Row]:
        if control == "BEGIN":
            self.transaction = self.server.ledger.begin()
            self.explicit = True
            self._repeats = "REPEATABLE READ" in sql
        elif control == "COMMIT" and not self.failed:
            self._commit()
        else:
            self._undo()
        return []

    def _commit(self) -> None:
        transaction, self.transaction = self.transaction, None
        self._forget_transaction()
        if transaction is not None:
            when_committed, self.when_committed = self.when_committed, []
            for each in when_committed:
                each()
            self.server.ledger.commit(transaction)

    def _undo(self) -> None:
        transaction, self.transaction = self.transaction, None
        self._forget_transaction()
        self.when_committed = []
        if transaction is not None:
            self.server.ledger.undo(transaction)

    def _forget_transaction(self) -> None:
        self.explicit = self.failed = self._repeats = False
        self._snapshot = self.seen_rows = None
        self._release()

    def _release(self) -> None:
        if self._held is not None and not self._repeats:
            self.server.ledger.release(self._held)
            self._held = None


class ServerCore:
    """A server, without time.

    Args:
        functions: The statements that it knows, by their names.

    Attributes:
        schemas: By name, the tables of each.
        timeline: Changes when a copy of the server takes its place.
    """

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self.functions = functions
        self.ledger = Ledger()
        self.schemas: dict[str, Tables] = {}
        self.backends: dict[int, Backend] = {}
        self.advisory: dict[tuple[int, int], Transaction] = {}
        self.pids = count(101)
        self.timeline = TIMELINE

    def backend_of(self, transaction: Transaction) -> Backend | None:
        """The session of a transaction; None if that is over."""
        for backend in self.backends.values():
            if backend.transaction is transaction:
                return backend
        return None

    def terminate(self, backend: Backend) -> None:
        """End a session from outside. Its changes under way are undone."""
        backend.end()

    def crash(self) -> None:
        """End all sessions, and undo what they have not committed."""
        for backend in list(self.backends.values()):
            backend.end()

    def all_tables(self) -> list[Table]:
        """The tables of all schemas."""
        return [table for tables in self.schemas.values() for table in tables.values()]
