"""Stores that several hosts share, by name, and functions that let their hosts beat and kill each other."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import anyio

from perdure.actors.store.cluster import Cluster
from perdure.actors.store.contract import Store
from perdure.actors.store.memory_cluster import MemoryClusterStore, MemoryDatabase
from perdure.actors.store.postgres.cluster_store import PostgresClusterStore
from perdure.actors.store.presence.beats import Heartbeat
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.machines.database.machine import URL, SimDatabase

from .store_bench import SHARDS
from .stores import POSTGRES, SIMULATED, ServerOf, Variant, emptied

CLUSTERS: Sequence[Any] = [("memory", "asyncio"), ("memory", "trio"), *POSTGRES, SIMULATED]


class ClusterStore(Cluster, Store, Protocol):
    """A store that several hosts share."""


class ClusterBench:
    """The stores of the hosts of one database."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self._stores: list[ClusterStore] = []

    @classmethod
    async def make(cls, variant: Variant, server_of: ServerOf) -> "ClusterBench":
        if variant[0].startswith("postgres "):
            url = await emptied(server_of(int(variant[0].split()[1])), schema=f"conformance_{SHARDS}")
            return cls(lambda: PostgresClusterStore(url, shards=SHARDS, patience_s=5))
        if variant == SIMULATED:
            server = SimDatabase(Choices(), trip_s=0.0)
            return cls(lambda: PostgresClusterStore(URL, shards=SHARDS, patience_s=5, driver=server.link()))
        database = MemoryDatabase(shards=SHARDS)
        return cls(lambda: MemoryClusterStore(database))

    async def host(self) -> ClusterStore:
        """An open store of a host that has not joined."""
        store: ClusterStore = self._make()
        await store.open()
        self._stores.append(store)
        return store

    async def close(self) -> None:
        for store in self._stores:
            await store.close()

    @asynccontextmanager
    async def beating(self, store: Cluster) -> AsyncIterator[None]:
        """Let a host beat; once in each of its lives."""
        async with anyio.create_task_group() as group:
            group.start_soon(store.heart.run)
            yield
            group.cancel_scope.cancel()

    async def beats_of(self, store: Cluster, *, number: int) -> Sequence[Heartbeat]:
        """The next answered beats of a host, from now on."""
        store.heart.drain()
        began = anyio.current_time()
        beats: list[Heartbeat] = []
        with anyio.fail_after(10 * number):
            while len(beats) < number:
                await anyio.sleep(0.01)
                beats += [beat for beat in store.heart.drain() if beat.beats is not None and beat.sent_at >= began]
        return beats

    async def kill(self, killer: Cluster, victim: Cluster) -> None:
        """Kill a host that has never beaten."""
        assert await killer.kill(victim.host, 0)
