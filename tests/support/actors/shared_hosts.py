"""Several hosts of counters that share one database in memory, and a network in memory, in virtual time."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup, TaskStatus

from perdure.actors.address import Address
from perdure.actors.cluster.leased import LeasedMembership
from perdure.actors.cluster.leases.shared import TAKE
from perdure.actors.cluster.membership import name_of_id
from perdure.actors.cluster.peers import Peers
from perdure.actors.cluster.transport.endpoint import MemoryEndpoint
from perdure.actors.cluster.transport.memory import MemoryNetwork, MemoryTransport
from perdure.actors.errors import HostLost, HostSilent, PerdureError
from perdure.actors.hosting.host import Host, HostLimits, Precautions
from perdure.actors.hosting.shards.flights import FlightNotes
from perdure.actors.hosting.shards.hosted import Gone, Sharing
from perdure.actors.instruments import Instruments
from perdure.actors.store.cluster import HostCard
from perdure.actors.store.errors import StoreFailed, StoreUncertain
from perdure.actors.store.memory_cluster import MemoryClusterStore, MemoryDatabase
from perdure.testing.virtual_time import LoopClock

from .counter_actor import Add, CounterType, Read, counter, counter_vocabulary
from .leased_hosts import ShakyLink

SHARDS = 8


class NamelessTransport(MemoryTransport):
    """A transport that calls a host by its address, because its name changes with each life."""

    def identify(self, me: str) -> None:
        """Other hosts still reach it by its address."""

    def caller(self, connection: Any) -> str | None:
        return None


class SharedHost:
    """One host."""

    def __init__(self, hosts: "SharedHosts", number: int, set_aside: Sequence[Address] = ()) -> None:
        self.number = number
        self.address = f"h{number}"
        self.chance = random.Random(f"{hosts.seed}.{number}")
        self.link = ShakyLink(self.chance)
        instruments = Instruments(chance=self.chance.randbytes)
        self.store = MemoryClusterStore(hosts.database, link=self.link, instruments=instruments)
        self.membership = LeasedMembership(
            self.store,
            lambda: HostCard("machine", self.address, f"boot/{number}/1", "0", 1, 1),
            endpoint_of=lambda row: MemoryEndpoint(row.card.address),
            tell=lambda to, gifts: self.peers.tell(name_of_id(to), TAKE, gifts),
            gone=lambda place: False,
            newcomer_s=0.5,
        )
        self.peers = Peers(self.membership, counter_vocabulary(), NamelessTransport(hosts.network, self.address))
        self.peers.answer(TAKE, self.membership.told)
        self.counters = CounterType()
        self.notes = FlightNotes(self.store)
        self.notes.types = frozenset(("counter",))
        self.gone: list[Gone] = []
        self.host = Host(
            self.store,
            LoopClock(),
            types={"counter": self.counters},
            routes={},
            name=self.address,
            limits=HostLimits(activations_max=20),
            peers=self.peers,
            precautions=Precautions(
                sharing=Sharing(source=self.membership, notes=self.notes, gone=self.gone.append),
                set_aside=set_aside,
                instruments=instruments,
            ),
        )
        self._network = hosts.network
        self._scope = anyio.CancelScope()
        self.killed = False
        self._stop = anyio.Event()
        self.over = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run until stopped or killed."""
        try:
            with self._scope:
                await self.host.open()
                async with self.host.running():
                    task_status.started()
                    await self._stop.wait()
        finally:
            self.over.set()

    async def stop(self) -> None:
        """Leave, and end."""
        await self.membership.leave(20)
        await anyio.sleep(1)  # as the engine does: until all hosts have been notified
        self._stop.set()
        await self.over.wait()

    def kill(self) -> None:
        """End it as `kill -9` would: it does nothing more, and its rows stay."""
        self.store.abandon()
        self._network.kill(self.address)
        self.killed = True
        self._scope.cancel()

    @property
    def running(self) -> bool:
        return not self.over.is_set() and not self._scope.cancel_called


class SharedHosts:
    """All hosts of a database."""

    def __init__(self, tasks: TaskGroup, *, seed: int = 0, shards: int = SHARDS) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.database = MemoryDatabase(shards=shards)
        self.network = MemoryNetwork(delay_s=0.001)
        self.hosts: list[SharedHost] = []
        self.out: set[SharedHost] = set()  # to which clients send nothing
        self._tasks = tasks

    @property
    def running(self) -> Sequence[SharedHost]:
        return [each for each in self.hosts if each.running]

    async def add(self, *, set_aside: Sequence[Address] = ()) -> SharedHost:
        host = SharedHost(self, len(self.hosts), set_aside)
        self.hosts.append(host)
        await self._tasks.start(host.run)
        return host

    def owner_of(self, address: Address) -> SharedHost:
        """The host that has an actor, by its row."""
        shard = self.hosts[0].host.placement.shard_of(address)
        return next(each for each in self.running if each.store.host == self.database.owners[shard].host)

    def counter_at(self, host: SharedHost, name: str = "c") -> Address:
        """A counter that a host owns."""
        found = (counter(f"{name}-{number}") for number in range(10_000))
        return next(each for each in found if self.owner_of(each) is host)

    async def settled(self, within_s: float = 30.0, *, even: bool = False) -> None:
        """Wait until every shard is open at the host that its row names."""
        with anyio.fail_after(within_s):
            while not (self._is_settled() and (not even or self._is_even())):
                await anyio.sleep(0.05)

    def _is_settled(self) -> bool:
        rows = {row.shard: (row.host, row.epoch) for row in self.database.owners.values()}
        found = {}
        for each in self.running:
            gate = each.host._gate
            assert gate is not None
            for shard in each.host.placement.owned:
                if shard not in gate.opening and shard not in gate.closed:
                    found[shard] = (each.store.host, each.host.placement.epoch(shard))
        return found == rows and not any(each.host._mailroom.unrecovered for each in self.running)

    def _is_even(self) -> bool:
        counts = [len(each.host.placement.owned) for each in self.running]
        return max(counts) - min(counts) <= 1


@asynccontextmanager
async def shared_hosts(count: int = 2, *, seed: int = 0, shards: int = SHARDS) -> AsyncIterator[SharedHosts]:
    """Hosts that have shared out the shards among them. At the end, check that only owners have committed."""
    async with anyio.create_task_group() as tasks:
        hosts = SharedHosts(tasks, seed=seed, shards=shards)
        for _ in range(count):
            await hosts.add()
        await hosts.settled(even=True)
        yield hosts
        assert hosts.database.broken == []
        for host in hosts.running:
            host.kill()


class Load:
    """Clients that add to counters through any host, and record the answers."""

    def __init__(self, hosts: SharedHosts, *, counters: int = 30) -> None:
        self.hosts = hosts
        self.counters = [counter(f"load-{number}") for number in range(counters)]
        self.acknowledged = dict.fromkeys(self.counters, 0)
        self.uncertain = dict.fromkeys(self.counters, 0)
        self.errors: list[PerdureError] = []  # of additions with an unknown outcome
        self.refused: list[PerdureError] = []  # of additions that were not carried out
        self.slowest_s = 0.0
        self._on = True

    async def client(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Add one after another, until stopped."""
        task_status.started()
        chance = self.hosts.chance
        while self._on:
            await anyio.sleep(chance.uniform(0, 0.02))
            if not (running := [each for each in self.hosts.running if each not in self.hosts.out]):
                continue
            address, through = chance.choice(self.counters), chance.choice(running)
            began_s = anyio.current_time()
            try:
                await through.host.ask(address, Add(1))
            except (HostLost, HostSilent, StoreUncertain, StoreFailed) as error:
                self.uncertain[address] += 1
                self.errors.append(error)
            except PerdureError as error:
                if through.killed:
                    self.uncertain[address] += 1
                else:
                    self.refused.append(error)
            else:
                self.acknowledged[address] += 1
                self.slowest_s = max(self.slowest_s, anyio.current_time() - began_s)

    def end(self) -> None:
        self._on = False

    async def check(self) -> None:
        """Check that each acknowledged addition is there once, and no addition that was never requested."""
        through = self.hosts.running[0].host
        for address in self.counters:
            total = await through.ask(address, Read()) or 0
            least, most = self.acknowledged[address], self.acknowledged[address] + self.uncertain[address]
            assert least <= total <= most, (address, least, total, most)
            stored = await through.read(address)
            assert stored is None or len(stored.entries) <= total
        assert sum(self.acknowledged.values()) > 0


@asynccontextmanager
async def load_on(hosts: SharedHosts, *, clients: int = 20) -> AsyncIterator[Load]:
    """Put hosts under load until the block ends, and then check the results."""
    load = Load(hosts)
    async with anyio.create_task_group() as tasks:
        for _ in range(clients):
            await tasks.start(load.client)
        yield load
        load.end()
    await hosts.settled()
    await load.check()
