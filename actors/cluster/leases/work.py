"""The work of a host at a shared store: killing dead hosts, reading owners of shards, taking and giving shards.

The rule: one step follows the other, so that the host's knowledge does not change during a step. A step that fails is
abandoned, and the next round reads the rows again. Reports from other hosts (`told`) may come at any time: the higher
epoch counts.

`actors/cluster/leased.py` runs it, once for each life.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from math import inf
from typing import NamedTuple

import anyio

from ...store.cluster import Cluster, HostRow, HostState
from ...store.errors import StoreError, StoreTakenOver
from ...store.presence.apps import AppNames, ring_named
from ..keeper import ShardKeeper
from .life import HostLife
from .patience import patiently
from .plan import having, plan_apps, takers_of
from .seen import Gift

logger = logging.getLogger(__name__)

ANYONE_S = 1.0  # a free shard that its planned owner has not taken for this time may be taken by any host
NEWCOMER_S = 10.0  # a host gets no shards from the others before it has lived for this time
GIVEN_AT_ONCE, LEFT_AT_ONCE = 4, 16  # shards given at a time by a host that stays, and by a host that leaves


class GiverWords(NamedTuple):
    """The two messages of a host to another host about shards. Both may be lost."""

    tell: Callable[[int, Sequence[Gift]], None]  # shards were given to it
    lend: Callable[[Gift], Awaitable[None]]  # activities that go on for the actors of a shard that it is about to get


class LeaseWork:
    """The work of one life.

    Args:
        name_of: Makes the name of a host from its id.
        lives: Whether this life goes on.
        changed: Called when other hosts have come or gone, before the change has any effect.
        words: Its messages to other hosts.
        newcomer_s: How long a host has to live before the others give it shards.
    """

    def __init__(
        self,
        cluster: Cluster,
        keeper: ShardKeeper,
        life: HostLife,
        *,
        name_of: Callable[[int], str],
        lives: Callable[[], bool],
        changed: Callable[[], None],
        words: GiverWords,
        newcomer_s: float = NEWCOMER_S,
    ) -> None:
        self._cluster = cluster
        self._keeper = keeper
        self._life = life
        self._name_of = name_of
        self._lives = lives
        self._changed = changed
        self._words = words
        self._newcomer_s = newcomer_s

    async def do(self) -> None:
        """Do the steps that are due.

        Raises:
            StoreError: A step was left undone; the next round finds it again.
        """
        await self._kill_the_dead()
        if self._life.resumed:
            await self._take_up_again()
        if self._life.stale:
            await self._read()
            await self._raise_format()
        await self._tell_cuts()
        await self._take()
        await self._give()

    async def _kill_the_dead(self) -> None:
        life = self._life
        for host, beat in {**life.beats.dead(anyio.current_time()), **life.said_to_be_gone()}.items():
            life.tried(host, beat)
            life.stale = True
            row = life.rows.get(host)
            if row is not None and await self._cluster.kill(host, beat):
                life.tally.killed += 1
                logger.warning("%s on %s is dead: its shards are taken", self._name_of(host), row.card.name)

    async def _take_up_again(self) -> None:
        """After a failover to a server that may lack commits, open this host's shards anew from that server's rows."""
        rows = await self._cluster.owners()
        self._own(await self._cluster.take([(s, epoch) for s, host, epoch in rows if host == self._life.me]))
        self._life.resumed = False

    async def _read(self) -> None:
        """Read the living hosts and the owners of shards, and act on them."""
        self._life.stale = False
        try:
            # The owners are read first: an owner that is not among the hosts read later is dead.
            owners = await self._cluster.owners()
            hosts = {row.host: row for row in await self._cluster.hosts()}
            cuts = await self._cluster.cuts()
        except StoreError:
            self._life.stale = True
            raise
        now = anyio.current_time()
        if self._life.me not in hosts:
            raise StoreTakenOver(self._name_of(self._life.me), "another host has found this one dead", rejoins=True)
        await self._learn_apps(hosts.values())
        changed = hosts.keys() != self._life.rows.keys() or cuts != self._life.cuts
        self._life.cuts = cuts
        self._life.know(hosts, now)
        if changed:
            self._changed()  # connections to dead hosts are closed before their shards are taken
        changes = self._life.table.read(owners, hosts.keys(), now)
        if changes.mine:
            self._cluster.adopt(changes.mine)
            self._keeper.opened(changes.mine, self._life.jobs_for(changes.mine), lost=self._life.lost(changes.mine))
        if moved := {**changes.given, **changes.moved}:
            self._keeper.moved(moved)

    async def _learn_apps(self, rows: Collection[HostRow]) -> None:
        """Read the apps of the store, if these hosts have an app that this host does not know."""
        known = self._life.apps
        if known is not None and all(app in known for row in rows for app in row.card.apps):
            return
        try:
            apps = self._life.apps = await self._cluster.enter_apps(AppNames())
        except StoreError:
            self._life.stale = True
            raise
        if len(apps) > 1:
            self._keeper.rings({ring_named(app, apps): number for app, number in apps.items()})

    async def _raise_format(self) -> None:
        """Let all hosts write the newest format that each of them reads."""
        known = min(row.card.format_max for row in self._life.rows.values())
        if known > self._cluster.format and await self._cluster.raise_format(known) >= known:
            logger.info("hosts write format %d from now on; a release that does not know it cannot join", known)

    async def _tell_cuts(self) -> None:
        now = anyio.current_time()
        told = {peer for host, peer in self._life.cuts if host == self._life.me}
        wanted = self._life.cut_off(now)
        for peer in told ^ wanted:
            await self._cluster.set_cut(peer, cut=peer in wanted)
            self._life.stale = True

    async def _take(self) -> None:
        """Take the shards without an owner that the plan gives to this host."""
        life = self._life
        free = life.free_for_me(self._cluster.shards)
        if not free:
            return
        now = anyio.current_time()
        moves = self._moves()
        may = {number: life.me in self._takers(number) for number in life.numbers_of.get(life.me, ())}
        wanted = [
            (shard, epoch)
            for shard, (epoch, since) in free.items()
            if may[shard // self._cluster.shards] and (moves.get(shard) == life.me or now - since >= ANYONE_S)
        ]
        if wanted:
            self._life.stale = True  # until the outcome of the takes is known
            # Kept in case the answer is lost and the rows show the takes. A host that leaves in order leaves its shards
            # unowned.
            life.takes = {s: epoch + 1 for s, epoch in wanted if life.table.row(s).host is not None}
            taken = await self._cluster.take(wanted)
            self._life.tally.taken += len(taken)
            self._own(taken)
            self._life.stale = len(taken) < len(wanted)

    def _own(self, epochs: Mapping[int, int]) -> None:
        if mine := {shard: epoch for shard, epoch in epochs.items() if self._life.table.own(shard, epoch)}:
            self._keeper.opened(mine, lost=self._life.lost(mine))

    @property
    def nothing_left_to_give(self) -> bool:
        """Whether all hosts know that this host leaves, and no other host takes shards from it."""
        state = self._life.states.get(self._life.me)
        return state is HostState.LEAVING and not self._life.stale and not self._gifts()

    def _gifts(self) -> dict[int, tuple[int, float]]:
        """Shard of this host that another host should own -> that host, and from when on it may be given."""
        life = self._life
        stays = {number: life.me in self._takers(number) for number in life.numbers_of.get(life.me, ())}
        return {
            shard: (to, life.since[to] + self._newcomer_s if stays.get(shard // self._cluster.shards) else -inf)
            for shard, to in self._moves().items()
            if shard in life.table.mine
        }

    def _moves(self) -> Mapping[int, int]:
        """The plan, from this host's view of the rows."""
        life = self._life
        apps, shards = life.numbers_of, self._cluster.shards
        return plan_apps(life.table.owners, life.states, life.cuts, apps=apps, shards=shards)

    def _takers(self, number: int) -> Collection[int]:
        """The hosts that own shards of an app."""
        life = self._life
        return takers_of(having(number, life.states, life.numbers_of), life.cuts)

    async def _give(self) -> None:
        """Give some of the shards that another host should own."""
        leaving = self._life.states.get(self._life.me) is HostState.LEAVING
        at_once = LEFT_AT_ONCE if leaving else GIVEN_AT_ONCE
        gifts = sorted(self._gifts().items(), key=lambda gift: gift[1][1])
        now = anyio.current_time()
        due = [(shard, to) for shard, (to, at) in gifts if at <= now][:at_once]
        self._life.gives_at = gifts[len(due)][1][1] if len(due) < len(gifts) else inf
        async with anyio.create_task_group() as group:
            for shard, to in due:
                group.start_soon(self._give_one, shard, to)

    async def _give_one(self, shard: int, to: int) -> None:
        epoch = self._life.table.mine[shard]
        jobs = await patiently(lambda: self._keeper.close(shard), while_=self._lives)
        if jobs is None:
            return
        if jobs:
            # Before the row changes: a new owner that reads the row first must not begin activities that go on.
            await self._words.lend(Gift(to, shard, epoch + 1, jobs))
        try:
            given = await self._cluster.give(shard, to, epoch)
        except StoreError as error:
            logger.debug("shard %d stays closed until its row can be read: %s", shard, error)
            given = None
        if given is not None:
            self._gave(Gift(to, shard, given, jobs))
        else:
            await patiently(lambda: self._look_at(shard, Gift(to, shard, epoch + 1, jobs)), while_=self._lives)

    async def _look_at(self, shard: int, gift: Gift) -> None:
        """Find out the owner of a closed shard from its row."""
        row = next(row for row in await self._cluster.owners() if row.shard == shard)
        self._life.stale = True
        if row.host == self._life.me and row.epoch < gift.epoch:
            self._keeper.reopened(shard)
        elif (row.host, row.epoch) == (gift.to, gift.epoch):
            self._gave(gift)
        else:
            # The shard has moved on since, and its present owner knows it.
            self._keeper.given(shard, self._life.table.gave(shard, gift.to, gift.epoch))

    def _gave(self, gift: Gift) -> None:
        if self._life.table.mine.get(gift.shard, gift.epoch) < gift.epoch:  # else the shard has come back
            self._life.tally.given += 1
            self._keeper.given(gift.shard, self._life.table.gave(gift.shard, gift.to, gift.epoch))
            self._words.tell(gift.to, [gift])
