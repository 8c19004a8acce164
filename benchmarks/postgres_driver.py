"""The engine in the load's own process, on a PostgreSQL database: each run has a schema of its own, which is dropped.

The rule: an address with a password is refused, because results name it; PostgreSQL's own variables have it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import uuid4

from ..actors.store.postgres.store import PostgresStore
from ..actors.store.postgres.url import is_url
from ..runtime.engine import Engine
from .app import app, client
from .database_server import pid_of_server, session_with
from .measure import Counts, Usage, usage_of_trees
from .process_driver import EngineSetup, ProcessDriver

# One host on PostgreSQL should have so much of what it has on SQLite, in W1 with 50 in flight in the same run.
SHARE_MIN = 0.6


class PostgresProcessDriver(ProcessDriver):
    """Calls the engine's client, as on SQLite.

    Args:
        server: The first process of the database's server; None if it cannot be seen.
    """

    def __init__(self, engine: Engine, setup: EngineSetup, server: int | None) -> None:
        super().__init__(engine, setup)
        self._server = server

    def server_usage(self) -> Usage | None:
        return None if self._server is None else usage_of_trees([self._server])

    def counts(self) -> Counts | None:
        # Each turn of these workloads has an entry; to count the rows would read them all.
        return Counts(self.engine.commits, self.engine.turns, self.engine.turns)


def check_address(data: str) -> str:
    """Read the address of a database.

    Raises:
        ValueError: It is none, or has a password.
    """
    if not is_url(data):
        raise ValueError(f"{data!r} is not the address of a PostgreSQL database")
    if urlsplit(data).password is not None or "password=" in data:
        raise ValueError("leave the password out, and set PGPASSWORD: results name the address")
    return data


@asynccontextmanager
async def postgres_driver(setup: EngineSetup, database: str) -> AsyncIterator[PostgresProcessDriver]:
    """Run an engine on a fresh schema of a database."""
    schema = f"bench_{uuid4().hex[:12]}"
    url = f"{database}{'&' if '?' in database else '?'}schema={schema}"
    try:
        engine = Engine(app, data=PostgresStore(url), settings=setup.settings())
        client.set(engine.client)
        async with engine:
            yield PostgresProcessDriver(engine, setup, await pid_of_server(database))
    finally:
        async with session_with(database) as session:
            await session.run_together([f"DROP SCHEMA IF EXISTS {schema} CASCADE"])
