"""The tables of a store that are there before the world begins, for worlds that are not about their making.

The rule: the store's own functions make them, as for a host, but in no time and without faults.
"""

from collections.abc import Sequence
from typing import Any

from .....actors.store.cluster import FORMAT_MAX
from .....actors.store.postgres.driver import Refused, Statement
from .....actors.store.postgres.schema import enter_apps, make_ready, raise_format
from .....actors.store.postgres.url import DatabaseUrl
from .....actors.store.presence.apps import AppNames
from .backend import Backend, ServerCore, StatementUnderWay
from .transactions import Row


class _InstantSession:
    """A session of which each statement is done at once, as no other session is there that it could wait for."""

    lost = False

    def __init__(self, core: ServerCore, schema: str) -> None:
        self._backend = Backend(core, {"search_path": schema})

    async def run(self, statement: Statement, arguments: Sequence[Any] = ()) -> Sequence[Row]:
        self._backend.start(statement, arguments, _finished)
        return self._settled()

    async def run_together(self, statements: Sequence[str]) -> None:
        self._backend.start_together(statements, _finished)
        self._settled()

    async def close(self) -> None:
        self.terminate()

    def terminate(self) -> None:
        self._backend.end()

    def _settled(self) -> Sequence[Row]:
        outcome = self._backend.settle()
        if isinstance(outcome, Refused):
            raise outcome
        return outcome


def make_tables(core: ServerCore, url: DatabaseUrl, *, shards: int, now_us: int, apps: Sequence[str] = ()) -> None:
    """Make the tables of a store at a server that nobody uses yet, in the newest format.

    Args:
        shards: How many shards each app has.
        now_us: Unix time, microseconds.
        apps: The ids of apps that are entered; the first is the store's first app.
    """
    made = _make(_InstantSession(core, url.schema), url, shards=shards, now_us=now_us, apps=apps)
    done = object()
    assert next(made.__await__(), done) is done, "the making of tables has waited"


async def _make(session: _InstantSession, url: DatabaseUrl, *, shards: int, now_us: int, apps: Sequence[str]) -> None:
    await make_ready(session, url, shards=shards, now_us=now_us)
    await enter_apps(session, url, AppNames(apps))
    await raise_format(session, FORMAT_MAX)
    await session.close()


def _finished(execution: StatementUnderWay) -> None:
    """Do nothing: the session settles a statement itself."""
