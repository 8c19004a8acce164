"""The same on a real server: kills, a frozen host, a host whose loop is held up, a database that is away.

Short, and in real time; `test_leased.py` has the schedules.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import TaskGroup

from perdure.actors.address import Address, shard_of
from perdure.actors.cluster.leased import LeasedMembership
from perdure.actors.cluster.leases.seen import Gift, Standing
from perdure.actors.store.cluster import HostCard
from perdure.actors.store.contract import Item, Stored, Write
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.postgres.cluster_store import PostgresClusterStore
from perdure.actors.store.postgres.driver import DatabaseSession, Lost, Refused

from ...support.actors.leased_hosts import CountingKeeper, addresses
from ...support.actors.stores import ServerOf, emptied
from ...support.postgres import PostgresServer, installed

pytestmark = pytest.mark.anyio

NEWEST = max(installed(), default=0)
SHARDS = 8


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Hosts:
    """Hosts of one database, in this event loop; each with a heart in its own thread."""

    def __init__(self, url: str, group: TaskGroup) -> None:
        self.url = url
        self.all: list[PgHost] = []
        self.told: list[Gift] = []
        self._group = group

    async def add(self, *, newcomer_s: float = 0.5) -> "PgHost":
        host = PgHost(self, len(self.all), newcomer_s)
        self.all.append(host)
        await host.store.open()
        await self._group.start(host.run)
        return host

    @property
    def running(self) -> "list[PgHost]":
        return [host for host in self.all if host.running]

    def tell(self, to: int, gifts: Sequence[Gift]) -> None:
        self.told += gifts
        for host in self.all:
            if host.store.host == to:
                host.membership.told(gifts)

    async def wait_for(self, fact: Callable[[], bool], *, within_s: float) -> float:
        began = anyio.current_time()
        while not fact():
            assert anyio.current_time() - began < within_s, [
                (host.membership.seen(), host.keeper.open) for host in self.running
            ]
            await anyio.sleep(0.02)
        return anyio.current_time() - began

    def all_open(self) -> bool:
        return sorted(shard for host in self.running for shard in host.keeper.open) == list(range(SHARDS))

    def even(self) -> bool:
        sizes = [len(host.keeper.open) for host in self.running]
        return self.all_open() and max(sizes) - min(sizes) <= 1

    async def require_order(self) -> None:
        """Check in the log that no two owners have written alternately, and that all entries were written."""
        store = self.running[0].store
        committed = sum(host.keeper.commits for host in self.all)  # before the look: hosts go on writing
        written = 0
        for stored in await store.load(list(addresses(SHARDS).values())):
            if isinstance(stored, Stored):
                epochs = [int(entry) for entry in stored.entries]
                assert epochs == sorted(epochs)
                written += len(epochs)
        assert written >= committed
        assert [host.keeper.wrong for host in self.all] == [[]] * len(self.all)


class PgHost:
    def __init__(self, hosts: Hosts, number: int, newcomer_s: float) -> None:
        self.store = PostgresClusterStore(hosts.url, shards=SHARDS, patience_s=5)
        self.keeper = CountingKeeper(self.store, SHARDS)
        self.membership = LeasedMembership(
            self.store,
            lambda: HostCard("machine", f"10.0.0.{number}:1", f"boot/{number}/1", "0", 1, 1),
            tell=hosts.tell,
            gone=lambda place: False,
            newcomer_s=newcomer_s,
        )
        self.running = False
        self._scope = anyio.CancelScope()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        try:
            with self._scope:
                async with anyio.create_task_group() as group:
                    await group.start(self.membership.run, self.keeper)
                    group.start_soon(self.keeper.run, self.membership, random.Random(1))
                    self.running = True
                    task_status.started()
        finally:
            with anyio.CancelScope(shield=True):
                await self.store.close()

    def kill(self) -> None:
        """End it; its row stays, because its sessions are cut off before it can leave."""
        self.running = False
        self.store.heart.stop()
        presence = self.store._presence
        assert presence is not None
        presence.finish("it was killed")
        self._scope.cancel()


@pytest.fixture
async def hosts(postgres_server: ServerOf) -> AsyncIterator[Hosts]:
    url = await emptied(postgres_server(NEWEST), schema=f"conformance_{SHARDS}")
    async with anyio.create_task_group() as group:
        yield Hosts(url, group)
        group.cancel_scope.cancel()


async def test_hosts_share_take_over_and_leave(hosts: Hosts) -> None:
    # The first has all; a second one gets half; a third one a third.
    first = await hosts.add()
    assert len(first.keeper.open) == SHARDS
    second, third = await hosts.add(), await hosts.add()
    await hosts.wait_for(hosts.even, within_s=10)
    # One host is killed: its shards are served again within five seconds.
    took_s = []
    for _ in range(2):
        third.kill()
        took_s.append(await hosts.wait_for(hosts.all_open, within_s=5))
        third = await hosts.add()
        await hosts.wait_for(hosts.even, within_s=10)
    assert min(took_s) > 1  # nothing told sooner than its beat
    # A host that leaves gives all its shards, and each has an owner meanwhile.
    began = anyio.current_time()
    await second.membership.leave()
    assert anyio.current_time() - began < 3
    assert not second.keeper.open
    await hosts.wait_for(lambda: second.membership.standing is Standing.LEAVING, within_s=1)
    second.running = False
    await hosts.wait_for(hosts.even, within_s=5)
    await hosts.require_order()
    seen = first.membership.seen()
    assert (seen.shards, seen.free, len(seen.hosts)) == (SHARDS, 0, 3)
    assert seen.killed + third.membership.seen().killed <= 2


async def test_a_host_whose_loop_is_held_up_for_three_seconds_lives_and_one_without_a_beat_joins_again(
    hosts: Hosts,
) -> None:
    one, other = await hosts.add(), await hosts.add()
    await hosts.wait_for(hosts.even, within_s=10)
    before = [host.store.host for host in hosts.all]
    # A turn that blocks the loop: all hosts of this process stop, and their hearts beat.
    time.sleep(3.2)  # noqa: ASYNC251
    assert one.membership.may_answer
    await anyio.sleep(1.0)
    assert [host.store.host for host in hosts.all] == before
    # A host whose heart stops is declared dead; it learns so from the fence, and continues under another id.
    other.store.heart.stop()
    await hosts.wait_for(lambda: other.keeper.abandoned == 1, within_s=8)
    await hosts.wait_for(lambda: other.store.host != before[1] and hosts.even(), within_s=10)
    assert one.store.host == before[0]
    await hosts.require_order()


@pytest.mark.parametrize("down_s", [2.0])
async def test_no_host_is_killed_while_the_server_is_down(own_server: PostgresServer, down_s: float) -> None:
    async with anyio.create_task_group() as group:
        hosts = Hosts(own_server.url(), group)
        for _ in range(3):
            await hosts.add()
        await hosts.wait_for(hosts.even, within_s=10)
        owners = {host.store.host: dict(host.keeper.open) for host in hosts.all}
        await asyncio.to_thread(own_server.crash)
        await anyio.sleep(down_s)
        assert all(not host.membership.may_answer for host in hosts.all)
        await asyncio.to_thread(own_server.start)
        before = sum(host.keeper.commits for host in hosts.all)
        serving = await hosts.wait_for(lambda: all(host.keeper.serving for host in hosts.all), within_s=5)
        await hosts.wait_for(lambda: sum(host.keeper.commits for host in hosts.all) > before + 5, within_s=5)
        assert serving < 5
        await anyio.sleep(3)
        # No host was killed, and no shard has moved.
        assert {host.store.host: dict(host.keeper.open) for host in hosts.all} == owners
        assert all(host.membership.seen().killed == 0 for host in hosts.all)
        await hosts.require_order()
        group.cancel_scope.cancel()


async def test_whatever_the_server_refuses_a_call_fails_as_a_store_does(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await hosts.add()
    store = host.store

    async def refused(*_: object) -> DatabaseSession:
        raise Refused("XX001", "invalid page in block 7")

    for lost in (Lost("cut"), Refused("53300", "too many clients"), Refused("XX001", "invalid page in block 7")):

        async def connect(purpose: str, lost: Exception = lost) -> DatabaseSession:
            raise lost

        monkeypatch.setattr(store, "_connect", connect)
        monkeypatch.setattr(store, "patience_s", 0.1)
        calls: Sequence[Callable[[], Awaitable[object]]] = (
            lambda: store.kill(7, 1),
            lambda: store.secret("name", lambda: b""),
            lambda: store.replace_secret("name", b""),
        )
        for call in calls:
            with pytest.raises(StoreFailed):
                await call()
    monkeypatch.setattr(store._opened().reader, "run", refused)
    for read in (store.hosts, store.owners, store.cuts):
        with pytest.raises(StoreFailed, match="invalid page"):
            await read()
    host.kill()


async def test_on_another_timeline_hosts_drop_all_and_take_the_same_shards_again(hosts: Hosts) -> None:
    one, other = await hosts.add(), await hosts.add()
    await hosts.wait_for(hosts.even, within_s=10)
    ids, owned = [host.store.host for host in hosts.all], [set(host.keeper.open) for host in hosts.all]
    epochs = {shard: epoch for host in hosts.all for shard, epoch in host.keeper.open.items()}
    # Given hosts that know another timeline than their server has now, as after a failover,
    for host in hosts.all:
        host.membership._life.timeline = "00000099"
    await hosts.wait_for(lambda: one.keeper.abandoned == other.keeper.abandoned == 1, within_s=3)
    await hosts.wait_for(hosts.all_open, within_s=5)
    # then each continues under its id, with its former shards, each under a new epoch.
    assert [host.store.host for host in hosts.all] == ids
    assert [set(host.keeper.open) for host in hosts.all] == owned
    now = {shard: epoch for host in hosts.all for shard, epoch in host.keeper.open.items()}
    assert all(now[shard] > epoch for shard, epoch in epochs.items())
    await hosts.require_order()


async def test_gifts_reach_their_new_owner_without_a_look_at_the_table(hosts: Hosts) -> None:
    await hosts.add(newcomer_s=0.0)
    # A newcomer whose table was read first is known without its lent jobs; then another one comes.
    for _ in range(4):
        newcomer = await hosts.add(newcomer_s=0.0)
        await hosts.wait_for(hosts.even, within_s=10)
        given, hosts.told = hosts.told, []
        assert len(given) >= SHARDS // len(hosts.all)
        if any(newcomer.keeper.jobs.get(gift.shard) == gift.jobs for gift in given):
            return
    pytest.fail("each newcomer has read all of its shards in the table")


async def test_after_a_failover_to_a_copy_hosts_go_on_with_the_same_shards_from_what_it_has(
    own_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with anyio.create_task_group() as group:
        hosts = Hosts(own_server.url(), group)
        for _ in range(2):
            await hosts.add()
        await hosts.wait_for(hosts.even, within_s=10)
        ids, owned = [host.store.host for host in hosts.all], [set(host.keeper.open) for host in hosts.all]
        epochs = {shard: epoch for host in hosts.all for shard, epoch in host.keeper.open.items()}
        # A server that comes back as a standby and is promoted begins a new timeline.
        await asyncio.to_thread(own_server.stop)
        (own_server.data / "standby.signal").touch()
        await asyncio.to_thread(own_server.start)
        await asyncio.to_thread(own_server.sql, "SELECT pg_promote()")
        await hosts.wait_for(lambda: all(host.keeper.abandoned for host in hosts.all), within_s=15)
        await hosts.wait_for(hosts.all_open, within_s=10)
        # No loss is reported, because there is none; no host was killed; each has its former shards, under a new epoch.
        assert not [each for each in caplog.records if getattr(each, "event", "") == "acknowledged_lost"]
        assert [host.store.host for host in hosts.all] == ids
        assert [set(host.keeper.open) for host in hosts.all] == owned
        assert all(host.membership.seen().killed == 0 for host in hosts.all)
        now = {shard: epoch for host in hosts.all for shard, epoch in host.keeper.open.items()}
        assert all(now[shard] > epoch for shard, epoch in epochs.items())
        before = sum(host.keeper.commits for host in hosts.all)
        await hosts.wait_for(lambda: sum(host.keeper.commits for host in hosts.all) > before + 5, within_s=5)
        await hosts.require_order()
        group.cancel_scope.cancel()


async def test_what_a_copy_lacks_of_what_was_acknowledged_is_told_by_count(
    own_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with anyio.create_task_group() as group:
        hosts = Hosts(own_server.url(schema="lagging"), group)
        for _ in range(2):
            await hosts.add()
        await hosts.wait_for(hosts.even, within_s=10)
        await hosts.wait_for(lambda: all(host.keeper.commits > SHARDS for host in hosts.all), within_s=10)
        # Given a copy without the work of the actors, made where no host reaches it,
        await asyncio.to_thread(own_server.stop)
        port, own_server.port = own_server.port, own_server.port + 1
        await asyncio.to_thread(own_server.start)
        await asyncio.to_thread(own_server.sql, "DELETE FROM lagging.log WHERE key > 0")
        await asyncio.to_thread(own_server.stop)
        own_server.port = port
        # when it takes over,
        (own_server.data / "standby.signal").touch()
        await asyncio.to_thread(own_server.start)
        await asyncio.to_thread(own_server.sql, "SELECT pg_promote()")
        await hosts.wait_for(lambda: all(host.keeper.abandoned for host in hosts.all), within_s=15)
        await hosts.wait_for(hosts.all_open, within_s=10)
        # then each host reports the number of its actors with losses.
        told = [vars(each) for each in caplog.records if getattr(each, "event", "") == "acknowledged_lost"]
        assert sum(each["found"] for each in told) == SHARDS
        assert {each["levelname"] for each in told} == {"CRITICAL"}
        group.cancel_scope.cancel()


@asynccontextmanager
async def one_host(server: PostgresServer) -> AsyncIterator[tuple[PostgresClusterStore, str]]:
    """The store of a host that has joined, and the schema."""
    schema = f"conformance_{SHARDS}"
    store = PostgresClusterStore(await emptied(server, schema=schema), shards=SHARDS, patience_s=5)
    await store.open()
    try:
        await store.join(HostCard("machine", "10.0.0.1:1", "boot/1/1", "0", 1, 1))
        yield store, schema
    finally:
        await store.close()


async def test_saved_values_that_a_copy_lacks_are_told_by_count(
    postgres_server: ServerOf, caplog: pytest.LogCaptureFixture
) -> None:
    server = postgres_server(NEWEST)
    async with one_host(server) as (store, schema):
        # Given a host that has saved values, one of them twice, and deleted one,
        address = Address("state", "cars")
        shard, key = shard_of(address.id, SHARDS), store.new_key()
        fences = await store.take([(shard, 0)])

        async def change(*items: tuple[str, Item | None]) -> None:
            write = Write(key=key, address=address, shard=shard, at_us=1, record=b"r", items=items)
            await store.commit([write], fences)

        saved = ("kept", "gone", "older", "deleted")
        await change(*((name, Item(b"v", version)) for version, name in enumerate(saved, 1)))
        await change(("older", Item(b"w", 5)), ("deleted", None))
        # when a server takes over that has only one of the values as acknowledged,
        for change_there in (
            "DELETE FROM {0} WHERE name = 'gone'",
            "UPDATE {0} SET version = 3 WHERE name = 'older'",
            "INSERT INTO {0} SELECT key, 'deleted', 4, 0, value FROM {0} WHERE name = 'kept'",
        ):
            await asyncio.to_thread(server.sql, change_there.format(f"{schema}.items"))
        assert await store.resume()
        # then the host reports that three differ from the acknowledged ones.
        [told] = [vars(each) for each in caplog.records if getattr(each, "event", "") == "acknowledged_lost"]
        assert (told["found"], store.doubts.acknowledged_lost) == (3, 3)


async def test_an_entry_is_not_lost_that_a_later_commit_without_an_answer_has_deleted(
    postgres_server: ServerOf, caplog: pytest.LogCaptureFixture
) -> None:
    server = postgres_server(NEWEST)
    async with one_host(server) as (store, schema):
        # Given a host that has acknowledged an entry of each of two actors,
        again, gone = store.new_key(), store.new_key()
        for id_, key in (("again", again), ("gone", gone)):
            shard = shard_of(id_, SHARDS)
            fences = await store.take([(shard, 0)])
            begun = Write(key=key, address=Address("order", id_), shard=shard, at_us=1, record=b"r", entry=b"e")
            await store.commit([begun], fences)
        # when a server takes over on which one actor has begun a new log, in a commit that the host does not know, and
        # which has no row of the other,
        log = f"{schema}.log"
        await asyncio.to_thread(server.sql, f"UPDATE {log} SET position = position + 1 WHERE key = {again}")
        await asyncio.to_thread(server.sql, f"DELETE FROM {log} WHERE key = {gone}")
        assert await store.resume()
        # then the host reports that one entry is lost.
        [told] = [vars(each) for each in caplog.records if getattr(each, "event", "") == "acknowledged_lost"]
        assert told["found"] == 1
