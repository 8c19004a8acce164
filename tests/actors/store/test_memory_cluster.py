"""The parts that only the cluster in memory has: a lossy link, a copy to fall back to, a log of errors."""

import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.store.cluster import HostCard
from perdure.actors.store.contract import Stored
from perdure.actors.store.errors import StoreFailed, StoreTakenOver, StoreUncertain
from perdure.actors.store.memory_cluster import MemoryClusterStore, MemoryDatabase, ShortLink

from ...support.actors.store_bench import SHARDS, write

pytestmark = pytest.mark.anyio

A = Address("wf", "a")
SHARD = shard_of(A.id, SHARDS)
CARD = HostCard("m", "here:1", "boot/1/1", "0", 1, 1)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Link(ShortLink):
    cut, loses = False, False

    async def there(self, what: str) -> None:
        if self.cut:
            raise StoreFailed("cut")

    async def back(self, what: str) -> None:
        if self.loses:
            raise StoreUncertain(what, "lost")


async def joined(database: MemoryDatabase, link: ShortLink | None = None) -> MemoryClusterStore:
    store = MemoryClusterStore(database, link=link)
    await store.open()
    await store.join(CARD._replace(address=f"here:{len(database.hosts)}"))
    return store


async def test_what_does_not_get_there_has_not_happened_and_what_does_not_come_back_has() -> None:
    link = Link()
    store = await joined(MemoryDatabase(shards=SHARDS), link)
    fences = await store.take([(SHARD, 0)])
    key = store.new_key()
    link.cut = True
    with pytest.raises(StoreFailed):
        await store.commit([write(key, A, record=b"r", entry=b"1")], fences)
    link.cut, link.loses = False, True
    with pytest.raises(StoreUncertain):
        await store.commit([write(key, A, record=b"r", entry=b"2")], fences)
    link.loses = False
    (stored,) = await store.load([A])
    assert isinstance(stored, Stored)
    assert stored.entries == (b"2",)


async def test_a_commit_for_a_shard_of_another_host_is_noted() -> None:
    database = MemoryDatabase(shards=SHARDS)
    one, other = await joined(database), await joined(database)
    fences = await one.take([(SHARD, 0)])
    await one.commit([write(one.new_key(), A, record=b"r")], fences)
    assert database.broken == []
    # A store cannot check the actions of a host: this one acts as the owner of a foreign shard.
    other.adopt({SHARD: 1})
    await other.commit([write(other.new_key(), Address("other", A.id), record=b"r")], {SHARD: 1})
    assert len(database.broken) == 1


async def test_on_a_promoted_copy_a_life_is_over_and_goes_on_only_when_it_is_resumed() -> None:
    database = MemoryDatabase(shards=SHARDS)
    store = await joined(database)
    host, fences = store.host, await store.take([(SHARD, 0)])
    key = store.new_key()
    await store.commit([write(key, A, record=b"r", entry=b"1")], fences)
    copied = database.copy()
    await store.commit([write(key, A, entry=b"2")], fences)
    database.promote(copied)
    with pytest.raises(StoreTakenOver):
        await store.commit([write(key, A, entry=b"3")], fences)
    assert not store.alive
    assert await store.resume()
    assert store.host == host
    (stored,) = await store.load([A])
    assert isinstance(stored, Stored)
    assert stored.entries == (b"1",)
    assert await store.take([(SHARD, 1)]) == {SHARD: 2}


async def test_a_host_of_which_the_copy_knows_nothing_cannot_resume() -> None:
    database = MemoryDatabase(shards=SHARDS)
    copied = database.copy()
    store = await joined(database)
    database.promote(copied)
    assert not await store.resume()
    assert not store.alive


async def test_a_process_that_has_ended_leaves_its_row() -> None:
    database = MemoryDatabase(shards=SHARDS)
    store = await joined(database)
    store.abandon()
    await store.close()
    assert list(database.hosts) == [store.host]
