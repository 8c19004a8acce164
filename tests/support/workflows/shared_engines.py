"""Several engines of one app that share a database and a network in memory, in virtual time."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup, TaskStatus

from perdure import App, Engine, Settings
from perdure.actors.cluster.leased import LeasedMembership
from perdure.actors.cluster.leases.shared import SharedStore, Tell
from perdure.actors.cluster.transport.endpoint import MemoryEndpoint
from perdure.actors.cluster.transport.memory import MemoryNetwork
from perdure.actors.instruments import Instruments
from perdure.actors.store.cluster import HostCard
from perdure.actors.store.contract import Store
from perdure.actors.store.memory_cluster import MemoryClusterStore, MemoryDatabase
from perdure.runtime.instance.message import workflow_address
from perdure.runtime.settings import Opening, OtherApp
from perdure.runtime.workers.items import ItemWriter
from perdure.testing.virtual_time import LoopClock

from ..actors.leased_hosts import ShakyLink
from ..actors.shared_hosts import NamelessTransport


class SharedEngine:
    """One engine. It may be killed; its rows stay."""

    def __init__(self, engines: "SharedEngines", number: int, *apps: App) -> None:
        self.number = number
        self.address = f"e{number}"
        chance = random.Random(f"{engines.seed}.{number}")
        self.link = ShakyLink(chance)
        self._network = engines.network
        instruments = Instruments(chance=chance.randbytes)
        self.store = MemoryClusterStore(engines.database, link=self.link, instruments=instruments)
        self.apps = [app.name for app in apps]  # that its card says
        first, *others = apps or (engines.app,)
        self.engine = Engine(
            first,
            data=self.store,
            settings=engines.settings,
            clock=LoopClock(),
            opening=Opening(
                share=self._share,
                instruments=instruments,
                items=engines.items,
                others=[OtherApp(app.name, app) for app in others],
            ),
        )
        self._scope = anyio.CancelScope()
        self._stop = anyio.Event()
        self.over = anyio.Event()

    def _share(self, store: Store, tell: Tell) -> SharedStore:
        membership = LeasedMembership(
            self.store,
            lambda: HostCard("machine", self.address, f"boot/{self.number}/1", "0", 1, 1, apps=self.apps),
            endpoint_of=lambda row: MemoryEndpoint(row.card.address),
            tell=tell,
            gone=lambda place: False,
            newcomer_s=0.5,
        )
        self.membership = membership
        return SharedStore(membership, NamelessTransport(self._network, self.address), book=self.store)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run until stopped or killed."""
        try:
            with self._scope:
                async with self.engine:
                    task_status.started()
                    await self._stop.wait()
        except BaseException:
            if not self._scope.cancel_called:
                raise
        finally:
            self.over.set()

    async def stop(self) -> None:
        """Stop in order."""
        self._stop.set()
        await self.over.wait()

    def kill(self) -> None:
        """End it as `kill -9` would."""
        self.store.abandon()
        self._network.kill(self.address)
        self._scope.cancel()

    @property
    def running(self) -> bool:
        return not self.over.is_set() and not self._scope.cancel_called


class SharedEngines:
    """All engines of a database."""

    def __init__(
        self,
        app: App | None,
        settings: Settings,
        tasks: TaskGroup,
        *,
        seed: int = 0,
        shards: int = 8,
        items: ItemWriter | None = None,
    ) -> None:
        self.app = app
        self.items = items
        self.settings = settings
        self.seed = seed
        self.chance = random.Random(seed)
        self.database = MemoryDatabase(shards=shards)
        self.network = MemoryNetwork(delay_s=0.001)
        self.engines: list[SharedEngine] = []
        self._tasks = tasks

    @property
    def running(self) -> Sequence[SharedEngine]:
        return [each for each in self.engines if each.running]

    async def add(self, *apps: App) -> SharedEngine:
        """Add an engine.

        Args:
            apps: Those that it has, its first one first; none: that of all.
        """
        each = SharedEngine(self, len(self.engines), *apps)
        self.engines.append(each)
        await self._tasks.start(each.run)
        return each

    def owner_of(self, instance_id: str) -> SharedEngine:
        """The engine that has an instance, by its row."""
        shard = self.engines[0].engine._host.placement.shard_of(workflow_address(instance_id))
        return next(each for each in self.running if each.store.host == self.database.owners[shard].host)

    def id_at(self, engine: SharedEngine, name: str = "i") -> str:
        """An id of an instance that would belong to an engine."""
        return next(found for n in range(10_000) if self.owner_of(found := f"{name}-{n}") is engine)

    async def history(self, instance_id: str) -> Any:
        """The committed history of an instance."""
        return await self.running[0].engine.facade.history(instance_id)


@asynccontextmanager
async def shared_engines(
    app: App | None, settings: Settings, count: int = 2, *, seed: int = 0, items: ItemWriter | None = None
) -> AsyncIterator[SharedEngines]:
    """Engines that have shared out the shards among them. At the end, check that only owners have committed."""
    async with anyio.create_task_group() as tasks:
        engines = SharedEngines(app, settings, tasks, seed=seed, items=items)
        for _ in range(count):
            await engines.add()
        await anyio.sleep(3)
        yield engines
        assert engines.database.broken == []
        for each in engines.running:
            each.kill()
