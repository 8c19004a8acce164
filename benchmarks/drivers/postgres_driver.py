"""The engine in the load's own process, on a PostgreSQL database: each run has a schema of its own, which is dropped.

The rules: an address with a password is refused, because results name it; PostgreSQL's own variables have it. An engine
is what a program gets that names the database, one host among those that share it, also where it is the only one; and
the load begins when each host has its share of the shards.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from math import inf
from urllib.parse import urlsplit
from uuid import uuid4

import anyio

from ...actors.on_database import share_of
from ...actors.store.cluster import ShardRow
from ...actors.store.postgres.cluster_store import PostgresClusterStore
from ...actors.store.postgres.url import is_url
from ...runtime.engine import Engine
from ...runtime.settings import Opening
from ..workloads.app import app, client
from .database_server import pid_of_server, session_with
from .measure import Counts, Usage, usage_of_trees
from .process_driver import EngineSetup, ProcessDriver

# One host on PostgreSQL should have so much of what it has on SQLite, in W1 with 50 in flight in the same run.
SHARE_MIN = 0.6
LOOK_AGAIN_S = 0.02


class PostgresProcessDriver(ProcessDriver):
    """Calls the engine's client, as on SQLite.

    Args:
        server: The first process of the database's server; None if it cannot be seen, or another counts it.
        mine: The shards of this host, of those that share the database; None: it has all.
    """

    def __init__(
        self, engine: Engine, setup: EngineSetup, server: int | None, mine: frozenset[int] | None = None
    ) -> None:
        super().__init__(engine, setup, owns=None if mine is None else mine.__contains__)
        self._server = server

    def server_usage(self) -> Usage | None:
        return usage_of_server(self._server)

    def counts(self) -> Counts | None:
        # Each turn of these workloads has an entry; to count the rows would read them all.
        return Counts(self.engine.commits, self.engine.turns, self.engine.turns)


def usage_of_server(server: int | None) -> Usage | None:
    """What a server has used; None if it cannot be seen."""
    return None if server is None else usage_of_trees([server])


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
    async with fresh_schema(database) as url, host_on(url, setup) as engine:
        await shards_dealt(engine, hosts=1)
        yield PostgresProcessDriver(engine, setup, await pid_of_server(database))


@asynccontextmanager
async def one_host_driver(setup: EngineSetup, url: str, *, hosts: int) -> AsyncIterator[PostgresProcessDriver]:
    """Run an engine as one of several on a schema. The load begins when all of them are there.

    Args:
        url: The address, with the schema.
        hosts: How many there will be.
    """
    async with host_on(url, setup) as engine:
        mine = await shards_dealt(engine, hosts=hosts)
        yield PostgresProcessDriver(engine, setup, None, mine)


@asynccontextmanager
async def fresh_schema(database: str) -> AsyncIterator[str]:
    """Give the address of a schema that is not there yet, and drop it in the end."""
    schema = f"bench_{uuid4().hex[:12]}"
    try:
        yield f"{database}{'&' if '?' in database else '?'}schema={schema}"
    finally:
        async with session_with(database) as session:
            await session.run_together([f"DROP SCHEMA IF EXISTS {schema} CASCADE"])


@asynccontextmanager
async def host_on(url: str, setup: EngineSetup) -> AsyncIterator[Engine]:
    """Run an engine that shares a database."""
    store = PostgresClusterStore(url)
    # Hosts of a run come together, and there is nothing yet that a newcomer could keep waiting.
    share = share_of(store, None, stuck_after_s=inf, newcomer_s=0.0)
    engine = Engine(app, data=store, settings=setup.settings(), opening=Opening(share=share))
    client.set(engine.client)
    async with engine:
        yield engine


async def shards_dealt(engine: Engine, *, hosts: int) -> frozenset[int]:
    """Wait until so many hosts share the shards evenly and can reach each other, and return this host's."""
    store, peers = engine.store, engine.peers
    assert isinstance(store, PostgresClusterStore)
    assert peers is not None
    while True:
        owners = await store.owners()
        if len(peers.names) == hosts - 1 and peers.connected and dealt(owners, hosts):
            return frozenset(row.shard for row in owners if row.host == store.host)
        await anyio.sleep(LOOK_AGAIN_S)


def dealt(owners: Sequence[ShardRow], hosts: int) -> bool:
    """Whether every shard has an owner, and each of so many hosts as many as the others, or one more."""
    counts = Counter(row.host for row in owners)
    return None not in counts and len(counts) == hosts and max(counts.values()) - min(counts.values()) <= 1
