"""Every store keeps the contract in `actors/store/contract.py` in the same way."""

from functools import partial
from itertools import count, islice
from pathlib import Path

import anyio
import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.store.contract import Expiring, FoundItems, Inspection, Item, Reminder, Stored
from perdure.actors.store.errors import StoreFailed, StoreFenced, StoreLocked
from perdure.actors.store.memory import MemoryStore
from perdure.actors.store.part import Part
from perdure.actors.store.sqlite.store import SqliteStore

from ...support.actors.store_bench import PART, SHARDS, Bench, write
from ...support.actors.stores import Variant

pytestmark = pytest.mark.anyio

A, B, C = Address("wf", "a"), Address("wf", "b"), Address("wf", "c")
assert all(PART.holds(shard_of(address.id, SHARDS)) for address in (A, B, C))


@pytest.fixture
def anyio_backend(variant: tuple[str, str]) -> str:
    return variant[1]


# The record, the log, the mark.


KINDS = {"memory": "memory", "sqlite": "sqlite", "postgres": "postgresql", "simulated": "postgresql"}


async def test_a_store_says_what_it_is_and_that_one_host_has_it(bench: Bench, variant: Variant) -> None:
    store = bench.store
    assert store.kind == KINDS[variant[0].split()[0]]
    assert bool(store.path) == (store.kind == "sqlite")
    assert store.cluster is None


async def test_what_was_written_is_read_back_whole(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"record", entry=b"entry", active=True))
    assert await bench.load(A) == Stored(key=key, record=b"record", entries=(b"entry",), active=True)


async def test_an_actor_that_was_never_written_is_none(bench: Bench) -> None:
    assert await bench.store.load([A]) == [None]
    assert await bench.store.inspect([A]) == [None]


async def test_the_same_id_under_another_type_is_another_actor(bench: Bench) -> None:
    await bench.commit(write(bench.store.new_key(), A, record=b"r"))
    assert await bench.load(Address("other", A.id)) is None


async def test_the_log_keeps_the_order_of_the_writes(bench: Bench) -> None:
    # Given entries of two actors, mixed, within batches and across them,
    a, b = bench.store.new_key(), bench.store.new_key()
    await bench.commit(
        write(a, A, record=b"", entry=b"a1"), write(b, B, record=b"", entry=b"b1"), write(a, A, entry=b"a2")
    )
    await bench.commit(write(b, B, entry=b"b2"), write(a, A, entry=b"a3"), write(b, B, entry=b"b3"))
    # then each reads its own, in order.
    assert await bench.log(A) == (b"a1", b"a2", b"a3")
    assert await bench.log(B) == (b"b1", b"b2", b"b3")


@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 127, 128, 129, 300])
async def test_a_batch_of_any_size_is_written_whole(bench: Bench, size: int) -> None:
    ids = (f"{i:03}" for i in count())
    addresses = [Address("wf", id_) for id_ in islice((i for i in ids if PART.holds(shard_of(i, SHARDS))), size)]
    keys = [bench.store.new_key() for _ in addresses]
    await bench.commit(
        *(
            write(key, address, record=b"r", entry=b"e", active=True, reminders_set=[("r", key)])
            for key, address in zip(keys, addresses, strict=True)
        )
    )
    assert await bench.store.load(addresses) == [
        Stored(key=key, record=b"r", entries=(b"e",), active=True) for key in keys
    ]
    assert [reminder.key for reminder in await bench.store.reminders(after=None, limit=1000)] == keys
    # All of these actors are deleted completely.
    await bench.commit(
        *(
            write(key, address, delete=True, reminders_cleared=[("r", key)])
            for key, address in zip(keys, addresses, strict=True)
        )
    )
    assert await bench.store.load(addresses) == [None] * size
    assert await bench.store.active() == []
    assert await bench.store.reminders(after=None, limit=1000) == []


async def test_a_long_log_comes_back_whole(bench: Bench) -> None:
    key = bench.store.new_key()
    entries = tuple(b"%d" % i for i in range(1000))
    await bench.commit(write(key, A, record=b""), *(write(key, A, entry=entry) for entry in entries))
    assert await bench.log(A) == entries


async def test_a_record_that_is_not_given_stays_as_it_was(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"old"))
    await bench.commit(write(key, A, entry=b"e"))
    assert await bench.load(A) == Stored(key=key, record=b"old", entries=(b"e",), active=False)


async def test_the_last_record_of_a_batch_counts(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"1"), write(key, A, record=b"2"), write(key, A, entry=b"e"))
    assert await bench.load(A) == Stored(key=key, record=b"2", entries=(b"e",), active=False)


async def test_empty_bytes_are_not_the_same_as_none(bench: Bench) -> None:
    await bench.commit(write(bench.store.new_key(), A, record=b"", entry=b""))
    assert await bench.log(A) == (b"",)
    assert await bench.inspect(A) == Inspection(record=b"", first=b"", last=b"", updated_us=1)


async def test_a_mark_that_is_not_given_stays_as_it_was(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"", active=True))
    await bench.commit(write(key, A, entry=b"e"))
    assert await bench.store.active() == [A]
    await bench.commit(write(key, A, active=False))
    await bench.commit(write(key, A, entry=b"e"))
    assert await bench.store.active() == []


async def test_the_last_mark_of_a_batch_counts(bench: Bench) -> None:
    a, b = bench.store.new_key(), bench.store.new_key()
    await bench.commit(
        write(a, A, record=b"", active=True), write(b, B, record=b"", active=False),
        write(a, A, active=False), write(b, B, active=True),
    )  # fmt: skip
    assert await bench.store.active() == [B]


async def test_the_active_are_listed_in_the_order_of_their_keys(bench: Bench) -> None:
    a, b, c = (bench.store.new_key() for _ in range(3))
    await bench.commit(*(write(key, at, record=b"", active=True) for key, at in ((c, A), (a, B), (b, C))))
    assert await bench.store.active() == [B, C, A]


async def test_keys_grow(bench: Bench) -> None:
    keys = [bench.store.new_key() for _ in range(3)]
    assert keys == sorted(set(keys))


async def test_actors_are_read_in_the_order_asked_and_as_often(bench: Bench) -> None:
    a, b = bench.store.new_key(), bench.store.new_key()
    await bench.commit(write(a, A, record=b"a"), write(b, B, record=b"b"))
    found = await bench.store.load([B, C, A, B])
    assert [isinstance(stored, Stored) and stored.record for stored in found] == [b"b", False, b"a", b"b"]
    seen = await bench.store.inspect([B, C, A, B])
    assert [isinstance(inspection, Inspection) and inspection.record for inspection in seen] == [
        b"b",
        False,
        b"a",
        b"b",
    ]
    assert await bench.store.load([]) == []


# Forgetting.


async def test_a_reset_forgets_the_log_before_its_own_entry_and_keeps_the_record(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"r", entry=b"old", active=True))
    await bench.commit(
        write(key, A, entry=b"older"), write(key, A, reset=True, entry=b"new"), write(key, A, entry=b"2")
    )
    assert await bench.load(A) == Stored(key=key, record=b"r", entries=(b"new", b"2"), active=True)


async def test_a_reset_leaves_the_logs_of_others_alone(bench: Bench) -> None:
    a, b = bench.store.new_key(), bench.store.new_key()
    await bench.commit(write(a, A, record=b"", entry=b"a"), write(b, B, record=b"", entry=b"b"))
    await bench.commit(write(b, B, entry=b"b2"), write(a, A, reset=True), write(b, B, entry=b"b3"))
    assert await bench.log(A) == ()
    assert await bench.log(B) == (b"b", b"b2", b"b3")


async def test_a_deleted_actor_is_gone_altogether(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"r", entry=b"e", active=True))
    await bench.commit(write(key, A, delete=True))
    assert await bench.load(A) is None
    assert await bench.inspect(A) is None
    assert await bench.store.active() == []


async def test_what_else_a_deleting_write_says_goes_with_the_actor(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"r", reminders_set=[("r", 5)]))
    await bench.commit(write(key, A, record=b"r2", entry=b"e", active=True, delete=True, reminders_cleared=[("r", 5)]))
    assert await bench.load(A) is None
    assert await bench.store.active() == []
    assert await bench.store.reminders(after=None, limit=10) == []


async def test_an_actor_may_be_deleted_and_created_again_in_one_batch(bench: Bench) -> None:
    # Given an actor with a past,
    old, new = bench.store.new_key(), bench.store.new_key()
    await bench.commit(write(old, A, record=b"old", entry=b"old", active=True))
    # when one batch appends to it, deletes it and creates it under a new key,
    await bench.commit(
        write(old, A, entry=b"older"), write(old, A, delete=True), write(new, A, record=b"new", entry=b"new")
    )
    # then no row of the past is left.
    assert await bench.load(A) == Stored(key=new, record=b"new", entries=(b"new",), active=False)
    assert await bench.store.active() == []


async def test_an_actor_that_a_batch_creates_and_deletes_was_never_there(bench: Bench) -> None:
    first, second = bench.store.new_key(), bench.store.new_key()
    await bench.commit(
        write(first, A, record=b"1", entry=b"1", active=True), write(first, A, delete=True),
        write(second, A, record=b"2", entry=b"2"), write(second, A, delete=True),
    )  # fmt: skip
    assert await bench.load(A) is None
    assert await bench.store.active() == []


async def test_deleting_what_is_not_there_is_harmless(bench: Bench) -> None:
    await bench.commit(write(bench.store.new_key(), A, delete=True))
    assert await bench.load(A) is None


async def test_a_second_key_for_an_actor_is_refused_with_the_whole_batch(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"first"))
    with pytest.raises(StoreFailed):
        await bench.commit(
            write(bench.store.new_key(), B, record=b"b"), write(bench.store.new_key(), A, record=b"second")
        )
    assert await bench.load(A) == Stored(key=key, record=b"first", entries=(), active=False)
    assert await bench.load(B) is None


# Inspection.


async def test_an_inspection_shows_the_ends_of_the_log_and_when_the_newest_entry_came(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"r", entry=b"1", at_us=10), write(key, A, entry=b"2", at_us=20))
    await bench.commit(write(key, A, entry=b"3", at_us=30), write(key, A, active=True, at_us=40))
    assert await bench.inspect(A) == Inspection(record=b"r", first=b"1", last=b"3", updated_us=30)


async def test_an_inspection_of_an_empty_log_has_no_ends_and_no_time(bench: Bench) -> None:
    await bench.commit(write(bench.store.new_key(), A, record=b"r", at_us=10))
    assert await bench.inspect(A) == Inspection(record=b"r", first=None, last=None, updated_us=0)


# Reminders.


async def test_reminders_are_read_in_order_from_just_behind_the_last_one(bench: Bench) -> None:
    a, b = bench.store.new_key(), bench.store.new_key()
    await bench.commit(
        write(b, B, record=b"", reminders_set=[("x", 20), ("late", 30)]),
        write(a, A, record=b"", reminders_set=[("y", 20), ("x", 20), ("é", 20), ("early", 10)]),
    )
    expected = [
        Reminder(10, a, "early", A),
        Reminder(20, a, "x", A),
        Reminder(20, a, "y", A),
        Reminder(20, a, "é", A),
        Reminder(20, b, "x", B),
        Reminder(30, b, "late", B),
    ]
    assert await bench.store.reminders(after=None, limit=10) == expected
    for i, reminder in enumerate(expected):
        assert await bench.store.reminders(after=reminder, limit=2) == expected[i + 1 : i + 3]


async def test_one_may_read_on_behind_a_reminder_that_is_gone(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"", reminders_set=[("1", 10), ("2", 20)]))
    first, second = await bench.store.reminders(after=None, limit=2)
    await bench.commit(write(key, A, reminders_cleared=[("1", 10)]))
    assert await bench.store.reminders(after=first, limit=2) == [second]


async def test_reminders_are_read_up_to_one_of_them(bench: Bench) -> None:
    a, b = bench.store.new_key(), bench.store.new_key()
    await bench.commit(
        write(a, A, record=b"", reminders_set=[("1", 10), ("2", 20)]),
        write(b, B, record=b"", reminders_set=[("2", 20)]),
    )
    first, second, third = await bench.store.reminders(after=None, limit=9)
    assert await bench.store.reminders(after=None, until=second, limit=9) == [first, second]
    assert await bench.store.reminders(after=first, until=second, limit=9) == [second]
    assert await bench.store.reminders(after=second, until=second, limit=9) == []
    assert await bench.store.reminders(after=None, until=third, limit=2) == [first, second]


async def test_marks_and_reminders_are_read_by_shard(bench: Bench) -> None:
    # Given many actors of two shards, mixed,
    of = {A: bench.store.new_key(), B: bench.store.new_key()}
    shard_a, shard_b = (shard_of(each.id, SHARDS) for each in of)
    assert shard_a != shard_b
    await bench.commit(
        *(
            write(key, each, record=b"", active=True, reminders_set=[(f"{i:02}", i) for i in range(50)])
            for each, key in of.items()
        )
    )
    # then those of a shard can be read without the others, in the requested number,
    assert await bench.store.active([shard_a]) == [A]
    assert await bench.store.active([shard_a, shard_b]) == [A, B]
    assert await bench.store.active([]) == []
    found = await bench.store.reminders(after=None, limit=30, shards=[shard_b])
    assert [(each.address, each.name) for each in found] == [(B, f"{i:02}") for i in range(30)]
    # and a smaller number means that there are no more.
    rest = await bench.store.reminders(after=found[-1], limit=30, shards=[shard_b])
    assert [each.due_us for each in rest] == list(range(30, 50))
    both = await bench.store.reminders(after=None, limit=1000, shards=[shard_a, shard_b])
    assert both == await bench.store.reminders(after=None, limit=1000)
    assert await bench.store.reminders(after=None, limit=9, shards=[]) == []


async def test_a_reminder_is_cleared_by_its_name_and_time(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"", reminders_set=[("r", 10), ("r", 20), ("s", 10)]))
    await bench.commit(write(key, A, reminders_cleared=[("r", 10), ("r", 99), ("unknown", 10)]))
    assert await bench.store.reminders(after=None, limit=9) == [Reminder(10, key, "s", A), Reminder(20, key, "r", A)]


async def test_a_write_clears_before_it_sets(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"", reminders_set=[("r", 10)]))
    await bench.commit(write(key, A, reminders_cleared=[("r", 10)], reminders_set=[("r", 10)]))
    assert await bench.store.reminders(after=None, limit=9) == [Reminder(10, key, "r", A)]


async def test_a_reminder_set_and_cleared_in_one_batch_was_never_there(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(
        write(key, A, record=b"", reminders_set=[("r", 10), ("r", 10)]), write(key, A, reminders_cleared=[("r", 10)])
    )
    assert await bench.store.reminders(after=None, limit=9) == []


async def test_a_reset_leaves_reminders_as_they_are(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"", reminders_set=[("r", 10)]))
    await bench.commit(write(key, A, reset=True))
    assert await bench.store.reminders(after=None, limit=9) == [Reminder(10, key, "r", A)]


async def test_a_reminder_that_outlived_its_actor_is_never_seen(bench: Bench) -> None:
    # Given a reminder that the deletion of its actor forgot,
    old = bench.store.new_key()
    await bench.commit(write(old, A, record=b"", reminders_set=[("r", 10)]))
    await bench.commit(write(old, A, delete=True))
    # when the actor comes back, even after a restart,
    await bench.reopen()
    new = bench.store.new_key()
    await bench.commit(write(new, A, record=b"", reminders_set=[("s", 20)]))
    # then the reminder does not belong to the new actor, and does not count for its limit.
    assert new > old
    assert await bench.store.reminders(after=None, limit=1) == [Reminder(20, new, "s", A)]


# Commits and fences.


async def test_what_was_committed_is_there_after_a_restart(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"r", entry=b"e", active=True, reminders_set=[("r", 10)]))
    await bench.reopen()
    assert await bench.load(A) == Stored(key=key, record=b"r", entries=(b"e",), active=True)
    assert await bench.store.reminders(after=None, limit=9) == [Reminder(10, key, "r", A)]
    assert bench.store.new_key() > key


async def test_a_claim_owns_every_shard_of_the_part_under_a_higher_epoch(bench: Bench, part: Part) -> None:
    before = bench.fences
    after = await bench.store.claim("host", now_us=2)
    assert bench.store.shards == SHARDS
    assert set(after) == {shard for shard in range(SHARDS) if part.holds(shard)}
    assert all(after[shard] > before[shard] for shard in after)


async def test_a_commit_under_an_old_epoch_is_refused_whole(bench: Bench) -> None:
    # Given commits under one claim, and a second claim,
    await bench.commit(write(bench.store.new_key(), B, record=b"r"))
    old = bench.fences
    await bench.claim()
    shard = shard_of(A.id, SHARDS)
    # when a host commits under the first,
    with pytest.raises(StoreFenced) as fenced:
        await bench.store.commit([write(bench.store.new_key(), A, record=b"r")], {**bench.fences, shard: old[shard]})
    # then nothing is written, and the error names the shard.
    assert (fenced.value.shard, fenced.value.expected) == (shard, old[shard])
    assert fenced.value.found == bench.fences[shard]
    assert await bench.load(A) is None
    # A commit under the second succeeds.
    await bench.commit(write(bench.store.new_key(), A, record=b"r"))


async def test_a_shard_that_does_not_exist_has_no_epoch(bench: Bench) -> None:
    with pytest.raises(StoreFenced) as fenced:
        await bench.store.commit([], {SHARDS: 1})
    assert fenced.value.found is None


@pytest.mark.parametrize("variant", [("memory part", "asyncio"), ("sqlite part", "asyncio")], ids="-".join)
@pytest.mark.parametrize("epoch", [0, 1])
async def test_a_shard_of_another_part_has_no_epoch(bench: Bench, epoch: int) -> None:
    other = Address("wf", next(str(i) for i in count() if not PART.holds(shard_of(str(i), SHARDS))))
    with pytest.raises(StoreFenced) as fenced:
        await bench.store.commit(
            [write(bench.store.new_key(), other, record=b"r")], {shard_of(other.id, SHARDS): epoch}
        )
    assert fenced.value.found is None
    assert await bench.load(other) is None


@pytest.mark.parametrize("variant", [("memory", "asyncio"), ("sqlite", "asyncio")], ids="-".join)
async def test_a_store_of_more_parts_than_shards_is_refused(variant: tuple[str, str], tmp_path: Path) -> None:
    make = MemoryStore if variant[0].startswith("memory") else partial(SqliteStore, tmp_path / "new.db")
    with pytest.raises(ValueError, match="1 to 8 parts, not 9"):
        make(shards=SHARDS, part=Part(8, 9))


async def test_a_restart_raises_the_epochs(bench: Bench) -> None:
    old = bench.fences
    await bench.reopen()
    with pytest.raises(StoreFenced):
        await bench.store.commit([write(bench.store.new_key(), A, record=b"r")], old)


async def test_a_commit_of_nothing_is_harmless(bench: Bench) -> None:
    await bench.commit()


async def test_a_cancelled_commit_is_whole_or_absent(bench: Bench) -> None:
    a, b = bench.store.new_key(), bench.store.new_key()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await bench.commit(write(a, A, record=b"a", entry=b"a"), write(b, B, record=b"b", entry=b"b"))
    found = await bench.store.load([A, B])
    assert [stored is None for stored in found] in ([True, True], [False, False])
    # The store still works.
    await bench.commit(write(bench.store.new_key(), C, record=b"c"))
    assert await bench.load(C) is not None


async def test_reads_beside_a_commit_see_all_of_it_or_nothing(bench: Bench) -> None:
    # Given two actors that each batch changes together,
    a, b = bench.store.new_key(), bench.store.new_key()
    await bench.commit(write(a, A, record=b"0"), write(b, B, record=b"0"))
    done = anyio.Event()

    async def commits() -> None:
        for i in range(50):
            await bench.commit(write(a, A, record=b"%d" % i, entry=b"e"), write(b, B, record=b"%d" % i, entry=b"e"))
        done.set()

    # when they are read meanwhile, then they are always of one batch.
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(commits)
        while not done.is_set():
            one, other = await bench.store.load([A, B])
            assert isinstance(one, Stored)
            assert isinstance(other, Stored)
            assert (one.record, one.entries) == (other.record, other.entries)


# Opening and closing.


async def test_a_store_that_is_open_is_not_opened_again(bench: Bench) -> None:
    with pytest.raises(StoreLocked):
        await bench.store.open()
    # The store is unharmed, and can be opened after it was closed.
    await bench.commit(write(bench.store.new_key(), A, record=b"r"))
    await bench.reopen()


async def test_a_closed_store_takes_no_commits(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.store.close()
    with pytest.raises(StoreFailed, match="not open"):
        await bench.commit(write(key, A, record=b"r"))
    with pytest.raises(StoreFailed, match="not open"):
        await bench.claim()


async def test_closing_twice_is_harmless(bench: Bench) -> None:
    await bench.store.close()
    await bench.store.close()


# Items.


async def test_items_are_read_by_name_with_the_record_of_their_actor(bench: Bench) -> None:
    key = bench.store.new_key()
    item, other = Item(b"value", 1), Item(b"", 2, 9)
    await bench.commit(write(key, A, record=b"r", items=[("a", item), ("\0 ä||", other), ("c", Item(b"c", 3))]))
    found = await bench.store.items(A, ["a", "\0 ä||", "none", "a"])
    assert found == FoundItems(b"r", {"a": item, "\0 ä||": other}, {})
    assert await bench.store.items(A, []) == FoundItems(b"r", {}, {})


async def test_an_actor_that_is_not_there_has_no_items(bench: Bench) -> None:
    assert await bench.store.items(A, ["a"]) is None
    assert await bench.store.items(A, expiring=1) is None


async def test_items_of_two_actors_with_one_name_are_two(bench: Bench) -> None:
    a, b = bench.store.new_key(), bench.store.new_key()
    await bench.commit(
        write(a, A, record=b"", items=[("x", Item(b"of a", 1))]),
        write(b, B, record=b"", items=[("x", Item(b"of b", 1))]),
    )
    await bench.commit(write(a, A, items=[("x", None)]))
    assert await bench.store.items(A, ["x"]) == FoundItems(b"", {}, {})
    assert await bench.store.items(B, ["x"]) == FoundItems(b"", {"x": Item(b"of b", 1)}, {})


async def test_the_last_change_of_an_item_counts(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"", items=[("x", Item(b"1", 1)), ("y", Item(b"1", 1))]))
    # Given changes across the writes of a batch, and within one,
    await bench.commit(
        write(key, A, items=[("x", None), ("y", Item(b"2", 2))]),
        write(key, A, items=[("x", Item(b"3", 3, 30)), ("y", Item(b"3", 3)), ("y", None)]),
    )
    assert await bench.store.items(A, ["x", "y"]) == FoundItems(b"", {"x": Item(b"3", 3, 30)}, {})


@pytest.mark.parametrize("size", [1, 17, 129, 300])
async def test_as_many_items_as_a_batch_has_are_written_and_forgotten(bench: Bench, size: int) -> None:
    key, names = bench.store.new_key(), [f"{i}" for i in range(size)]
    await bench.commit(write(key, A, record=b"", items=[(name, Item(name.encode(), 1)) for name in names]))
    found = await bench.store.items(A, names)
    assert found is not None
    assert found.items == {name: Item(name.encode(), 1) for name in names}
    await bench.commit(write(key, A, items=[(name, None) for name in names]))
    assert await bench.store.items(A, names) == FoundItems(b"", {}, {})


async def test_items_that_expire_are_listed_in_the_order_of_their_times(bench: Bench) -> None:
    key = bench.store.new_key()
    times = {"b": 20, "a": 30, "never": 0, "c": 10}
    await bench.commit(write(key, A, record=b"", items=[(name, Item(b"v", 7, us)) for name, us in times.items()]))
    assert await bench.store.items(A, expiring=2) == FoundItems(
        b"", expiring=[Expiring(10, "c", 7), Expiring(20, "b", 7)]
    )
    # A time that is taken away, or changed, counts at once.
    await bench.commit(write(key, A, items=[("c", Item(b"v", 8)), ("b", None), ("a", Item(b"v", 8, 40))]))
    assert await bench.store.items(A, expiring=9) == FoundItems(b"", expiring=[Expiring(40, "a", 8)])
    await bench.commit(write(key, A, record=b"new", items=[("a", None)]))
    assert await bench.store.items(A, expiring=9) == FoundItems(b"new", expiring=[])


async def test_a_name_and_a_value_may_be_long(bench: Bench) -> None:
    key, name, value = bench.store.new_key(), "ä" * 1024, bytes(range(256)) * 8192
    await bench.commit(write(key, A, record=b"", items=[(name, Item(value, 2**62, 2**62))]))
    assert await bench.store.items(A, [name]) == FoundItems(b"", {name: Item(value, 2**62, 2**62)}, {})


async def test_a_batch_that_is_refused_changes_no_item(bench: Bench) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"", items=[("x", Item(b"1", 1))]))
    with pytest.raises(StoreFenced):
        await bench.store.commit([write(key, A, items=[("x", None)])], {shard_of(A.id, SHARDS): 10**6})
    assert await bench.store.items(A, ["x"]) == FoundItems(b"", {"x": Item(b"1", 1)}, {})
