"""The memory store outlives its hosts, so that tests can restart them; `test_conformance.py` has the rest."""

import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.store.contract import Reminder, Stored, Write
from perdure.actors.store.errors import StoreFailed, StoreLocked
from perdure.actors.store.memory import MemoryStore

pytestmark = pytest.mark.anyio

A = Address("wf", "a")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def write(key: int, address: Address = A) -> Write:
    return Write(
        key=key,
        address=address,
        shard=shard_of(address.id, 64),
        at_us=1,
        record=b"r",
        entry=b"e",
        active=True,
        reminders_set=[("x", 5)],
    )


async def test_what_a_host_left_can_be_read_while_the_store_is_closed() -> None:
    store = MemoryStore()
    await store.open()
    key = store.new_key()
    await store.commit([write(key)], await store.claim("host", now_us=1))
    await store.close()
    assert await store.load([A]) == [Stored(key=key, record=b"r", entries=(b"e",), active=True)]
    assert await store.active() == [A]
    assert await store.reminders(after=None, limit=9) == [Reminder(5, key, "x", A)]
    with pytest.raises(StoreFailed):
        await store.commit([], {})


async def test_what_was_loaded_does_not_change_with_the_store() -> None:
    store = MemoryStore()
    await store.open()
    key, fences = store.new_key(), await store.claim("host", now_us=1)
    await store.commit([write(key)], fences)
    (before,) = await store.load([A])
    await store.commit([write(key)], fences)
    assert before is not None
    assert before.entries == (b"e",)


async def test_a_store_that_is_open_says_that_it_is_one_in_memory() -> None:
    store = MemoryStore()
    await store.open()
    with pytest.raises(StoreLocked, match="in memory"):
        await store.open()


async def test_a_first_write_without_a_record_is_a_bug_of_the_host() -> None:
    store = MemoryStore()
    await store.open()
    fences = await store.claim("host", now_us=1)
    orphan = Write(key=store.new_key(), address=A, shard=shard_of(A.id, 64), at_us=1, entry=b"e")
    with pytest.raises(AssertionError, match="no record"):
        await store.commit([orphan], fences)


async def test_two_stores_know_nothing_of_each_other() -> None:
    one, other = MemoryStore(), MemoryStore(shards=1)
    await one.open()
    await other.open()
    await one.commit([write(one.new_key())], await one.claim("host", now_us=1))
    assert await other.load([A]) == [None]
    assert (one.shards, other.shards) == (64, 1)
