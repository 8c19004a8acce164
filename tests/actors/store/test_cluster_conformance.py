"""Every store that several hosts share keeps the contract in `actors/store/cluster.py` in the same way.

A commit of a host whose row is gone never happens, with any delay, and a shard has one owner.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

import anyio
import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.store.cluster import FORMAT_MAX, HostCard, HostRow, HostState, ShardRow
from perdure.actors.store.contract import Stored, Write
from perdure.actors.store.errors import StoreError, StoreFailed, StoreFenced, StoreInUse, StoreTakenOver, StoreTooNew
from perdure.actors.store.presence.beats import Heartbeat
from perdure.actors.store.presence.flights import NO_SHARD, SIGN_OF_LIFE, FlightNote

from ...support.actors.cluster_stores import CLUSTERS, ClusterBench, ClusterStore
from ...support.actors.store_bench import SHARDS, write
from ...support.actors.stores import SIMULATED, ServerOf, Variant

pytestmark = pytest.mark.anyio

A, B = Address("wf", "a"), Address("wf", "b")
SHARD = shard_of(A.id, SHARDS)


@pytest.fixture(params=CLUSTERS, ids="-".join)
def variant(request: pytest.FixtureRequest) -> Variant:
    variant: Variant = request.param
    return variant


@pytest.fixture
def anyio_backend(variant: Variant) -> str:
    return variant[1]


@pytest.fixture
async def cluster(variant: Variant, postgres_server: ServerOf) -> AsyncIterator[ClusterBench]:
    bench = await ClusterBench.make(variant, postgres_server)
    yield bench
    await bench.close()


def card(number: int, **fields: str) -> HostCard:
    given = {"name": f"machine-{number}", "address": f"10.0.0.{number}:99", "place": f"boot/{number}/1"} | fields
    return HostCard(given["name"], given["address"], given["place"], release="1.2", wire_min=1, wire_max=3)


def start(key: int, address: Address = A, *, entry: bytes = b"e") -> Write:
    return write(key, address, record=b"r", entry=entry)


async def test_a_store_that_hosts_share_says_so(cluster: ClusterBench, variant: Variant) -> None:
    store = await cluster.host()
    assert store.cluster is store
    assert bool(store.servers) == (store.kind == "postgresql") == (store.patience_s > 0)
    if variant != SIMULATED:  # whose server has no figures
        assert (await store.figures() is not None) == (store.kind == "postgresql")
    assert not store.doubts.in_doubt + store.doubts.uncertain + store.doubts.acknowledged_lost


# Joining.


async def test_hosts_that_join_are_there_as_they_say(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    first, second = await one.join(card(1)), await other.join(card(2))
    assert first != second
    assert (one.host, other.host) == (first, second)
    expected = [HostRow(first, HostState.SERVING, card(1)), HostRow(second, HostState.SERVING, card(2))]
    for store in (one, other):
        assert sorted(await store.hosts()) == sorted(expected)
        assert store.alive


async def test_hosts_write_what_all_of_them_read_and_one_that_does_not_read_it_is_refused(
    cluster: ClusterBench,
) -> None:
    # Given a host of this release and one of the next,
    newer = card(1)._replace(format_max=FORMAT_MAX + 1)
    one, other = await cluster.host(), await cluster.host()
    await one.join(newer)
    await other.join(card(2))
    await one.raise_format(FORMAT_MAX)
    # then both write what both read,
    assert await one.raise_format(FORMAT_MAX + 1) == one.format == FORMAT_MAX
    # and once the older one has gone, the newer format.
    await other.leave()
    assert await one.raise_format(FORMAT_MAX + 1) == one.format == FORMAT_MAX + 1
    # The format is never lowered, and a host that does not read it is refused, and leaves no rows.
    assert await one.raise_format(FORMAT_MAX) == FORMAT_MAX + 1
    late = await cluster.host()
    with pytest.raises(StoreTooNew) as refused:
        await late.join(card(3))
    assert (refused.value.found, refused.value.known) == (FORMAT_MAX + 1, FORMAT_MAX)
    assert [row.card for row in await one.hosts()] == [newer]
    await late.join(card(3)._replace(format_max=FORMAT_MAX + 2))
    assert late.format == FORMAT_MAX + 1


async def test_a_new_store_has_unowned_shards(cluster: ClusterBench) -> None:
    store = await cluster.host()
    await store.join(card(1))
    assert await store.owners() == [ShardRow(shard, None, 0) for shard in range(SHARDS)]


async def test_a_host_joins_again_under_another_id_and_its_row_from_before_goes(cluster: ClusterBench) -> None:
    store = await cluster.host()
    first = await store.join(card(1))
    second = await store.join(card(1))
    assert first != second
    assert [row.host for row in await store.hosts()] == [second]


async def test_another_host_of_the_same_process_stays(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    await one.join(card(1))
    await other.join(card(2, place=card(1).place))
    third = await cluster.host()
    await third.join(card(3, address=""))
    fourth = await cluster.host()
    await fourth.join(card(3, address=""))  # that cannot be reached, so that its host is unknown
    assert len(await one.hosts()) == 4


async def test_what_a_host_says_of_itself_changes(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    await one.join(card(1))
    await other.join(card(2))
    await one.set_state(HostState.LEAVING)
    states = {row.host: row.state for row in await other.hosts()}
    assert states == {one.host: HostState.LEAVING, other.host: HostState.SERVING}


async def test_a_host_that_leaves_is_gone_and_commits_nothing_more(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    await one.join(card(1))
    await other.join(card(2))
    fences = await one.take([(SHARD, 0)])
    await one.leave()
    assert [row.host for row in await other.hosts()] == [other.host]
    assert not one.alive
    with pytest.raises(StoreError):
        await one.commit([start(1)], fences)
    assert await other.load([A]) == [None]


async def test_a_store_that_is_closed_leaves_no_row(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    await one.join(card(1))
    await other.join(card(2))
    await one.close()
    assert [row.host for row in await other.hosts()] == [other.host]


async def test_a_host_that_has_not_joined_reads_and_writes_nothing(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    await one.join(card(1))
    fences = await one.take([(SHARD, 0)])
    key = one.new_key()
    await one.commit([start(key)], fences)
    (stored,) = await other.load([A])
    assert isinstance(stored, Stored)
    with pytest.raises(StoreError):
        await other.commit([start(key)], fences)
    with pytest.raises(StoreFailed):
        await other.take([(SHARD, 1)])


async def test_one_that_wants_the_store_for_itself_is_refused_while_a_host_lives(cluster: ClusterBench) -> None:
    one, tool = await cluster.host(), await cluster.host()
    await one.join(card(1))
    async with cluster.beating(one):
        with pytest.raises(StoreInUse, match="machine-1"):
            await tool.claim("tool", now_us=1)
    assert [row.host for row in await one.hosts()] == [one.host]
    await one.leave()
    assert set(await tool.claim("tool", now_us=1)) == set(range(SHARDS))


# Taking.


async def test_unowned_shards_are_taken_each_under_its_next_epoch(cluster: ClusterBench) -> None:
    store = await cluster.host()
    await store.join(card(1))
    assert await store.take([(0, 0), (3, 0)]) == {0: 1, 3: 1}
    rows = await store.owners()
    assert [row for row in rows if row.host is not None] == [ShardRow(0, store.host, 1), ShardRow(3, store.host, 1)]
    assert await store.take([]) == {}


async def test_a_shard_of_a_host_that_lives_is_not_taken_and_one_of_a_dead_host_is(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    await one.join(card(1))
    await other.join(card(2))
    await one.take([(SHARD, 0)])
    assert await other.take([(SHARD, 1)]) == {}
    await cluster.kill(other, one)
    assert await other.take([(SHARD, 0)]) == {}  # an epoch that was read too early
    assert await other.take([(SHARD, 1)]) == {SHARD: 2}


async def test_a_host_takes_what_is_its_own_anew(cluster: ClusterBench) -> None:
    store = await cluster.host()
    await store.join(card(1))
    before = await store.take([(SHARD, 0)])
    assert await store.take([(SHARD, 1)]) == {SHARD: 2}
    with pytest.raises(StoreFenced):
        await store.commit([start(store.new_key())], before)


async def take_all(store: ClusterStore, seen: Sequence[tuple[int, int]], got: list[int]) -> None:
    got.extend(await store.take(seen))


async def test_of_hosts_that_take_at_once_one_gets_each_shard(cluster: ClusterBench) -> None:
    stores = [await cluster.host() for _ in range(3)]
    for number, store in enumerate(stores):
        await store.join(card(number))
    for round_ in range(10):
        dead = await cluster.host()
        await dead.join(card(9))
        taken = dict.fromkeys(range(SHARDS), round_ * 2)
        assert await dead.take(sorted(taken.items())) == {shard: epoch + 1 for shard, epoch in taken.items()}
        await cluster.kill(stores[0], dead)
        seen = [(shard, 2 * round_ + 1) for shard in range(SHARDS)]
        got: list[int] = []
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(take_all, stores[number], seen, got)
        assert sorted(got) == list(range(SHARDS))
        for number, store in enumerate(stores):
            await store.leave()
            await store.join(card(number))


# Giving.


async def test_a_shard_is_given_and_its_new_owner_commits_for_it(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    await one.join(card(1))
    await other.join(card(2))
    fences = await one.take([(SHARD, 0)])
    key = one.new_key()
    await one.commit([start(key, entry=b"1")], fences)
    assert await one.give(SHARD, other.host, fences[SHARD]) == 2
    assert ShardRow(SHARD, other.host, 2) in await one.owners()
    with pytest.raises(StoreFenced):
        await one.commit([write(key, A, entry=b"late")], fences)
    other.adopt({SHARD: 2})
    await other.commit([write(key, A, entry=b"2")], {SHARD: 2})
    (stored,) = await one.load([A])
    assert isinstance(stored, Stored)
    assert stored.entries == (b"1", b"2")


@pytest.mark.parametrize("wrong", ["epoch", "owner", "nobody"])
async def test_only_what_is_ones_own_is_given_and_only_to_one_that_lives(cluster: ClusterBench, wrong: str) -> None:
    one, other = await cluster.host(), await cluster.host()
    await one.join(card(1))
    await other.join(card(2))
    fences = await one.take([(SHARD, 0)])
    before = await one.owners()
    match wrong:
        case "epoch":
            assert await one.give(SHARD, other.host, 0) is None
        case "owner":
            assert await other.give(SHARD, other.host, 1) is None
        case _:
            assert await one.give(SHARD, 77, 1) is None
    assert await one.owners() == before
    await one.commit([start(one.new_key())], fences)


async def give(store: ClusterStore, shard: int, to: int, epoch: int, got: dict[int, int | None]) -> None:
    got[shard] = await store.give(shard, to, epoch)


async def test_shards_that_are_given_at_once_each_have_an_outcome_of_their_own(cluster: ClusterBench) -> None:
    one, other, third = [await cluster.host() for _ in range(3)]
    for number, store in enumerate((one, other, third)):
        await store.join(card(number))
    await one.take([(shard, 0) for shard in range(SHARDS)])
    to = {shard: (other.host, third.host, 77)[shard % 3] for shard in range(SHARDS)}
    epochs = {shard: 0 if shard == 4 else 1 for shard in range(SHARDS)}  # the epoch of one is wrong
    got: dict[int, int | None] = {}
    async with anyio.create_task_group() as group:
        for shard in range(SHARDS):
            group.start_soon(give, one, shard, to[shard], epochs[shard], got)
    given = {shard for shard in range(SHARDS) if to[shard] != 77 and shard != 4}
    assert got == {shard: 2 if shard in given else None for shard in range(SHARDS)}
    rows = {row.shard: row for row in await other.owners()}
    for shard in range(SHARDS):
        assert rows[shard] == (ShardRow(shard, to[shard], 2) if shard in given else ShardRow(shard, one.host, 1))


# Killing.


async def test_who_has_beaten_since_it_was_seen_is_not_killed(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    await one.join(card(1))
    await other.join(card(2))
    async with cluster.beating(one):
        (beat,) = await cluster.beats_of(one, number=1)
        assert beat.beats is not None
        seen = beat.beats.seen[other.host]
        async with cluster.beating(other):
            await cluster.beats_of(other, number=1)
        assert not await one.kill(other.host, seen)
        assert other.alive
        (beat, *_) = await cluster.beats_of(one, number=1)
        assert beat.beats is not None
        assert await one.kill(other.host, beat.beats.seen[other.host])
    assert [row.host for row in await one.hosts()] == [one.host]
    # The first killer has killed it.
    assert not await one.kill(other.host, beat.beats.seen[other.host])


async def test_a_host_that_was_killed_learns_it_from_its_beat(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    await one.join(card(1))
    await other.join(card(2))
    await cluster.kill(one, other)
    async with cluster.beating(other):
        (beat,) = await cluster.beats_of(other, number=1)
    assert beat.beats is not None
    assert not beat.beats.alive


@pytest.mark.parametrize("what", ["commit", "take", "give", "set_state", "set_cut"])
async def test_a_host_that_was_killed_changes_nothing_more_and_learns_it(cluster: ClusterBench, what: str) -> None:
    one, other = await cluster.host(), await cluster.host()
    await one.join(card(1))
    await other.join(card(2))
    fences = await other.take([(SHARD, 0)])
    key = other.new_key()
    await cluster.kill(one, other)
    with pytest.raises(StoreTakenOver):
        match what:
            case "commit":
                await other.commit([start(key)], fences)
            case "take":
                await other.take([(SHARD, 1)])
            case "give":
                await other.give(SHARD, one.host, 1)
            case "set_state":
                await other.set_state(HostState.LEAVING)
            case _:
                await other.set_cut(one.host, cut=True)
    assert not other.alive
    assert await one.load([A]) == [None]
    assert ShardRow(SHARD, other.host, 1) in await one.owners()


async def commit_until_killed(
    store: ClusterStore, first: Write, fences: Mapping[int, int], acknowledged: list[bytes]
) -> None:
    """Commit numbers to the log of an actor, and note those that were acknowledged."""
    with pytest.raises(StoreTakenOver):
        for number in count():
            entry = b"%d" % number
            await store.commit([write(first.key, first.address, record=first.record, entry=entry)], fences)
            acknowledged.append(entry)


async def give_unless_killed(store: ClusterStore, to: int, epoch: int, given: list[int]) -> None:
    with suppress(StoreTakenOver):
        epoch_given = await store.give(SHARD, to, epoch)
        assert epoch_given is not None
        given.append(epoch_given)


async def test_a_kill_and_commits_race_and_the_next_owner_sees_all_that_was_acknowledged(
    cluster: ClusterBench,
) -> None:
    killer = await cluster.host()
    await killer.join(card(0))
    for round_ in range(12):
        victim = await cluster.host()
        await victim.join(card(1))
        address = Address("wf", f"race-{round_}")
        shard = shard_of(address.id, SHARDS)
        epoch = next(row.epoch for row in await killer.owners() if row.shard == shard)
        fences = await victim.take([(shard, epoch)])
        key = victim.new_key()
        acknowledged: list[bytes] = []

        async with anyio.create_task_group() as group:
            group.start_soon(commit_until_killed, victim, write(key, address, record=b"r"), fences, acknowledged)
            await anyio.sleep(0.002 * round_)
            await cluster.kill(killer, victim)
            # From here on no commit of the victim appears.
            epochs = await killer.take([(shard, epoch + 1)])
            (found,) = await killer.load([address])
        entries = found.entries if isinstance(found, Stored) else ()
        (later,) = await killer.load([address])
        assert (later.entries if isinstance(later, Stored) else ()) == entries
        # All acknowledged commits are there, and at most one more.
        assert list(entries[: len(acknowledged)]) == acknowledged
        assert len(entries) - len(acknowledged) in (0, 1)
        assert epochs == {shard: epoch + 2}
        await killer.leave()
        await killer.join(card(0))


async def test_a_give_and_a_kill_race_and_the_shard_has_one_living_owner_or_is_free(cluster: ClusterBench) -> None:
    for round_ in range(8):
        killer, giver, getter = [await cluster.host() for _ in range(3)]
        for number, store in enumerate((killer, giver, getter)):
            await store.join(card(number))
        epoch = next(row.epoch for row in await killer.owners() if row.shard == SHARD)
        await giver.take([(SHARD, epoch)])
        given: list[int] = []
        async with anyio.create_task_group() as group:
            group.start_soon(give_unless_killed, giver, getter.host, epoch + 1, given)
            await anyio.sleep(0.0005 * round_)
            await cluster.kill(killer, giver)
        row = next(row for row in await killer.owners() if row.shard == SHARD)
        if given == [epoch + 2]:
            assert row == ShardRow(SHARD, getter.host, epoch + 2)
            assert await killer.take([(SHARD, epoch + 2)]) == {}
        else:
            assert row == ShardRow(SHARD, giver.host, epoch + 1)
            assert await killer.take([(SHARD, epoch + 1)]) == {SHARD: epoch + 2}
        for store in (killer, getter):
            await store.leave()


async def test_what_was_begun_in_one_life_fails_in_the_next(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    await one.join(card(1))
    await other.join(card(2))
    fences = await other.take([(SHARD, 0)])
    key = other.new_key()
    await cluster.kill(one, other)
    await other.join(card(2))
    assert other.alive
    with pytest.raises(StoreFenced):
        await other.commit([start(key)], fences)
    assert await one.load([A]) == [None]
    # In its new life it takes its former shards, and continues.
    epochs = await other.take([(SHARD, 1)])
    assert epochs == {SHARD: 2}
    await other.commit([start(other.new_key())], epochs)


# Beats.


async def test_beats_tell_of_all_hosts_and_of_each_change(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    await one.join(card(1))
    await other.join(card(2))
    async with cluster.beating(one):

        async def version() -> str:
            (beat,) = (await cluster.beats_of(one, number=1))[-1:]
            assert beat.beats is not None
            assert beat.beats.alive
            assert set(beat.beats.seen) == {one.host, other.host}
            return beat.beats.version

        versions = [await version(), await version()]
        assert versions[0] == versions[1]
        await other.take([(SHARD, 0)])
        versions.append(await version())
        await other.give(SHARD, one.host, 1)
        versions.append(await version())
        await other.set_cut(one.host, cut=True)
        versions.append(await version())
        await other.set_state(HostState.LEAVING)
        versions.append(await version())
    assert len(set(versions)) == 5


async def test_a_host_that_is_alone_only_reads(cluster: ClusterBench) -> None:
    one = await cluster.host()
    await one.join(card(1))

    def number(beat: Heartbeat) -> int:
        assert beat.beats is not None
        return beat.beats.seen[one.host]

    async with cluster.beating(one):
        beats = await cluster.beats_of(one, number=3)
        assert number(beats[-1]) == number(beats[-2])
        other = await cluster.host()
        await other.join(card(2))
        beats = await cluster.beats_of(one, number=4)
        assert number(beats[-1]) > number(beats[0])
        assert beats[-1].sent_at <= one.heart.sent_at


# Cuts and secrets.


async def test_cuts_are_told_and_go_with_their_hosts(cluster: ClusterBench) -> None:
    one, other, third = [await cluster.host() for _ in range(3)]
    for number, store in enumerate((one, other, third)):
        await store.join(card(number))
    await one.set_cut(other.host, cut=True)
    await one.set_cut(other.host, cut=True)
    await third.set_cut(one.host, cut=True)
    await third.set_cut(77, cut=True)  # of a host that does not live
    assert sorted(await other.cuts()) == sorted([(one.host, other.host), (third.host, one.host)])
    await third.set_cut(one.host, cut=False)
    assert await other.cuts() == [(one.host, other.host)]
    await other.leave()
    assert await one.cuts() == []


async def test_a_secret_is_made_once_and_may_be_replaced(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    assert await one.secret("authority", lambda: b"first") == b"first"
    assert await other.secret("authority", lambda: b"second") == b"first"
    assert await other.secret("another", lambda: b"\x00\xff") == b"\x00\xff"
    await other.replace_secret("authority", b"third")
    assert await one.secret("authority", lambda: b"fourth") == b"third"


# Work under way.


def flight(host: int, address: Address = A, what: str = "", **fields: Any) -> FlightNote:
    return FlightNote(host, address, what, **({"shard": SHARD, "epoch": 1, "begun_s": 1.5} | fields))


async def test_notes_are_read_by_all_hosts_and_replaced_and_struck_by_their_own(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    first, second = await one.join(card(1)), await other.join(card(2))
    assert await one.flights() == []
    # Given notes of two hosts,
    notes = [
        flight(first, what="a:1"),
        flight(first, B, begun_s=None, ends=2, early=1, alone=1, took_s=0.25, tried=True),
    ]
    await one.note(notes)
    await other.note([flight(second)])
    for store in (one, other):
        assert await store.flights() == sorted([*notes, flight(second)])
    # when one of them rewrites one note and strikes another one,
    again = flight(first, what="a:1", begun_s=None, ends=1, early=1)
    await one.note([again], [(B, "")])
    # then its notes are so, and those of the other host have not changed.
    assert await other.flights() == sorted([again, flight(second)])
    await one.note([], [(A, "a:1"), (B, "never noted")])
    assert await one.flights() == [flight(second)]


async def test_notes_outlive_a_host_that_is_killed_and_which_writes_none_afterwards(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    first = await one.join(card(1))
    await other.join(card(2))
    await one.note([flight(first)])
    await cluster.kill(other, one)
    with pytest.raises(StoreTakenOver):
        await one.note([flight(first, B)])
    assert await other.flights() == [flight(first)]


async def test_a_host_that_leaves_deletes_its_notes_and_leaves_its_shards_unowned(cluster: ClusterBench) -> None:
    one, other = await cluster.host(), await cluster.host()
    first, second = await one.join(card(1)), await other.join(card(2))
    await one.take([(SHARD, 0)])
    await other.take([(SHARD + 1, 0)])
    await one.note([flight(first)])
    await other.note([flight(second)])
    await one.leave()
    assert await other.flights() == [flight(second)]
    rows = {row.shard: row for row in await other.owners()}
    assert rows[SHARD] == ShardRow(SHARD, None, 1)
    assert rows[SHARD + 1] == ShardRow(SHARD + 1, second, 1)
    # A closed store has left.
    await other.close()
    third = await cluster.host()
    assert await third.flights() == []
    assert {row.host for row in await third.owners()} == {None}


async def test_who_has_a_shard_strikes_what_was_noted_of_it_before(cluster: ClusterBench) -> None:
    one, other, third = [await cluster.host() for _ in range(3)]
    first, second, last = [await store.join(card(number)) for number, store in enumerate((one, other, third))]
    sign: dict[str, Any] = {"what": "", "shard": NO_SHARD, "epoch": 0}
    await one.note([flight(first), flight(first, B, shard=SHARD + 1), flight(first, SIGN_OF_LIFE, **sign)])
    await other.note([flight(second, SIGN_OF_LIFE, **sign)])
    await third.note([flight(last, epoch=2), flight(last, SIGN_OF_LIFE, **sign)])
    await cluster.kill(third, one)
    await cluster.kill(third, other)
    # The sign of life of a dead host with other notes is still needed; that of the other dead hosts is deleted.
    await third.strike({SHARD: 2})
    kept = [flight(first, B, shard=SHARD + 1), flight(first, SIGN_OF_LIFE, **sign)]
    mine = [flight(last, epoch=2), flight(last, SIGN_OF_LIFE, **sign)]
    assert await third.flights() == sorted([*kept, *mine])
    await third.strike({SHARD: 2, SHARD + 1: 2})
    assert await third.flights() == sorted(mine)
