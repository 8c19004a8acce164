"""A shard has at most one owner at any moment, and soon a living one, through kills, partitions and a database that is
away.

All of it runs in virtual time, on hosts that commit for their shards all the time (`leased_hosts.py`).
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio.abc import TaskGroup

from perdure.actors.cluster.leased import UNCERTAIN_S
from perdure.actors.cluster.leases.judging import QUIET_S
from perdure.actors.cluster.leases.seen import Gift, Standing
from perdure.actors.cluster.membership import Membership, name_of_id
from perdure.actors.store.cluster import FORMAT_MAX
from perdure.actors.store.errors import StoreFailed, StoreTooNew
from perdure.actors.store.presence.beats import BEAT_S
from perdure.testing.virtual_time import run_virtually

from ...support.actors.leased_hosts import SHARDS, LeasedHost, LeasedHosts

pytestmark = pytest.mark.usefixtures("virtual_backend")

Story = Callable[[LeasedHosts, TaskGroup], Awaitable[None]]


def play(story: Story, cluster: LeasedHosts | None = None, *, hosts: int = 3) -> LeasedHosts:
    """Run a test of hosts that have joined one after the other and share the shards evenly."""
    cluster = cluster or LeasedHosts()

    async def run() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(hosts):
                await cluster.add(group)
            await cluster.wait_settled(20, even=True)
            await story(cluster, group)
            cluster.require_safe()
            group.cancel_scope.cancel()

    run_virtually(run)
    return cluster


def sizes(cluster: LeasedHosts) -> list[int]:
    return sorted(len(host.keeper.open) for host in cluster.running)


# Joining.


def test_the_first_host_has_all_shards_as_soon_as_it_has_started() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        (host,) = cluster.hosts
        assert len(host.keeper.open) == SHARDS
        assert host.membership.alone
        assert host.membership.may_answer

    play(story, hosts=1)


def test_hosts_that_come_get_their_share_and_nothing_is_written_by_two() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        assert sizes(cluster) == [4, 4, 4]
        # The lent jobs of a shard come along with it.
        jobs = {shard: jobs for host in cluster.hosts[1:] for shard, jobs in host.keeper.jobs.items()}
        assert jobs
        assert all(given in ([b"job of %d" % shard], ()) for shard, given in jobs.items())

    play(story)


def test_a_newcomer_gets_nothing_from_those_that_stay_before_it_has_lived_for_a_while() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        host = await cluster.add(group)
        await anyio.sleep(4.0)
        assert not host.keeper.open
        await cluster.wait_settled(3, even=True)
        assert sizes(cluster) == [6, 6]

    play(story, LeasedHosts(newcomer_s=5.0), hosts=1)


def test_a_host_knows_the_others_before_it_takes_anything_of_the_dead() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        host, other, dead = cluster.hosts
        names = {name_of_id(each.store.host) for each in (other, dead)}
        assert set(host.membership.others()) == names
        gone = name_of_id(dead.store.host)
        seen: list[tuple[bool, bool]] = []
        took = host.keeper.took_over
        host.membership.watch(lambda: seen.append((gone in host.membership.others(), host.keeper.took_over > took)))
        dead.kill()
        await cluster.wait_settled(10)
        # At the first change the dead host is gone, and no shard was taken yet.
        assert seen[0] == (False, False)

    play(story)


# Dying.


def test_the_shards_of_a_host_that_was_killed_go_on_within_five_seconds() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        for _ in range(5):
            cluster.chance.choice(cluster.running).kill()
            assert await cluster.wait_settled(5) >= 1.0
            await cluster.add(group)
            await cluster.wait_settled(10, even=True)
        found = [host.membership.seen() for host in cluster.hosts]
        assert sum(seen.killed for seen in found) == 5
        # The shards of the dead were taken, and newcomers were given their share.
        assert sum(seen.taken for seen in found) > SHARDS
        assert sum(seen.given for seen in found) > 0
        ages = [host.membership.seen().beat_age_s for host in cluster.running]
        assert all(age is not None and age < UNCERTAIN_S for age in ages)

    play(story)


def test_one_whose_process_has_certainly_ended_is_killed_at_once() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        host, dead, _ = cluster.hosts
        dead.kill()
        host.membership.refused(name_of_id(dead.store.host))
        assert await cluster.wait_settled(5) < 1.0

    play(story)


def test_a_hint_about_a_host_that_lives_costs_time_and_never_truth() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        host, wronged, _ = cluster.hosts
        for _ in range(100):
            host.membership.refused(wronged.membership.me)
            await anyio.sleep(cluster.chance.uniform(0.01, 0.3))
        await cluster.wait_settled(10)
        await cluster.wait_settled(60, even=True)
        assert wronged.keeper.serving

    play(story)


def test_a_host_that_is_cut_off_from_the_database_serves_nothing_and_joins_again_under_another_id() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        _, cut, _ = cluster.hosts
        before = cut.store.host
        cut.link.away = True
        began = anyio.current_time()
        while cut.membership.may_answer:
            await anyio.sleep(0.01)
        # It serves for no longer than a beat after its last answered beat.
        assert anyio.current_time() - began <= UNCERTAIN_S
        await anyio.sleep(0.2)
        assert not cut.keeper.serving
        assert cut.membership.standing is Standing.UNCERTAIN
        await anyio.sleep(8)
        assert cut.keeper.abandoned == 0  # the host does not know yet
        cut.link.away = False
        with anyio.fail_after(2):
            while cut.store.host == before:
                await anyio.sleep(0.01)
        await cluster.wait_settled(10, even=True)
        assert cut.keeper.abandoned == 1
        assert cut.store.host != before
        assert cut.membership.me == name_of_id(cut.store.host)
        assert cut.membership.standing is Standing.SERVING

    play(story)


def test_a_host_that_was_cut_off_for_a_second_keeps_all_it_has() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        before = {host.number: dict(host.keeper.open) for host in cluster.hosts}
        for _ in range(10):
            host = cluster.chance.choice(cluster.hosts)
            host.link.away = True
            await anyio.sleep(cluster.chance.uniform(0.1, 1.0))
            host.link.away = False
            await anyio.sleep(2)
        assert {host.number: dict(host.keeper.open) for host in cluster.hosts} == before
        assert all(host.keeper.abandoned == 0 for host in cluster.hosts)

    play(story)


# How long the database is away, and how much later it comes back for one host than for another. If it is back for one
# host before a beat has failed, it must not be away for longer for the others.
@pytest.mark.untraced
@pytest.mark.parametrize(
    ("down_s", "later_s"),
    [
        (1, 0.3),
        (2, 3),
        (3, 3),
        (10, 3),
        pytest.param(30, 3, marks=pytest.mark.slow),
        pytest.param(60, 3, marks=pytest.mark.slow),
    ],
)
def test_no_host_is_killed_while_the_database_is_away_and_nothing_moves(down_s: float, later_s: float) -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        before = dict(cluster.database.owners)
        for host in cluster.hosts:
            host.link.away = True
        await anyio.sleep(down_s)
        # It comes back for one host sooner than for another: the beats that one host sees then prove nothing.
        for host in cluster.hosts:
            host.link.away = False
            await anyio.sleep(later_s)
        await anyio.sleep(2 * QUIET_S)
        assert dict(cluster.database.owners) == before
        assert all(host.membership.seen().killed == 0 for host in cluster.hosts)
        assert all(host.keeper.abandoned == 0 for host in cluster.hosts)
        assert all(host.keeper.serving for host in cluster.hosts)
        cluster.chance.choice(cluster.running).kill()
        await cluster.wait_settled(5)

    play(story)


def test_who_is_found_dead_over_and_over_stays_away_for_a_while() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        _, host = cluster.hosts
        away = []
        for _ in range(4):
            lives = host.membership.lives
            cluster.database.delete(host.store.host)
            began = anyio.current_time()
            while host.membership.lives == lives:
                await anyio.sleep(0.05)
            away.append(anyio.current_time() - began)
            await anyio.sleep(2)
        assert max(away[:2]) < 2
        assert 10 <= away[2] < 12
        assert 20 <= away[3] < 22
        await cluster.wait_settled(10)

    play(story, hosts=2)


def test_a_host_whose_loop_stands_still_beats_no_more() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        (host,) = cluster.hosts
        heart = host.store.heart
        heart.stuck_after_s = 2.0
        row = cluster.database.hosts[host.store.host]
        await cluster.add(group)
        await anyio.sleep(2)
        heart.tick = lambda now: None  # type: ignore[method-assign]
        await anyio.sleep(2.0 + BEAT_S)
        beats = row.beat
        await anyio.sleep(5 * BEAT_S)
        assert row.beat == beats
        await cluster.wait_settled(5)

    play(story, hosts=1)


# Leaving.


def test_a_host_that_leaves_gives_all_and_is_done_soon() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        leaver = cluster.hosts[1]
        took = sum(host.keeper.took_over for host in cluster.hosts)
        began = anyio.current_time()
        await leaver.stop()
        assert anyio.current_time() - began < 2
        # No shard was without an owner: each went directly from host to host.
        assert leaver.keeper.given_away >= 4
        await cluster.wait_settled(0.1)
        assert sizes(cluster) == [6, 6]
        assert sum(host.keeper.took_over for host in cluster.hosts) == took + 4

    play(story, LeasedHosts(shards=12))


def test_a_thousand_shards_are_given_in_a_row_and_none_waits_for_the_next_look_at_the_beats() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        began = anyio.current_time()
        await cluster.hosts[0].membership.leave()
        assert anyio.current_time() - began < 3
        await cluster.wait_settled(1)

    play(story, LeasedHosts(shards=1024), hosts=2)


def test_the_last_host_leaves_at_once_and_its_shards_stay_its_own_until_it_closes() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        (host,) = cluster.hosts
        began = anyio.current_time()
        await host.membership.leave()
        assert anyio.current_time() - began < 0.5
        assert len(host.keeper.open) == SHARDS
        await anyio.sleep(1)
        await host.stop()
        assert cluster.database.hosts == {}

    play(story, hosts=1)


def test_when_all_leave_each_gets_to_its_end() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        began = anyio.current_time()
        async with anyio.create_task_group() as leaving:
            for host in cluster.hosts:
                leaving.start_soon(host.membership.leave)
        assert anyio.current_time() - began < 3

    play(story)


def test_a_host_that_cannot_give_leaves_when_its_time_is_over() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        leaver = cluster.hosts[1]
        leaver.link.away = True
        began = anyio.current_time()
        await leaver.membership.leave(within_s=3.0)
        assert anyio.current_time() - began == pytest.approx(3.0, abs=0.1)

    play(story)


def test_a_rolling_restart_leaves_no_shard_unowned() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        for host in list(cluster.hosts):
            await cluster.add(group)
            await host.stop()
            await cluster.wait_settled(0.5)
        await cluster.wait_settled(10, even=True)

    play(story)


# Giving.


def test_a_gift_whose_answer_is_lost_is_found_in_its_row() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        for host in cluster.hosts:
            host.link.loses = 0.2
        await cluster.add(group)
        await cluster.wait_settled(60, even=True)
        cluster.hosts[0].link.loses = 0.0
        await cluster.hosts[0].membership.leave(within_s=60)
        for host in cluster.hosts:
            host.link.loses = 0.0
        await cluster.wait_settled(20, even=True)

    for seed in range(5):
        play(story, LeasedHosts(seed))


def test_a_gift_of_which_the_new_owner_hears_nothing_is_found_in_its_row() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        assert sizes(cluster) == [4, 4, 4]

    play(story, LeasedHosts(loses_takes=1.0))


def test_a_gift_that_is_not_for_this_life_or_is_old_is_left_alone() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        host = cluster.hosts[0]
        before = dict(host.keeper.open)
        shard = next(iter(before))
        other = next(shard for shard in range(SHARDS) if shard not in before)
        me = host.store.host
        for gift in (Gift(me, shard, 1, ()), Gift(me + 1, other, 99, ()), Gift(me, other, 0, ())):
            host.membership.told([gift])
        assert host.keeper.open == before

    play(story)


# Cuts.


def test_of_two_hosts_that_cannot_reach_each_other_one_gives_all() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        one, other = cluster.hosts
        one.membership.reached(other.membership.me, False)
        other.membership.reached(one.membership.me, False)
        await anyio.sleep(2.9)
        assert cluster.database.cuts == set()
        await cluster.wait_settled(10)
        while sizes(cluster) != [0, SHARDS]:
            await anyio.sleep(0.1)
        await cluster.wait_settled(5)
        # The host with the lower id stays.
        stays = min(cluster.hosts, key=lambda host: host.store.host)
        assert len(stays.keeper.open) == SHARDS
        # When they reach each other again, they share.
        one.membership.reached(other.membership.me, True)
        other.membership.reached(one.membership.me, True)
        with anyio.fail_after(2):
            while cluster.database.cuts:
                await anyio.sleep(0.01)
        await cluster.wait_settled(10, even=True)
        assert sizes(cluster) == [6, 6]

    play(story, hosts=2)


def test_a_host_that_is_dead_is_not_cut_off() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        one, other, dead = cluster.hosts
        for host in (one, other):
            host.membership.reached(dead.membership.me, False)
        dead.kill()
        await cluster.wait_settled(5)
        assert cluster.database.cuts == set()
        assert sizes(cluster) == [6, 6]

    play(story)


# A server that has been replaced.


def test_on_a_server_that_was_promoted_hosts_drop_all_and_go_on_with_the_same_shards() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        ids = [host.store.host for host in cluster.hosts]
        copied = cluster.database.copy()
        await anyio.sleep(1.0)
        owners = {shard: row.host for shard, row in cluster.database.owners.items()}
        cluster.database.promote(copied)
        await cluster.wait_settled(5)
        while any(not host.keeper.abandoned for host in cluster.hosts):
            await anyio.sleep(0.05)
        await cluster.wait_settled(5)
        assert {shard: row.host for shard, row in cluster.database.owners.items()} == owners
        assert [host.store.host for host in cluster.hosts] == ids
        # Each has taken its own again, under a higher epoch.
        assert all(row.epoch > copied["owners"][shard].epoch for shard, row in cluster.database.owners.items())

    play(story)


def test_a_host_that_the_promoted_server_has_never_heard_of_joins_it() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        copied = cluster.database.copy()
        await cluster.add(group)
        await cluster.wait_settled(10, even=True)
        cluster.database.promote(copied)
        await anyio.sleep(1)
        await cluster.wait_settled(10, even=True)
        assert len(cluster.database.hosts) == 2
        assert sizes(cluster) == [6, 6]

    play(story, hosts=1)


# Changes that hosts see.


def test_a_host_tells_of_all_hosts() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        await anyio.sleep(2)
        seen = cluster.hosts[0].membership.seen()
        assert seen.me == cluster.hosts[0].membership.me
        assert (seen.standing, seen.shards, seen.free, seen.killed, seen.lives) == (Standing.SERVING, SHARDS, 0, 0, 1)
        assert Counter(each.shards for each in seen.hosts) == {4: 3}
        assert {each.host for each in seen.hosts} == {host.store.host for host in cluster.hosts}
        assert [each.card.address for each in seen.hosts if each.is_me] == ["10.0.0.0:1"]
        assert all(each.silent_s is not None and each.silent_s < 1 for each in seen.hosts if not each.is_me)
        assert all(each.beat is not None for each in seen.hosts)

    play(story)


def test_a_host_has_its_name_before_another_one_can_see_its_row() -> None:
    async def story() -> None:
        cluster = LeasedHosts()
        host = LeasedHost(cluster, 0)
        await host.store.open()
        host.link.delay_s = 2.0
        membership, names = host.membership, list[str]()
        membership.watch(lambda: names.append(membership.me))
        async with anyio.create_task_group() as group:
            group.start_soon(membership.run, host.keeper)
            while not cluster.database.hosts:
                await anyio.sleep(0.01)
            # It does not know yet that it has joined, and its callers find the host that the row names.
            (id_,) = cluster.database.hosts
            assert (membership.standing, names) == (Standing.JOINING, [name_of_id(id_)])
            group.cancel_scope.cancel()

    run_virtually(story)


def test_a_host_that_cannot_join_says_why() -> None:
    async def story() -> None:
        cluster = LeasedHosts()
        host = LeasedHost(cluster, 0)
        host.link.away, host.link.patience_s = True, 1.0
        await host.store.open()
        with pytest.raises(StoreFailed, match="away"):
            await host.membership.run(host.keeper)

    run_virtually(story)


# Many schedules.


@pytest.mark.untraced
@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 16))])
def test_any_schedule_of_kills_partitions_and_lost_answers_is_safe_and_ends(seed: int) -> None:
    cluster = LeasedHosts(seed, loses_takes=0.3)
    chance = random.Random(seed)

    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        for _ in range(12):
            await disturb(cluster, group, chance)
            await anyio.sleep(chance.expovariate(0.7))
            cluster.require_safe()
        mend(cluster)
        # Quiet: a host that judged no other because of its own beats does so again after a while.
        await anyio.sleep(QUIET_S)
        await cluster.wait_settled(5)
        with anyio.fail_after(180):  # a host that was often found dead is away for so long
            while not all(host.keeper.serving for host in cluster.running):
                await anyio.sleep(0.1)
        await cluster.wait_settled(20, even=True)

    play(story, cluster)


async def disturb(cluster: LeasedHosts, group: TaskGroup, chance: random.Random) -> None:
    """Disturb one host at random."""
    host = chance.choice(cluster.running)
    match chance.choice(["cut", "slow", "lose", "hint", "wrong", "mend", "all", "all", "all", "all"]):
        case "cut":
            host.link.away = True
        case "slow":
            host.link.delay_s = chance.choice([0.05, 0.3, 0.9])
        case "lose":
            host.link.loses = 0.1
        case "hint":
            host.membership.refused(chance.choice(cluster.hosts).membership.me)
        case "wrong":
            cluster.database.delete(host.store.host)
        case "mend":
            mend(cluster)
        case _:
            await disturb_all(cluster, group, chance, host)


async def disturb_all(cluster: LeasedHosts, group: TaskGroup, chance: random.Random, host: LeasedHost) -> None:
    """Let hosts or the database come and go."""
    match chance.choice(["kill", "add", "leave", "away"]):
        case "kill" if len(cluster.running) > 1:
            host.kill()
        case "add" if len(cluster.running) < 5 and not any(each.link.away for each in cluster.hosts):
            await cluster.add(group)
        case "leave" if len(cluster.running) > 1 and not host.link.away:
            await host.membership.leave(within_s=5)
            host.kill()
            cluster.database.delete(host.store.host)
        case "away":
            for each in cluster.running:
                each.link.away = True
            await anyio.sleep(chance.uniform(0.5, 8))
            for each in cluster.running:
                each.link.away = False


def mend(cluster: LeasedHosts) -> None:
    for host in cluster.running:
        host.link.away, host.link.loses, host.link.delay_s = False, 0.0, 0.002


def test_a_membership_that_has_not_run_answers_nothing() -> None:
    membership: Membership = LeasedHost(LeasedHosts(), 0).membership
    assert membership.others() == {}
    membership = LeasedHost(LeasedHosts(), 0).membership
    assert not membership.may_answer
    assert membership.seen().hosts == []


# Releases.


def test_hosts_write_the_newest_format_that_all_of_them_read() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        cluster.format_max += 1
        for older in cluster.running:
            await cluster.add(group)
            assert cluster.database.format == FORMAT_MAX, "a host of the older release lives"
            await older.stop()
        with anyio.fail_after(2):
            while cluster.database.format == FORMAT_MAX:
                await anyio.sleep(0.05)

    play(story)


def test_a_host_that_was_killed_and_does_not_read_what_others_write_by_now_ends() -> None:
    async def story(cluster: LeasedHosts, group: TaskGroup) -> None:
        host = cluster.running[0]
        cluster.database.format += 1
        cluster.database.delete(host.store.host)
        await anyio.sleep(20)

    with pytest.raises(BaseExceptionGroup) as ended:
        play(story)
    assert ended.group_contains(StoreTooNew)
