"""Hosts that share one database of the stand-in, in virtual time: they are killed, stand still, and are cut off.

A host is what it is on PostgreSQL, from the membership to the driver; its keeper of shards does nothing but commit.
Each commit is looked at where the server does it: its host owns the shard, at the epoch that the commit was made for.
"""

import asyncio
import random
from collections.abc import Sequence
from functools import partial
from typing import Any

import anyio

from perdure.actors.cluster.leased import LeasedMembership
from perdure.actors.cluster.leases.seen import Gift
from perdure.actors.instruments import Instruments
from perdure.actors.store.cluster import HostCard
from perdure.actors.store.contract import Stored, Write
from perdure.actors.store.errors import StoreError, StoreUncertain
from perdure.actors.store.postgres.cluster_store import PostgresClusterStore
from perdure.actors.store.postgres.driver import Statement
from perdure.actors.store.postgres.log import EPOCH_SHIFT
from perdure.actors.store.postgres.statements import FENCE_ARGUMENTS, PARTS
from perdure.actors.store.tables.checksums import SEALED_BYTES
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.loop import SimLoop
from perdure.testing.simulation.machines.database.backend import Scene
from perdure.testing.simulation.machines.database.machine import URL, SimDatabase
from perdure.testing.simulation.machines.database.statements.committing import commit
from perdure.testing.simulation.machines.database.work import Waiting
from perdure.testing.simulation.orders import put_in_order
from perdure.testing.simulation.patches import patched

from .....support.actors.leased_hosts import TURN_S, CountingKeeper

SHARDS = 8
PATIENCE_S = 60.0
# How long something lasts; the first is no choice.
PAUSES_S = (0.0, 0.3, 1.2, 3.0, 8.0)
SILENCES_S = (0.0, 0.3, 1.5, 4.0, 9.0)
BEGINS_AGAIN_S = (0.2, 0.0, 2.0)


def innermost(error: BaseException | None) -> BaseException | None:
    """The first error within groups of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class NotOwned(Exception):
    """A commit was done for a shard that its host did not own at that epoch."""


class SharingKeeper(CountingKeeper):
    """Commits entries that are all different, and keeps what became of each."""

    def __init__(self, life: int, store: PostgresClusterStore, hosts: "SharingHosts") -> None:
        super().__init__(store, SHARDS)
        self._life = life
        self._hosts = hosts
        self._number = 0

    async def run(self, membership: LeasedMembership, chance: random.Random) -> None:
        while True:
            await anyio.sleep(chance.uniform(0, 2 * TURN_S))
            if self.serving and membership.may_answer and self.open:
                await self._commit(chance.choice(sorted(self.open)))

    async def _commit(self, shard: int) -> None:
        epoch, address = self.open[shard], self._addresses[shard]
        self._under_way.add(shard)
        try:
            (stored,) = await self.store.load([address])
            key = stored.key if isinstance(stored, Stored) else self.store.new_key()
            if self.open.get(shard) != epoch:
                return
            self._number += 1
            entry = b"%d/%d" % (self._life, self._number)
            write = Write(key=key, address=address, shard=shard, at_us=1, record=b"r", entry=entry)
            try:
                await self.store.commit([write], {shard: epoch})
                self._hosts.acknowledged.add(entry)
            except StoreUncertain:
                self._hosts.uncertain.add(entry)
            except StoreError:
                self._hosts.refused.add(entry)
        except StoreError:
            pass
        finally:
            self._under_way.discard(shard)


class SharingHost:
    """One life of a host."""

    def __init__(self, hosts: "SharingHosts", life: int) -> None:
        self.life = life
        self.chance = random.Random(life)
        self.link = hosts.database.link()
        instruments = Instruments(chance=self.chance.randbytes)
        self.store = PostgresClusterStore(URL, shards=SHARDS, patience_s=5, driver=self.link, instruments=instruments)
        self.keeper = SharingKeeper(life, self.store, hosts)
        self.membership = LeasedMembership(
            self.store,
            lambda: HostCard("machine", f"10.0.0.{life}:1", f"boot/{life}/1", "0", 1, 1),
            tell=hosts.tell,
            gone=lambda place: False,
            newcomer_s=1.0,
        )

    async def live(self) -> None:
        while True:
            try:
                await self.store.open()
                break
            except StoreError:
                await anyio.sleep(0.2)
        async with anyio.create_task_group() as group:
            await group.start(self.membership.run, self.keeper)
            group.start_soon(self.keeper.run, self.membership, self.chance)


class SharingHosts:
    """All hosts of a database, and what happens to them.

    Attributes:
        acknowledged, refused, uncertain: Entries, by what was said of their commits.
    """

    def __init__(self, choices: Choices, number: int) -> None:
        self.choices = choices
        self.number = number
        self.loop = SimLoop()  # type: ignore[abstract]  # without sockets, signals and processes
        put_in_order(self.loop, choices)
        self.database = SimDatabase(choices)
        self.database.core.functions = {**self.database.core.functions, "commit": self._commit}
        self.living: list[SharingHost] = []
        self.lives: list[SharingHost] = []
        self.acknowledged: set[bytes] = set()
        self.refused: set[bytes] = set()
        self.uncertain: set[bytes] = set()
        self.kills = 0
        self.failed: BaseException | None = None

    def run(self, *, for_s: float) -> None:
        """Let things happen for a while, then let all be well, and look that it is."""
        with patched():
            try:
                self.loop.run(self._story(for_s))
            finally:
                self.loop.close()

    async def _story(self, for_s: float) -> None:
        for _ in range(self.number):
            self.begin()
        self.database.begin()
        while self.loop.time() < for_s and self.failed is None:
            await asyncio.sleep(0.1)
            self._strike()
        self.choices.calmed = True
        await self.wait_well()
        await self._check_log()

    def begin(self) -> SharingHost:
        """Begin a life."""
        host = SharingHost(self, len(self.lives) + 1)
        self.lives.append(host)
        self.living.append(host)
        task = self.loop.create_task(host.live(), context=self.loop.in_life(host.life))
        task.add_done_callback(partial(self._left, host), context=self.loop.outside)
        return host

    def _left(self, host: SharingHost, task: "asyncio.Task[None]") -> None:
        """A host has ended by itself, as the database was away too long at its start. Another one begins."""
        if host in self.living:
            error = innermost(task.exception())
            if not isinstance(error, StoreError):
                self.failed = error
            self.kill(host)
            self.loop.call_later(1.0, self.begin, context=self.loop.outside)

    def kill(self, host: SharingHost) -> None:
        """End a host as kill -9 does."""
        self.kills += 1
        self.living.remove(host)
        self.loop.dead.add(host.life)
        host.link.abandon()

    def tell(self, to: int, gifts: Sequence[Gift]) -> None:
        """Carry gifts to a host, or lose them."""
        lost = self.choices.fault("gift.lost")
        for host in self.living:
            if not lost and host.store.host == to:
                context = self.loop.in_life(host.life)
                self.loop.call_later(0.001, host.membership.told, gifts, context=context)

    def _strike(self) -> None:
        fault = self.choices.fault
        for host in list(self.living):
            if fault("host.kill"):
                self.kill(host)
                pause_s = BEGINS_AGAIN_S[fault("host.begins", len(BEGINS_AGAIN_S))]
                self.loop.call_later(pause_s, self.begin, context=self.loop.outside)
            elif pause := fault("host.pause", len(PAUSES_S)):
                self.loop.hold(host.life)
                self.loop.call_later(PAUSES_S[pause], self.loop.go_on, host.life, context=self.loop.outside)
            if silence := fault("host.cut_off", len(SILENCES_S)):
                host.link.silence(SILENCES_S[silence])
            if deaf := fault("host.deaf", len(SILENCES_S)):
                host.link.silence(SILENCES_S[deaf], there=False)

    # What must be true.

    def _commit(self, scene: Scene, statement: Statement, *arguments: Any) -> Waiting[Any]:
        rows = yield from commit(scene, statement, *arguments)
        if rows and "log" in statement.parts:
            at = FENCE_ARGUMENTS + sum(len(PARTS[part][0]) for part in statement.parts[: statement.parts.index("log")])
            for key, position in zip(*arguments[at : at + 2], strict=True):
                self._require_owned(scene, arguments[0], key, position >> EPOCH_SHIFT)
        return rows

    def _require_owned(self, scene: Scene, host: int, key: int, epoch: int) -> None:
        """I1: a commit is of the owner of its shard."""
        actors, shards, work = scene.tables["actors"], scene.tables["shards"], scene.work
        actor = work.latest(actors, actors.keys[0], key)
        assert actor is not None
        owned = work.latest(shards, shards.keys[0], actor.row[actors.at["shard"]])
        assert owned is not None
        place = shards.getter("shard", "host", "epoch")(owned.row)
        if place[1:] != (host, epoch):
            self.failed = NotOwned(f"host {host} has committed at epoch {epoch} to a shard that is {place}")

    def well(self) -> bool:
        """Whether each shard is open at the host that its row names, at that epoch, and at no other."""
        tables = self.database.core.schemas.get("perdure")
        if tables is None:
            return False
        table = tables["shards"]
        place = table.getter("shard", "host", "epoch")
        rows = sorted(place(version.row) for version in table.all() if version.ender is None)
        open_ = [
            (shard, host.store.host, epoch)
            for host in self.living
            if host.keeper.serving
            for shard, epoch in host.keeper.open.items()
        ]
        counts = [len(host.keeper.open) for host in self.living]
        return sorted(open_) == rows and bool(rows) and max(counts) - min(counts) <= 1

    async def wait_well(self) -> None:
        """I4, I8: all is owned soon, and evenly."""
        until = self.loop.time() + PATIENCE_S
        while not self.well():
            if self.failed is not None:
                raise self.failed
            wrong = [each for host in self.lives for each in host.keeper.wrong]
            assert not wrong, wrong
            assert self.loop.time() < until, f"{PATIENCE_S} s after the faults shards are not where they are to be"
            await asyncio.sleep(0.1)

    async def _check_log(self) -> None:
        """I2, I3: what was acknowledged is there once, what was refused is not, and owners follow each other."""
        if self.failed is not None:
            raise self.failed
        rows = [version.row for version in self.database.core.schemas["perdure"]["log"].all()]
        entries = [bytes(entry[SEALED_BYTES:]) for key, _, _, entry in rows if key > 0]  # else it is a receipt
        found = set(entries)
        assert len(found) == len(entries), "an entry is there twice"
        assert not self.acknowledged - found, "what was acknowledged is not there"
        assert not self.refused & found, "what was refused is there"
