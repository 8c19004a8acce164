"""The faulty store fails, holds and counts what a test tells it to, and otherwise is the store it stands before."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.store.contract import Store, Stored, Write
from perdure.actors.store.errors import StoreDamaged, StoreFailed
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import CALLS, FaultyStore, FaultyStoreMisuse

pytestmark = pytest.mark.anyio

A = Address("wf", "a")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def store() -> FaultyStore:
    store = FaultyStore(MemoryStore())
    await store.open()
    return store


async def commit(store: Store, *entries: bytes) -> None:
    """Append entries to the one actor there is."""
    fences = await store.claim("host", now_us=1)
    (stored,) = await store.load([A])
    key = stored.key if isinstance(stored, Stored) else store.new_key()
    shard = shard_of(A.id, store.shards)
    await store.commit(
        [Write(key=key, address=A, shard=shard, at_us=1, entry=entry, record=b"r") for entry in entries], fences
    )


async def log(store: FaultyStore) -> tuple[bytes, ...]:
    (stored,) = await store.inner.load([A])
    return tuple(stored.entries) if isinstance(stored, Stored) else ()


async def test_nothing_fails_unless_told_to(store: FaultyStore) -> None:
    await commit(store, b"1")
    assert await store.load([A]) == await store.inner.load([A])
    assert await store.inspect([A]) == await store.inner.inspect([A])
    assert await store.active() == []
    assert await store.reminders(after=None, limit=1) == []
    assert store.shards == store.inner.shards
    await store.close()


async def test_a_damaged_actor_is_an_error_in_its_place(store: FaultyStore) -> None:
    await commit(store, b"1")
    store.damage(A, "rot")
    for read in (store.load, store.inspect):
        damaged, missing = await read([A, Address("wf", "nobody")])
        assert isinstance(damaged, StoreDamaged)
        assert damaged.reason == "rot"
        assert missing is None


async def test_the_nth_commit_fails_and_has_not_happened(store: FaultyStore) -> None:
    store.fail_commit(2)
    await commit(store, b"1")
    with pytest.raises(StoreFailed, match="made to fail"):
        await commit(store, b"2")
    await commit(store, b"3")
    assert await log(store) == (b"1", b"3")


async def test_several_commits_may_be_told_to_fail(store: FaultyStore) -> None:
    store.fail_next_commit()
    store.fail_commit(2)
    for entry in (b"1", b"2"):
        with pytest.raises(StoreFailed):
            await commit(store, entry)
    await commit(store, b"3")
    assert await log(store) == (b"3",)


async def test_the_nth_load_and_the_nth_inspection_fail(store: FaultyStore) -> None:
    store.fail_load(2)
    store.fail_next_inspect()
    await store.load([A])
    with pytest.raises(StoreFailed):
        await store.load([A])
    with pytest.raises(StoreFailed):
        await store.inspect([A])
    assert await store.load([A]) == [None]
    assert await store.inspect([A]) == [None]


async def test_what_a_test_cannot_ask_for_is_an_error_and_no_assert(store: FaultyStore) -> None:
    with pytest.raises(FaultyStoreMisuse, match=r"call hold\(\) first"):
        await store.held()
    for nth in (0, -1):
        with pytest.raises(FaultyStoreMisuse, match=f"number 1, not {nth}"):
            store.fail_commit(nth)


async def test_a_held_commit_stays_under_way_until_it_is_released(store: FaultyStore) -> None:
    async with anyio.create_task_group() as tasks:
        store.hold()
        tasks.start_soon(commit, store, b"1")
        await store.held()
        await anyio.wait_all_tasks_blocked()
        assert (await log(store), store.commits) == ((), 0)
        store.release()
    assert (await log(store), store.commits) == ((b"1",), 1)


async def test_a_commit_may_be_made_to_fail_while_it_is_held(store: FaultyStore) -> None:
    errors: list[StoreFailed] = []

    async def fail() -> None:
        with pytest.raises(StoreFailed) as error:
            await commit(store, b"1")
        errors.append(error.value)

    async with anyio.create_task_group() as tasks:
        store.hold()
        tasks.start_soon(fail)
        await store.held()
        store.fail_next_commit()
        store.release()
    assert len(errors) == 1
    assert await log(store) == ()


async def test_a_held_commit_whose_caller_is_cancelled_never_happens(store: FaultyStore) -> None:
    store.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(commit, store, b"1")
        await store.held()
        tasks.cancel_scope.cancel()
    store.release()
    await commit(store, b"2")
    assert await log(store) == (b"2",)


async def test_holding_again_holds_what_was_not_through_yet(store: FaultyStore) -> None:
    async with anyio.create_task_group() as tasks:
        store.hold()
        tasks.start_soon(commit, store, b"1")
        await store.held()
        store.release()
        store.hold()
        await store.held()
        assert await log(store) == ()
        store.release()


async def test_loads_are_held_apart_from_commits(store: FaultyStore) -> None:
    loaded: list[object] = []

    async def load() -> None:
        loaded.extend(await store.load([A]))

    async with anyio.create_task_group() as tasks:
        store.hold_loads()
        tasks.start_soon(load)
        await anyio.wait_all_tasks_blocked()
        await store.commit([], {})
        assert loaded == []
        store.release_loads()
    assert loaded == [None]


async def test_everything_is_counted_failures_included(store: FaultyStore) -> None:
    await commit(store, b"1", b"2")
    store.fail_next_commit()
    with pytest.raises(StoreFailed):
        await commit(store, b"3")
    await store.inspect([A, A])
    assert (store.commits, store.writes, store.loads, store.inspects) == (2, 3, 2, 1)


async def test_releasing_what_is_not_held_is_harmless(store: FaultyStore) -> None:
    store.release()
    store.release_loads()
    await commit(store, b"1")
    assert await log(store) == (b"1",)


CALL_WITH: dict[str, Callable[[FaultyStore], Any]] = {
    "open": lambda store: store.open(),
    "close": lambda store: store.close(),
    "claim": lambda store: store.claim("host", now_us=1),
    "commit": lambda store: commit(store, b"1"),
    "load": lambda store: store.load([A]),
    "inspect": lambda store: store.inspect([A]),
    "items": lambda store: store.items(A),
    "ids": lambda store: store.ids("wf", after=None, limit=1),
    "active": lambda store: store.active(),
    "reminders": lambda store: store.reminders(after=None, limit=1),
}


@pytest.mark.parametrize("name", CALLS)
async def test_each_call_can_be_made_to_fail(store: FaultyStore, name: str) -> None:
    if name == "open":
        await store.close()
    store.fail(name)
    with pytest.raises(StoreFailed, match=f"this {name} was made to fail"):
        await CALL_WITH[name](store)
    assert store.calls[-1] == name
    # Once: the next is what it was.
    await CALL_WITH[name](store)


async def test_a_call_can_be_made_to_fail_by_its_place_among_all(store: FaultyStore) -> None:
    store.fail_any(2)
    await store.active()
    with pytest.raises(StoreFailed, match="this ids, call 3 of all, was"):
        await store.ids("wf", after=None, limit=1)
    assert store.calls == ["open", "active", "ids"]


async def test_a_disk_that_is_gone_fails_all_that_follows_until_it_is_healed(store: FaultyStore) -> None:
    store.fail("claim", last=True)
    store.fail_any(2, last=True)
    await store.active()
    for _ in range(3):
        for name in ("claim", "load"):
            with pytest.raises(StoreFailed):
                await CALL_WITH[name](store)
    await store.close()
    store.heal()
    await store.open()
    await store.claim("host", now_us=1)


async def test_what_a_store_does_not_have_cannot_fail(store: FaultyStore) -> None:
    with pytest.raises(FaultyStoreMisuse, match="no call 'comit' that can fail; it has open, close, "):
        store.fail("comit")
    with pytest.raises(FaultyStoreMisuse, match="is number 1, not 0"):
        store.fail_any(0)
