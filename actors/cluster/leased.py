"""The leased membership: a host among others that share a store; hosts come and go.

The rule: the rows decide (`actors/store/cluster.py`), and this host follows them. It serves while its last answered
beat is younger than UNCERTAIN_S. When it finds that its row was deleted, it drops all actors in memory and joins again
under a new id. It judges others by its own beats only (`actors/cluster/leases/judging.py`), and takes and gives shards
by the plan (`actors/cluster/leases/plan.py`).

    joining ──> serving <──> uncertain          no beat was answered recently: callers wait
                   │             │
                   ├─────────────┴──> dead ──> joining
                   └──> leaving                 gives its shards away, and takes none

Three tasks run in each life. The heart beats (`actors/store/presence/heart.py`). The watch looks at the outcome of the
beats, and decides whether this host lives and serves; it never waits for the store. The work takes and gives shards in
the store (`actors/cluster/leases/work.py`).

The engine makes it for a shared store, and gives it a keeper of shards (`actors/cluster/keeper.py`).
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from math import inf

import anyio
from anyio.abc import TaskStatus

from ..store.cluster import Cluster, HostCard, HostRow, HostState
from ..store.part import Part
from ..store.presence.beats import Heartbeat
from ..store.presence.place import is_gone
from .keeper import ShardKeeper
from .leases.judging import Rejoining
from .leases.life import HostLife
from .leases.patience import patiently
from .leases.seen import ClusterSeen, Gift, HostSeen, LeaseTally, Standing
from .leases.work import NEWCOMER_S, GiverWords, LeaseWork
from .membership import name_of_id
from .transport.endpoint import Endpoint, TcpEndpoint

logger = logging.getLogger(__name__)

TICK_S = 0.1  # between two looks at the beats
HEARTLESS_TICKS = 50  # after this many without a beat, answered or failed, the heart has stopped
UNCERTAIN_S = 1.5  # a host whose last answered beat is older than this answers nothing from memory
LEAVE_S = 20.0


class LeasedMembership:
    """One of the hosts that share a store.

    Args:
        card: Returns the facts that this host reports of itself; called each time that it joins.
        endpoint_of: The endpoint of another host.
        tell: Notifies another host of shards that were given to it. The message may be lost: the rows show the same.
        gone: Whether the process at a place has certainly ended.
        stuck_after_s: A host whose event loop stands still for longer stops beating.
        newcomer_s: How long a host has to live before the others give it shards.
    """

    part: Part | None = None  # all hosts share one store

    def __init__(
        self,
        cluster: Cluster,
        card: Callable[[], HostCard],
        *,
        endpoint_of: Callable[[HostRow], Endpoint] = lambda row: TcpEndpoint(row.host, row.card.address),
        tell: Callable[[int, Sequence[Gift]], None] = lambda to, gifts: None,
        gone: Callable[[str], bool] = is_gone,
        stuck_after_s: float = inf,
        newcomer_s: float = NEWCOMER_S,
    ) -> None:
        self.standing = Standing.JOINING
        self.lives = 0  # how many lives have begun
        self._cluster = cluster
        self._card = card
        self._endpoint_of = endpoint_of
        self._tell = tell
        self.lend: Callable[[Gift], Awaitable[None]] = _lend_nothing  # reports activities that go on for a shard
        self._gone = gone
        self._stuck_after_s = stuck_after_s
        self._newcomer_s = newcomer_s
        self._watchers: list[Callable[[], None]] = []
        self._rejoining = Rejoining()
        self._leaving = False
        self._settled = anyio.Event()  # set once this host leaves and has no shard left to give
        self._keeper: ShardKeeper | None = None
        self._tally = LeaseTally()
        self._started = False
        self._life = HostLife(0, name_of_id, self._tally)

    # For the wire: the other hosts.

    @property
    def me(self) -> str:
        """The name of this host; it changes with each life."""
        return name_of_id(self._life.me)

    @property
    def timeline(self) -> str:
        """The server of the database, as this host's beats have seen it; "" before the first beat."""
        return self._life.timeline

    def others(self) -> Mapping[str, Endpoint]:
        """Name -> endpoint of all other living hosts."""
        return {
            name_of_id(row.host): self._endpoint_of(row)
            for row in self._life.rows.values()
            if row.host != self._life.me
        }

    def has_app(self, name: str, app_id: str) -> bool:
        """Whether another living host has an app. A host that names no app has the first app of the store."""
        life = self._life
        row = next((row for row in life.rows.values() if name_of_id(row.host) == name), None)
        if row is None:
            return False
        return app_id in row.card.apps or (not row.card.apps and (life.apps or {}).get(app_id, 0) == 0)

    def watch(self, changed: Callable[[], None]) -> None:
        """Call a function each time that this host gets another name, or other hosts come or go.

        It is called before the change has any effect.
        """
        self._watchers.append(changed)

    def reached(self, name: str, there: bool) -> None:
        """Take note that a verified connection to another host was made or lost."""
        life = self._life
        for host in life.rows:
            if name_of_id(host) == name and host != life.me:
                if there:
                    life.unreached.pop(host, None)
                else:
                    life.unreached.setdefault(host, anyio.current_time())

    def refused(self, name: str) -> None:
        """Take note that the process of a host has certainly ended: a connection to its address is refused."""
        life = self._life
        for host in life.rows:
            if name_of_id(host) == name and host != life.me:
                life.gone.setdefault(host, set())
                life.wake.set()

    def told(self, gifts: Sequence[Gift]) -> None:
        """Take note that another host has given shards to this one."""
        life = self._life
        if self._keeper is None or self.standing in (Standing.JOINING, Standing.DEAD):
            return
        for gift in gifts:
            if gift.to == life.me and life.table.own(gift.shard, gift.epoch):
                life.lent.pop(gift.shard, None)  # the gift has the same jobs
                self._cluster.adopt({gift.shard: gift.epoch})
                self._keeper.opened({gift.shard: gift.epoch}, gift.jobs)

    def lent(self, gift: Gift) -> None:
        """Take note of the activities that go on for the actors of a shard that this host is about to get."""
        if gift.to == self._life.me:
            self._life.lent[gift.shard] = gift

    # For the host.

    @property
    def may_answer(self) -> bool:
        """Whether this host may answer from memory now; correct even if the event loop has stood still."""
        return self._lives() and anyio.current_time() - self._cluster.heart.sent_at < UNCERTAIN_S

    @property
    def apart(self) -> Collection[str]:
        """The names of living hosts that are cut off from this one."""
        return [name_of_id(host) for host in self._life.apart]

    @property
    def alone(self) -> bool:
        """Whether no other host has the store."""
        return len(self._life.rows) <= 1

    def seen(self) -> ClusterSeen:
        """All hosts and shards, as this host sees them."""
        life = self._life
        owners = life.table.owners
        counts: dict[int, int] = {}
        for owner in owners.values():
            if owner is not None:
                counts[owner] = counts.get(owner, 0) + 1
        hosts = [
            HostSeen(
                host, name_of_id(host), row.card, row.state, counts.get(host, 0),
                life.numbers.get(host), life.beats.silent_s(host), host == life.me,
            )
            for host, row in sorted(life.rows.items())
        ]  # fmt: skip
        tally = self._tally
        return ClusterSeen(
            self.me, self.standing, hosts, len(owners), len(life.table.free), tally.killed, self.lives,
            tally.taken, tally.given, anyio.current_time() - self._cluster.heart.sent_at if self.lives else None,
        )  # fmt: skip

    async def run(self, keeper: ShardKeeper, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Be a host until cancelled; a life that ends is followed by another.

        It has started once this host has joined and taken the shards that were free. Its row stays until the store is
        closed, because commits may still be under way.

        Raises:
            StoreError: It could not join for its first life.
        """
        self._keeper = keeper
        self._begin(await self._cluster.join(self._card(), self._named), keeper)
        while not self._leaving or self._lives():
            await self._live(keeper, task_status)
            if not self._leaving:
                await self._begin_again(keeper)
        self._settled.set()
        await anyio.sleep_forever()

    async def leave(self, within_s: float = LEAVE_S) -> None:
        """Give all shards to other hosts, and take no more; return when all are given, or after `within_s`.

        Returns at once if no other host takes shards.
        """
        self._leaving = True
        with anyio.move_on_after(within_s):
            await patiently(lambda: self._cluster.set_state(HostState.LEAVING), while_=self._lives)
            if self._lives():
                self.standing = Standing.LEAVING
                self._life.stale = True
                self._life.wake.set()
                await self._settled.wait()

    # Lives.

    def _lives(self) -> bool:
        return self.standing not in (Standing.JOINING, Standing.DEAD) and self._cluster.alive

    def _named(self, me: int) -> None:
        """Use the name of the next life: others may call by it before this host knows that it has joined."""
        self._life = HostLife(me, name_of_id, self._tally)
        self._changed()

    def _begin(self, me: int, keeper: ShardKeeper, *, resumed: bool = False) -> None:
        if resumed or self._life.me != me:
            self._life = HostLife(me, name_of_id, self._tally)
        self._life.resumed = resumed
        self._cluster.heart.stuck_after_s = self._stuck_after_s
        self.lives += 1
        self.standing = Standing.SERVING
        self._changed()
        keeper.set_serving(True)

    async def _live(self, keeper: ShardKeeper, task_status: TaskStatus[None]) -> None:
        """Live one life."""
        life = self._life
        work = LeaseWork(
            self._cluster,
            keeper,
            life,
            name_of=name_of_id,
            lives=lambda: self._life is life and self._lives(),
            changed=self._changed,
            words=GiverWords(self._tell, self.lend),
            newcomer_s=self._newcomer_s,
        )
        async with anyio.create_task_group() as group:
            life.scope = group.cancel_scope
            group.start_soon(self._cluster.heart.run)
            group.start_soon(self._keep_watch, keeper)
            group.start_soon(self._keep_working, work, task_status)

    async def _begin_again(self, keeper: ShardKeeper) -> None:
        """Begin another life, as soon as this host can join the store."""
        if self._life.may_resume and await patiently(self._cluster.resume):
            self._begin(self._life.me, keeper, resumed=True)
            return
        away_s = self._rejoining.killed(anyio.current_time())
        if away_s:
            logger.warning("this host was found dead several times: it joins again in %.0f s", away_s)
        await anyio.sleep(away_s)
        self.standing = Standing.JOINING
        me = await patiently(lambda: self._cluster.join(self._card(), self._named))
        assert me is not None
        self._begin(me, keeper)
        logger.warning("this host goes on as %s", self.me)

    def _die(self, keeper: ShardKeeper, why: str) -> None:
        """End this life: the actors in memory are void."""
        if self.standing is not Standing.DEAD:
            self.standing = Standing.DEAD
            logger.warning("%s is at its end: %s", self.me, why)
            self._cluster.heart.stop()
            keeper.set_serving(False)
            self._life.rows = {}
            self._changed()
            keeper.abandon()
            if self._life.scope is not None:
                self._life.scope.cancel()

    def _changed(self) -> None:
        for watcher in self._watchers:
            watcher()

    # The watch. It waits only for time.

    async def _keep_watch(self, keeper: ShardKeeper) -> None:
        life, heart, serving, silent = self._life, self._cluster.heart, True, 0
        while True:
            now = anyio.current_time()
            heart.tick(now)
            beats = heart.drain()
            for beat in beats:
                self._hear(life, beat, keeper)
            # Counted in ticks and not timed: in a process that was stopped, the heart has not beaten either.
            silent = 0 if beats else silent + 1
            if silent > HEARTLESS_TICKS:
                life.may_resume = True
                self._die(keeper, "its heart has stopped")
            if not self._cluster.alive:
                life.may_resume = True
                self._die(keeper, "its row is gone, or its server is another one")
            if self.standing is Standing.DEAD:
                return
            if serving is not self.may_answer:
                serving = not serving
                if self.standing is not Standing.LEAVING:
                    self.standing = Standing.SERVING if serving else Standing.UNCERTAIN
                keeper.set_serving(serving)
            if life.has_work(now, self._cluster.shards):
                life.wake.set()
            await anyio.sleep(TICK_S)

    def _hear(self, life: HostLife, beat: Heartbeat, keeper: ShardKeeper) -> None:
        """Take in one beat of this host."""
        life.beats.heard(beat)
        if beat.beats is None:
            return
        found = beat.beats
        if not life.timeline and found.timeline:
            life.timeline = found.timeline
            self._changed()  # connections of other hosts may wait for this
        if not found.alive:
            self._die(keeper, "another host has found it dead")
        elif found.timeline != life.timeline:
            life.may_resume = True
            self._die(keeper, "its server is another one, and may not have all that was committed")
        life.numbers = found.seen
        if found.seen.keys() != life.rows.keys() or found.version != life.version:
            life.version, life.stale = found.version, True
        for host, row in life.rows.items():
            if host != life.me and host not in life.gone and self._gone(row.card.place):
                life.gone[host] = set()

    # The work. It waits for the store.

    async def _keep_working(self, work: LeaseWork, task_status: TaskStatus[None]) -> None:
        life = self._life
        while True:
            await patiently(work.do, while_=self._lives)
            if not self._started:
                self._started = True
                task_status.started()
            if self._leaving and work.nothing_left_to_give:
                self._settled.set()
            if not self._lives() or anyio.current_time() < life.gives_at:  # otherwise: give more at once
                await life.wake.wait()


async def _lend_nothing(gift: Gift) -> None:
    """Report nothing: the next owner begins activities anew that go on here."""
