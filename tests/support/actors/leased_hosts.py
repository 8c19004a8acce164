"""Hosts of a leased membership on one database in memory, with a keeper of shards that only commits.

Each host commits for its open shards all the time, so that the database sees at once when two hosts own one shard
(`broken`), and its log shows the order of their commits. The calls of keepers are checked for the order that
`ShardKeeper` promises.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from functools import cache

import anyio
from anyio.abc import TaskGroup

from perdure.actors.address import Address, shard_of
from perdure.actors.cluster.leased import LeasedMembership
from perdure.actors.cluster.leases.plan import plan
from perdure.actors.cluster.leases.seen import Gift
from perdure.actors.cluster.placement import Ownership
from perdure.actors.instruments import Instruments
from perdure.actors.store.cluster import FORMAT_MAX, HostCard, HostState
from perdure.actors.store.contract import Stored, Write
from perdure.actors.store.errors import StoreError, StoreFailed, StoreUncertain
from perdure.actors.store.memory_cluster import MemoryClusterStore, MemoryDatabase

from .cluster_stores import ClusterStore

SHARDS = 12
TURN_S = 0.05


@cache
def addresses(shards: int) -> Mapping[int, Address]:
    """An actor of each shard."""
    found: dict[int, Address] = {}
    for number in range(100 * shards):
        found.setdefault(shard_of(str(number), shards), Address("a", str(number)))
    assert len(found) == shards
    return found


class ShakyLink:
    """A link to the database that can be slow, cut, or lose answers."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.delay_s = 0.002
        self.away = False
        self.loses = 0.0  # this share of the answers
        self.patience_s = 5.0

    async def there(self, what: str) -> None:
        await anyio.sleep(self._chance.uniform(0, 2 * self.delay_s))
        until = anyio.current_time() + self.patience_s
        while self.away:
            await anyio.sleep(0.02)
            if anyio.current_time() > until:
                raise StoreFailed("the database is away")

    async def back(self, what: str) -> None:
        await anyio.sleep(self._chance.uniform(0, self.delay_s))
        if self.away or self._chance.random() < self.loses:
            raise StoreUncertain(what, "the answer was lost")


class CountingKeeper:
    """Commits for its open shards, again and again: the epoch of the shard, as an entry of its actor."""

    def __init__(self, store: ClusterStore, shards: int) -> None:
        self.store = store
        self.open: dict[int, int] = {}  # shard -> epoch
        self.closed: dict[int, int] = {}
        self.others: dict[int, Ownership | None] = {}
        self.serving = False
        self.abandoned = 0
        self.wrong: list[str] = []
        self.given_away = 0
        self.took_over = 0
        self.lost: set[int] = set()
        self.commits = 0
        self._addresses = addresses(shards)
        self._under_way: set[int] = set()
        self.jobs: dict[int, Sequence[bytes]] = {}

    # As a keeper of shards.

    def rings(self, rings: Mapping[str, int]) -> None:
        """It serves the first one."""

    def opened(
        self, epochs: Mapping[int, int], jobs: Sequence[bytes] = (), *, lost: Collection[int] = frozenset()
    ) -> None:
        self.lost.update(lost)
        for shard, epoch in epochs.items():
            known = self.open.get(shard, self.closed.get(shard, 0))
            self._require(epoch > known, f"shard {shard} was opened at {epoch}, after {known}")
            self.closed.pop(shard, None)
            self.others.pop(shard, None)
            self.open[shard] = epoch
            self.jobs[shard] = jobs
            self.took_over += 1

    async def close(self, shard: int) -> Sequence[bytes]:
        self._require(shard in self.open or shard in self.closed, f"shard {shard} was closed, and is not here")
        if shard in self.open:
            self.closed[shard] = self.open.pop(shard)
        while shard in self._under_way:
            await anyio.sleep(0.001)
        return [b"job of %d" % shard]

    def reopened(self, shard: int) -> None:
        self._require(shard in self.closed, f"shard {shard} was reopened, and was not closed")
        self.open[shard] = self.closed.pop(shard)

    def given(self, shard: int, owner: Ownership) -> None:
        self._require(shard in self.closed, f"shard {shard} was given, and was not closed")
        self._require(owner.epoch > self.closed.pop(shard, 0), f"shard {shard} was given at an old epoch")
        self.others[shard] = owner
        self.given_away += 1

    def moved(self, owners: Mapping[int, Ownership | None]) -> None:
        for shard, owner in owners.items():
            self._require(shard not in self.closed, f"shard {shard} has moved while it was closed")
            self._require(shard not in self.open, f"shard {shard} has moved while it was open")
            known = self.others.get(shard)
            self._require(
                owner is None or known is None or owner.epoch >= known.epoch, f"shard {shard} has moved back to {owner}"
            )
            self.others[shard] = owner

    def set_serving(self, serving: bool) -> None:
        self.serving = serving

    def abandon(self) -> None:
        self.open, self.closed, self.others = {}, {}, {}
        self.abandoned += 1

    def _require(self, fact: bool, otherwise: str) -> None:
        if not fact:
            self.wrong.append(otherwise)

    # Its work.

    async def run(self, membership: LeasedMembership, chance: random.Random) -> None:
        keys: dict[int, int] = {}
        known: dict[int, int] = {}  # shard -> the epoch at which its key was read
        while True:
            await anyio.sleep(chance.uniform(0, 2 * TURN_S))
            if not (self.serving and membership.may_answer and self.open):
                continue
            shard = chance.choice(sorted(self.open))
            epoch, address = self.open[shard], self._addresses[shard]
            self._under_way.add(shard)
            try:
                if known.get(shard) != epoch:
                    keys.pop(shard, None)
                known[shard] = epoch
                if shard not in keys:
                    (stored,) = await self.store.load([address])
                    keys[shard] = stored.key if isinstance(stored, Stored) else self.store.new_key()
                write = Write(key=keys[shard], address=address, shard=shard, at_us=1, record=b"r", entry=b"%d" % epoch)
                if self.open.get(shard, self.closed.get(shard)) == epoch:
                    await self.store.commit([write], {shard: epoch})
                self.commits += 1
            except StoreError:
                keys.pop(shard, None)
            finally:
                self._under_way.discard(shard)


class LeasedHost:
    """One host. It may be killed, and started again as another."""

    def __init__(self, cluster: "LeasedHosts", number: int) -> None:
        self.number = number
        self._cluster = cluster
        self.chance = random.Random(cluster.chance.random())
        self.link = ShakyLink(self.chance)
        instruments = Instruments(chance=self.chance.randbytes)
        self.store = MemoryClusterStore(cluster.database, link=self.link, instruments=instruments)
        self.keeper = CountingKeeper(self.store, cluster.database.contents.shards)
        self.membership = LeasedMembership(
            self.store,
            lambda: HostCard("machine", f"10.0.0.{number}:1", f"boot/{number}/1", "0", 1, 1, cluster.format_max),
            tell=cluster.tell,
            gone=lambda place: False,
            newcomer_s=cluster.newcomer_s,
        )
        self.others: list[set[str]] = []  # at each change
        self.membership.watch(lambda: self.others.append(set(self.membership.others())))
        self.running = False
        self._scope: anyio.CancelScope | None = None

    async def start(self, group: TaskGroup) -> None:
        await self.store.open()
        await group.start(self._run)
        self.running = True

    async def _run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with anyio.create_task_group() as group:
            self._scope = group.cancel_scope
            await group.start(self.membership.run, self.keeper)
            group.start_soon(self.keeper.run, self.membership, self.chance)
            task_status.started()

    def kill(self) -> None:
        """End it as `kill -9` would: it does nothing more, and its rows stay."""
        assert self._scope is not None
        self.running = False
        self.store.abandon()
        self._scope.cancel()

    async def stop(self) -> None:
        await self.membership.leave()
        assert self._scope is not None
        self.running = False
        self._scope.cancel()
        await self.store.close()


class LeasedHosts:
    """All hosts of a database.

    Args:
        seed: Of all random choices.
        loses_takes: The share of the messages about given shards that are lost.
    """

    def __init__(
        self, seed: int = 0, *, shards: int = SHARDS, newcomer_s: float = 1.0, loses_takes: float = 0.0
    ) -> None:
        self.chance = random.Random(seed)
        self.database = MemoryDatabase(shards=shards)
        self.newcomer_s = newcomer_s
        self.format_max = FORMAT_MAX  # that later hosts read
        self.hosts: list[LeasedHost] = []
        self._loses_takes = loses_takes

    @property
    def running(self) -> Sequence[LeasedHost]:
        return [host for host in self.hosts if host.running]

    async def add(self, group: TaskGroup) -> LeasedHost:
        host = LeasedHost(self, len(self.hosts))
        self.hosts.append(host)
        await host.start(group)
        return host

    def tell(self, to: int, gifts: Sequence[Gift]) -> None:
        if self.chance.random() >= self._loses_takes:
            for host in self.running:
                if host.store.host == to:
                    host.membership.told(gifts)

    # Conditions that must hold.

    def require_safe(self) -> None:
        """Check that no two hosts have owned a shard at once, and that keepers were called in an allowed order."""
        assert self.database.broken == []
        for host in self.hosts:
            assert host.keeper.wrong == [], f"host {host.number}"
        for log in self.logs().values():
            assert log == sorted(log), "two owners have written in turns"

    def logs(self) -> Mapping[Address, Sequence[int]]:
        """The epochs of all commits, by actor, in the order of the commits."""
        contents = vars(self.database.contents)
        return {
            address: [int(entry) for _, entry in contents["_logs"].get(key, ())]
            for address, key in contents["_keys"].items()
        }

    def settled(self) -> bool:
        """Whether each shard is open at the host that its row names, at that epoch, and nowhere else."""
        there = {shard: (row.host, row.epoch) for shard, row in self.database.owners.items()}
        open_ = [
            (shard, (host.store.host, epoch))
            for host in self.running
            if host.keeper.serving
            for shard, epoch in host.keeper.open.items()
        ]
        return sorted(open_) == sorted(there.items())

    def even(self) -> bool:
        """Whether no shard has to move."""
        owners = {shard: row.host for shard, row in self.database.owners.items()}
        states: dict[int, HostState] = {host: each.row.state for host, each in self.database.hosts.items()}
        return plan(owners, states, self.database.cuts) == {}

    async def wait_settled(self, within_s: float, *, even: bool = False) -> float:
        """Wait until each shard is owned, and return the time that it took."""
        began = anyio.current_time()
        while not (self.settled() and (self.even() or not even)):
            self.require_safe()
            assert anyio.current_time() - began < within_s, f"after {within_s} s: {self.picture()}"
            await anyio.sleep(0.02)
        return anyio.current_time() - began

    def picture(self) -> str:
        """The present state, for the text of a failure."""
        lines = [f"owners: {[(row.shard, row.host, row.epoch) for row in self.database.owners.values()]}"]
        lines += [
            f"{host.number}: {host.store.host} running={host.running} {host.membership.standing} "
            f"open={host.keeper.open} closed={host.keeper.closed} in rows={host.store.host in self.database.hosts}"
            for host in self.hosts
        ]
        return "\n".join(lines)
