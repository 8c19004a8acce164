"""The engine in the load's own process, as in a program that embeds it, on files or on a PostgreSQL database.

On a database each run has its own schema, which is dropped. The engine is one of the hosts of a database, also if it is
the only one. The load begins when each host has its share of the shards.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio

from ...actors.address import shard_of
from ...actors.cluster.membership import FixedMembership
from ...actors.instruments import SYSTEM
from ...actors.on_database import share_of, store_on
from ...actors.store.cluster import ShardRow
from ...actors.store.durability import Durability
from ...actors.store.part import WHOLE
from ...actors.store.sqlite.files import reading
from ...runtime.engine import Engine
from ...runtime.execution.ids import make_id
from ...runtime.instance.message import workflow_address
from ...runtime.settings import Opening, Settings
from ..workloads.app import app, client
from .database_server import pid_of_server, session_with
from .load import Driver, End
from .measure import Counts, Usage, usage_of_self, usage_of_trees

LOOK_AGAIN_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSetup:
    folder: Path  # empty; for the store and other files of the run
    durability: str = "full"
    always_replay: bool = False
    activations_max: int | None = None  # None: the engine's default
    processes: int = 1  # of the daemon
    membership: FixedMembership | None = None  # for an engine that is one of several hosts

    @property
    def store(self) -> Path:
        return self.folder / "perdure.db"

    @property
    def file(self) -> Path:
        part = self.membership.part if self.membership is not None else WHOLE
        return Path(part.path(str(self.store)))

    def settings(self) -> Settings:
        if self.activations_max is None:
            return Settings(always_replay=self.always_replay)
        return Settings(always_replay=self.always_replay, activations_max=self.activations_max)


class ProcessDriver(Driver):
    """Calls the engine's client. Latencies end when the client has the result, after its commit.

    Args:
        rows: Counts the engine's rows of history.
        owns: Whether this host owns a shard; None: it owns all.
        server: The first process of the database's server; None: there is none, or another driver counts it.
    """

    def __init__(
        self,
        engine: Engine,
        rows: Callable[[], int],
        *,
        owns: Callable[[int], bool] | None = None,
        server: int | None = None,
    ) -> None:
        super().__init__()
        self.engine = engine
        self._rows = rows
        self._owns = owns
        self._server = server

    async def start(self, workflow: str, value: Any) -> str:
        return await self.engine.client.start(workflow, input=value, instance_id=self.own_id())

    def own_id(self) -> str | None:
        """An id for an instance on this host; None if all instances are.

        Without an id the engine spreads instances over all hosts. Here each host has its own load, so that would only
        add hops.
        """
        if self._owns is None:
            return None
        while True:
            instance_id = make_id(SYSTEM)
            if self._owns(shard_of(workflow_address(instance_id).id, self.engine.store.shards)):
                return instance_id

    async def raise_event(self, instance_id: str, name: str, value: Any) -> None:
        await self.engine.client.raise_event(instance_id, name, value)

    async def finish(self, instance_id: str) -> None:
        state = await self.engine.client.wait(instance_id)
        self._ends[instance_id] = End(self.now_us(), state.output)

    def engine_usage(self) -> Usage:
        return usage_of_self()

    def load_usage(self) -> Usage | None:
        return None

    def server_usage(self) -> Usage | None:
        return usage_of_server(self._server)

    def counts(self) -> Counts | None:
        return Counts(self.engine.commits, self.engine.turns, self._rows())


def usage_of_server(server: int | None) -> Usage | None:
    return None if server is None else usage_of_trees([server])


@asynccontextmanager
async def process_driver(setup: EngineSetup) -> AsyncIterator[ProcessDriver]:
    engine = Engine(
        app,
        data=setup.store,
        durability=Durability(setup.durability),
        settings=setup.settings(),
        membership=setup.membership,
    )

    def rows() -> int:
        with reading(setup.file) as connection:
            # Positions rise one by one; a count would read all rows.
            return int(connection.execute("SELECT ifnull(max(position), 0) FROM log").fetchone()[0])

    # Before the engine begins, because its activities use it.
    client.set(engine.client)
    async with engine:
        yield ProcessDriver(engine, rows, owns=setup.membership.part.holds if setup.membership is not None else None)


@asynccontextmanager
async def postgres_driver(setup: EngineSetup, database: str) -> AsyncIterator[ProcessDriver]:
    async with fresh_schema(database) as url, one_host_driver(setup, url, await pid_of_server(database)) as driver:
        yield driver


@asynccontextmanager
async def one_host_driver(
    setup: EngineSetup, url: str, server: int | None = None, *, hosts: int = 1
) -> AsyncIterator[ProcessDriver]:
    """Run an engine as one of the hosts on a schema. The load begins when all hosts have joined.

    Args:
        url: The address of the database, with the schema.
        server: The first process of the server, if this host counts its usage.
        hosts: The number of hosts.
    """
    store = store_on(url)
    # The hosts join at the same time, before there is work that a new host could delay.
    share = share_of(store, None, stuck_after_s=inf, newcomer_s=0.0)
    engine = Engine(app, data=store, settings=setup.settings(), opening=Opening(share=share))
    client.set(engine.client)
    async with engine:
        mine = await shards_dealt(engine, hosts=hosts)
        # Each turn of these workloads has one row; a count would read all rows.
        owns = mine.__contains__ if hosts > 1 else None
        yield ProcessDriver(engine, lambda: engine.turns, owns=owns, server=server)


@asynccontextmanager
async def fresh_schema(database: str) -> AsyncIterator[str]:
    """Yield the address of a new schema, and drop it at the end."""
    schema = f"bench_{uuid4().hex[:12]}"
    try:
        yield f"{database}{'&' if '?' in database else '?'}schema={schema}"
    finally:
        async with session_with(database) as session:
            await session.run_together([f"DROP SCHEMA IF EXISTS {schema} CASCADE"])


async def shards_dealt(engine: Engine, *, hosts: int) -> frozenset[int]:
    """Wait until the hosts share the shards evenly and can reach each other; return this host's shards."""
    store, peers = engine.store.cluster, engine.peers
    assert store is not None
    assert peers is not None
    while True:
        owners = await store.owners()
        if len(peers.names) == hosts - 1 and peers.connected and dealt(owners, hosts):
            return frozenset(row.shard for row in owners if row.host == store.host)
        await anyio.sleep(LOOK_AGAIN_S)


def dealt(owners: Sequence[ShardRow], hosts: int) -> bool:
    """Whether every shard has an owner, and the hosts' numbers of shards differ by at most one."""
    counts = Counter(row.host for row in owners)
    return None not in counts and len(counts) == hosts and max(counts.values()) - min(counts.values()) <= 1
