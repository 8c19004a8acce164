"""The engine in the load's own process: what a program that embeds it gets, on files or on a PostgreSQL database.

On a database each run has a schema of its own, which is dropped. A program that names the database gets the same
engine: one host among the hosts of a database, also where it is the only one. The load begins when each host has its
share of the shards.
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
    """The options of an engine, or a daemon, under test."""

    folder: Path  # an empty one, for the store and other files of the run
    durability: str = "full"
    always_replay: bool = False
    activations_max: int | None = None  # None: the engine's default
    processes: int = 1  # of the daemon
    membership: FixedMembership | None = None  # of an engine that is one of several hosts

    @property
    def store(self) -> Path:
        return self.folder / "perdure.db"

    @property
    def file(self) -> Path:
        """The file of this engine's part of the store."""
        part = self.membership.part if self.membership is not None else WHOLE
        return Path(part.path(str(self.store)))

    def settings(self) -> Settings:
        if self.activations_max is None:
            return Settings(always_replay=self.always_replay)
        return Settings(always_replay=self.always_replay, activations_max=self.activations_max)


class ProcessDriver(Driver):
    """Calls the engine's client. Latencies end when the client has the result, after the commit that holds it.

    Args:
        rows: Counts the rows of history that the engine has written.
        owns: Whether a shard is this host's, of several; None: all are.
        server: The first process of the database's server; None if there is none, or another counts it.
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
        """An id of an instance that will be this host's own; None if all are.

        Without an id the engine spreads instances over all hosts, for callers who know only one of them. Here each
        host has callers of its own, so nothing is gained by that, and a start and a wait would often be a hop away.
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
    """What a server has used, given its first process; None if it cannot be seen."""
    return None if server is None else usage_of_trees([server])


@asynccontextmanager
async def process_driver(setup: EngineSetup) -> AsyncIterator[ProcessDriver]:
    """Run an engine on a fresh SQLite file. Others may have other parts of the store."""
    engine = Engine(
        app,
        data=setup.store,
        durability=Durability(setup.durability),
        settings=setup.settings(),
        membership=setup.membership,
    )

    def rows() -> int:
        with reading(setup.file) as connection:
            # Positions rise one by one, and counting the rows would read them all.
            return int(connection.execute("SELECT ifnull(max(position), 0) FROM log").fetchone()[0])

    # Before the engine begins, so that its activities have it.
    client.set(engine.client)
    async with engine:
        yield ProcessDriver(engine, rows, owns=setup.membership.part.holds if setup.membership is not None else None)


@asynccontextmanager
async def postgres_driver(setup: EngineSetup, database: str) -> AsyncIterator[ProcessDriver]:
    """Run an engine on a fresh schema of a database."""
    async with fresh_schema(database) as url, one_host_driver(setup, url, await pid_of_server(database)) as driver:
        yield driver


@asynccontextmanager
async def one_host_driver(
    setup: EngineSetup, url: str, server: int | None = None, *, hosts: int = 1
) -> AsyncIterator[ProcessDriver]:
    """Run an engine as one of the hosts on a schema. The load begins when all of them are there.

    Args:
        url: The address, with the schema.
        server: The first process of the server, if this host is to count what it uses.
        hosts: How many there will be.
    """
    store = store_on(url)
    # Hosts of a run come together, and there is nothing yet that a newcomer could keep waiting.
    share = share_of(store, None, stuck_after_s=inf, newcomer_s=0.0)
    engine = Engine(app, data=store, settings=setup.settings(), opening=Opening(share=share))
    client.set(engine.client)
    async with engine:
        mine = await shards_dealt(engine, hosts=hosts)
        # Each turn of these workloads has an entry; to count the rows would read them all.
        owns = mine.__contains__ if hosts > 1 else None
        yield ProcessDriver(engine, lambda: engine.turns, owns=owns, server=server)


@asynccontextmanager
async def fresh_schema(database: str) -> AsyncIterator[str]:
    """Give the address of a schema that is not there yet, and drop it in the end."""
    schema = f"bench_{uuid4().hex[:12]}"
    try:
        yield f"{database}{'&' if '?' in database else '?'}schema={schema}"
    finally:
        async with session_with(database) as session:
            await session.run_together([f"DROP SCHEMA IF EXISTS {schema} CASCADE"])


async def shards_dealt(engine: Engine, *, hosts: int) -> frozenset[int]:
    """Wait until so many hosts share the shards evenly and can reach each other, and return this host's."""
    store, peers = engine.store.cluster, engine.peers
    assert store is not None
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
