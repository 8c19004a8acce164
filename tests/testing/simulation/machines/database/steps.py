"""A server without time, one statement after the other."""

from typing import Any

from perdure.actors.store.postgres.driver import Statement
from perdure.actors.store.postgres.schema import TABLES
from perdure.testing.simulation.machines.database.backend import Backend, ServerCore, StatementUnderWay
from perdure.testing.simulation.machines.database.statements.registry import FUNCTIONS

SETTINGS = {"search_path": "perdure"}
BEGIN, COMMIT, ROLLBACK = (Statement(word, word) for word in ("BEGIN", "COMMIT", "ROLLBACK"))


class Stepping:
    """Some sessions, and what came of their statements."""

    def __init__(self, sessions: int = 2) -> None:
        self.core = ServerCore(FUNCTIONS)
        maker = Backend(self.core, SETTINGS)
        rows = "INSERT INTO meta (name, value) VALUES ('format', 1)"
        shards = "INSERT INTO shards (shard) SELECT generate_series(0, 1)"
        maker.start_together([*TABLES, rows, shards], self._finished)
        maker.end()
        self.backends = [Backend(self.core, SETTINGS) for _ in range(sessions)]
        self.came: dict[int, Any] = {}  # by session: rows, or why it was refused

    def run(self, session: int, statement: Statement, *arguments: Any) -> Any:
        """Run a statement; None: it waits."""
        self.came.pop(session, None)
        self.backends[session].start(statement, arguments, self._finished)
        return self.came.get(session)

    def _finished(self, execution: StatementUnderWay) -> None:
        outcome = execution.backend.settle()
        if hasattr(self, "backends"):
            self.came[self.backends.index(execution.backend)] = outcome
