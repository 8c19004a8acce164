"""Shards come and go between hosts that share a store: nothing is lost, nothing is doubled, callers wait."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.cluster.leases.seen import Gift
from perdure.actors.turn import RECOVER, SetAside
from perdure.testing.virtual_time import LoopClock, run_virtually

from ....support.actors.counter_actor import Add, Read, Remind, Tell, Work, counter
from ....support.actors.shared_hosts import SharedHost, SharedHosts, load_on, shared_hosts

# Two in each run of the suite, and many in the long one.
SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 20))]


def story(tell: Callable[[SharedHosts], Awaitable[None]], count: int = 2, *, seed: int = 0) -> None:
    """Run a test of hosts that share a store, in virtual time."""

    async def told() -> None:
        with anyio.fail_after(200):
            async with shared_hosts(count, seed=seed) as hosts:
                await tell(hosts)

    run_virtually(told)


def test_any_host_takes_any_message() -> None:
    async def tell(hosts: SharedHosts) -> None:
        one, two = hosts.hosts
        for address in (hosts.counter_at(one), hosts.counter_at(two)):
            assert await one.host.ask(address, Add(1)) == 1
            assert await two.host.ask(address, Add(1)) == 2
            for each in hosts.hosts:
                inspection = await each.host.inspect(address)
                assert inspection is not None
                assert inspection.record == b"2"
                stored = await each.host.read(address)
                assert stored is not None
                assert stored.entries == (b"+1", b"+1")

    story(tell)


def test_a_reminder_is_fired_once_by_the_owner_of_its_shard_when_it_is_due() -> None:
    async def tell(hosts: SharedHosts) -> None:
        # Given reminders of actors of two hosts, near and far,
        now_us = LoopClock().now_us()
        due = {counter(f"r{number}"): now_us + 1_000_000 * number for number in range(40)}
        for address, due_us in due.items():
            await hosts.hosts[0].host.ask(address, Remind("ring", due_us))
        # when their shards move, and a host dies,
        await anyio.sleep(5)
        await hosts.add()
        await anyio.sleep(10)
        hosts.hosts[1].kill()
        await anyio.sleep(60)
        # then each has fired, at its time or, if its shard had no owner then, soon after.
        came = [(*each, host.number) for host in hosts.hosts for each in host.counters.reminded]
        assert {each[0] for each in came} == {address.id for address in due}
        for name, _, due_us, at_us, _ in came:
            assert due_us <= at_us < due_us + 5_000_000, name
        # A turn whose commit did not happen before the kill may be taken again; nothing else happens twice.
        assert len(came) <= len(due) + 2
        for address in due:
            stored = await hosts.hosts[0].host.read(address)
            assert stored is not None
        assert await hosts.hosts[0].store.reminders(after=None, limit=99) == []

    story(tell)


def test_what_had_work_in_flight_recovers_before_it_gets_a_message() -> None:
    async def tell(hosts: SharedHosts) -> None:
        one, two = hosts.hosts
        address = hosts.counter_at(one)
        await one.host.ask(address, Work(True))
        one.kill()
        await hosts.settled()
        assert await two.host.ask(address, Add(1)) == 1
        first = next(bodies for turned, bodies in two.counters.turns if turned == address)
        assert first[0] is RECOVER

    story(tell)


def test_a_host_that_ends_before_it_has_given_all_refuses_no_caller_of_another_host() -> None:
    async def tell(hosts: SharedHosts) -> None:
        # Given a host that stops and has given no shard away,
        one, two = hosts.hosts
        shard_of = one.host.placement.shard_of
        address = hosts.counter_at(one)
        closed = next(c for n in range(99) if shard_of(c := hosts.counter_at(one, f"c{n}")) != shard_of(address))
        await one.host.ask(address, Add(1))
        one.link.delay_s = 1.0  # its last commits take a while
        assert one.host._gate is not None
        one.host._gate.closed.add(shard_of(closed))
        one.host._gate.settle()
        answers: list[int] = []

        async def ask(of: Address) -> None:
            answers.append(await two.host.ask(of, Add(1)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.host.ask, address, Add(1))
            tasks.start_soon(ask, closed)  # and waits there
            await anyio.sleep(0.1)
            one._stop.set()
            await anyio.sleep(0.1)
            assert one.running
            # when others ask it, then their callers wait for the host that takes its shards.
            tasks.start_soon(ask, address)
        assert sorted(answers) == [1, 3]

    story(tell)


@pytest.mark.parametrize("how", ["given", "killed", "given and killed", "cut off"])
def test_who_watches_an_actor_hears_of_its_changes_wherever_its_shard_goes(how: str) -> None:
    async def tell(hosts: SharedHosts) -> None:
        # Given a watcher at each of three hosts,
        address = hosts.counter_at(hosts.hosts[0])
        await hosts.hosts[0].host.ask(address, Add(1))
        seen: dict[int, int] = {}

        async def watch(host: SharedHost) -> None:
            with host.host.watch(address) as watch:
                while host.running:
                    watch.lost = False
                    inspection = await host.host.inspect(address)
                    assert inspection is not None
                    seen[host.number] = int(inspection.record)
                    while not watch.lost:
                        await watch.changed()
                        if watch.record is not None:
                            seen[host.number] = int(watch.record)

        async with anyio.create_task_group() as tasks:
            for each in hosts.hosts[1:]:
                tasks.start_soon(watch, each)
            await anyio.sleep(0.1)
            assert set(seen.values()) == {1}
            # when the shard moves,
            if "given" in how:
                tasks.start_soon(hosts.hosts[0].stop)
                await anyio.sleep(3)
            if how == "killed":
                hosts.hosts[0].kill()
            if how == "given and killed":
                owner = hosts.owner_of(address)
                owner.kill()
            if how == "cut off":
                hosts.hosts[0].link.away = True
                await anyio.sleep(5)
            else:
                await hosts.settled()
            # then both soon see the changes of the actor at its new owner.
            through = hosts.running[-1]
            assert await through.host.ask(address, Add(1)) == 2
            await anyio.sleep(2)
            living = [each.number for each in hosts.running if each.number > 0]
            assert {seen[number] for number in living} == {2}
            hosts.hosts[0].link.away = False
            assert await through.host.ask(address, Add(1)) == 3
            await anyio.sleep(2)
            assert {seen[number] for number in living} == {3}
            tasks.cancel_scope.cancel()

    story(tell, 3)


def test_a_host_that_has_not_beaten_for_too_long_takes_no_turn_and_answers_nothing_from_memory() -> None:
    async def tell(hosts: SharedHosts) -> None:
        # Given a host that does not reach the database any more,
        host = hosts.hosts[0]
        address = hosts.counter_at(host)
        await host.host.ask(address, Add(1))
        host.link.away = True
        await anyio.sleep(1.7)
        turns = host.host.turns
        # when it is asked, then no answer comes back,
        with anyio.move_on_after(0.2) as asked:
            await host.host.ask(address, Read())
        assert asked.cancelled_caught
        with anyio.move_on_after(0.2) as looked:
            await host.host.inspect(address)
        assert looked.cancelled_caught
        assert host.host.turns == turns
        # and as soon as it reaches the database again it continues.
        host.link.away = False
        with anyio.fail_after(8):
            assert await host.host.ask(address, Add(1)) == 2

    story(tell, 1)


def test_an_actor_that_is_to_be_set_aside_is_set_aside_by_the_host_that_was_told_so_once_it_has_the_shard() -> None:
    async def tell(hosts: SharedHosts) -> None:
        # Given a host that was started with the request, and does not have the actor,
        address = hosts.counter_at(hosts.hosts[0])
        await hosts.hosts[0].host.ask(address, Work(True))
        later = await hosts.add(set_aside=[address])
        await hosts.settled(even=True)
        # when it gets the shard,
        for other in hosts.hosts[:2]:
            await other.stop()
        await hosts.settled()
        # then the request is the actor's first message there.
        assert [name for name, _ in later.counters.set_aside] == [address.id]
        assert isinstance(next(bodies for turned, bodies in later.counters.turns if turned == address)[0], SetAside)

    story(tell)


def test_a_caller_at_another_host_waits_while_the_database_is_away_as_one_at_the_owner_does() -> None:
    async def tell(hosts: SharedHosts) -> None:
        # Given a database that no host reaches for longer than the others wait for a silent host,
        one, two = hosts.hosts
        address = hosts.counter_at(one)
        for host in hosts.hosts:
            host.link.patience_s = 30
            host.link.away = True
        came: list[int] = []

        async def ask(through: SharedHost) -> None:
            came.append(await through.host.ask(address, Add(1)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, one)
            tasks.start_soon(ask, two)
            await anyio.sleep(12)
            assert came == []
            # when it is back, then both callers get their answers.
            for host in hosts.hosts:
                host.link.away = False
        assert sorted(came) == [1, 2]

    story(tell)


def test_a_shard_that_comes_back_before_its_giver_has_heard_that_it_was_given_is_begun_anew() -> None:
    async def tell(hosts: SharedHosts) -> None:
        # Given a shard that is being given, with a message that waits for it,
        (host,) = hosts.hosts
        address = hosts.counter_at(host)
        assert await host.host.ask(address, Add(1)) == 1
        shard = host.host.placement.shard_of(address)
        keeper = host.host._shards
        assert keeper is not None
        await keeper.close(shard)
        came: list[int] = []

        async def ask() -> None:
            came.append(await host.host.ask(address, Add(1)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.sleep(0.1)
            assert came == []
            # when it has gone to another host and is back, without news in between,
            row = hosts.database.owners[shard]
            hosts.database.owners[shard] = row._replace(epoch=row.epoch + 2)
            host.membership.told([Gift(host.store.host, shard, row.epoch + 2, ())])
        # then the message is taken by an actor that was read from the store, under the new epoch.
        assert came == [2]
        assert host.counters.activated.count(address.id) >= 1
        assert host.host.placement.epoch(shard) == row.epoch + 2

    story(tell, 1)


def test_what_an_actor_has_sent_to_a_host_that_cannot_be_reached_goes_to_the_next_owner_while_that_host_lives() -> None:
    async def tell(hosts: SharedHosts) -> None:
        # Given a message of an actor to a host behind a cut link,
        one, two, _ = hosts.hosts
        sender, receiver = hosts.counter_at(one, "sender"), hosts.counter_at(two, "receiver")
        hosts.network.cut(one.address, two.address)
        await one.host.ask(sender, Tell(receiver, Add(5)))
        await anyio.sleep(0.2)
        # when that host gives its shards away, and is still there,
        await two.membership.leave(20)
        await anyio.sleep(1)
        assert two.running
        # then the message is with the new owner.
        assert await hosts.owner_of(receiver).host.ask(receiver, Read()) == 5

    story(tell, 3)


# Under load.


@pytest.mark.untraced
def test_a_host_that_joins_gets_shards_without_a_caller_noticing() -> None:
    async def tell(hosts: SharedHosts) -> None:
        async with load_on(hosts) as load:
            await anyio.sleep(1)
            await hosts.add()
            await hosts.settled(even=True)
            await anyio.sleep(1)
        assert load.refused == []
        assert not any(load.uncertain.values())
        assert len(hosts.hosts[2].host.placement.owned) in (2, 3)
        assert load.slowest_s < 0.5

    story(tell)


def test_hosts_that_are_restarted_one_after_the_other_cause_no_error_at_all() -> None:
    async def tell(hosts: SharedHosts) -> None:
        async with load_on(hosts) as load:
            for old in list(hosts.hosts):
                await hosts.add()
                await hosts.settled()
                # As a balancer would, send no more requests to a host that leaves.
                hosts.out.add(old)
                await anyio.sleep(0.5)
                await old.stop()
                await hosts.settled()
        assert load.refused == []
        assert load.errors == []

    story(tell)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_host_that_is_killed_loses_nothing_that_was_acknowledged(seed: int) -> None:
    async def tell(hosts: SharedHosts) -> None:
        async with load_on(hosts) as load:
            for _ in range(3):
                await anyio.sleep(hosts.chance.uniform(0.1, 1))
                hosts.chance.choice(hosts.running).kill()
                await hosts.settled(within_s=10)
                await hosts.add()
        assert load.refused == []
        assert sum(load.uncertain.values()) < 3 * 30

    story(tell, 3, seed=seed)


@pytest.mark.untraced
@pytest.mark.parametrize("seed", SEEDS)
def test_a_host_that_is_cut_off_from_the_database_goes_on_under_another_name(seed: int) -> None:
    async def tell(hosts: SharedHosts) -> None:
        host = hosts.hosts[0]
        name = host.membership.me
        async with load_on(hosts):
            await anyio.sleep(0.5)
            host.link.away = True
            await anyio.sleep(hosts.chance.uniform(3, 7))
            host.link.away = False
            await anyio.sleep(5)
            await hosts.settled()
        assert host.membership.me != name
        assert any(gone.dead for gone in host.gone)
        assert host.host.placement.owned

    story(tell, 3, seed=seed)


@pytest.mark.untraced
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_befalls_hosts_and_links_all_that_was_acknowledged_is_there_once(seed: int) -> None:
    async def befall(hosts: SharedHosts) -> None:
        chance, host = hosts.chance, hosts.chance.choice(hosts.running)
        match chance.choice(["kill", "away", "short", "cut", "reset", "join", "leave"]):
            case "kill" if len(hosts.running) > 1:
                host.kill()
                await hosts.add()
            case "away" | "short" as how:
                host.link.away = True
                await anyio.sleep(chance.uniform(2, 5) if how == "away" else chance.uniform(0.1, 1.4))
                host.link.away = False
            case "cut" if len(hosts.running) > 1:
                one, other = chance.sample(list(hosts.running), 2)
                hosts.network.cut(one.address, other.address, one_way=chance.random() < 0.5)
                await anyio.sleep(chance.uniform(0.1, 2))
                hosts.network.heal(one.address, other.address)
            case "reset" if len(hosts.running) > 1:
                one, other = chance.sample(list(hosts.running), 2)
                hosts.network.close(one.address, other.address)
            case "join" if len(hosts.running) < 4:
                await hosts.add()
            case "leave" if len(hosts.running) > 2:
                hosts.out.add(host)
                await host.stop()

    async def tell(hosts: SharedHosts) -> None:
        async with load_on(hosts):
            for _ in range(12):
                await anyio.sleep(hosts.chance.uniform(0, 1))
                await befall(hosts)
            await anyio.sleep(6)

    story(tell, 3, seed=seed)
