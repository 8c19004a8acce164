"""The inspector reads the external state of actors, in one read for requests that come together."""

from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest

from perdure.actors.address import Address
from perdure.actors.errors import HostStopping
from perdure.actors.hosting.reading.inspector import Inspector
from perdure.actors.store.contract import Inspection
from perdure.actors.store.errors import StoreDamaged, StoreFailed
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import FaultyStore

from ....support.actors.counter_actor import counter

pytestmark = pytest.mark.anyio


async def test_callers_that_ask_together_cost_one_read() -> None:
    store = FaultyStore(MemoryStore())
    await store.open()
    inspector = Inspector(store)
    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(inspector.inspect, counter(name))
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(inspector.run)
        await anyio.wait_all_tasks_blocked()
        assert store.inspects == 1
        tasks.cancel_scope.cancel()


async def test_a_failed_read_is_the_callers_error_and_the_next_works() -> None:
    store = FaultyStore(MemoryStore())
    await store.open()
    inspector = Inspector(store)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(inspector.run)
        store.fail_next_inspect()
        with pytest.raises(StoreFailed):
            await inspector.inspect(counter("a"))
        assert await inspector.inspect(counter("a")) is None
        tasks.cancel_scope.cancel()


async def test_one_that_is_damaged_is_the_error_of_those_who_asked_for_it() -> None:
    store = FaultyStore(MemoryStore())
    await store.open()
    store.damage(counter("b"))
    inspector = Inspector(store)

    async def begin() -> None:
        await anyio.wait_all_tasks_blocked()
        await inspector.run()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(inspector.inspect, counter("a"))
        await anyio.wait_all_tasks_blocked()
        # Both are in line before the first is read.
        tasks.start_soon(begin)
        with pytest.raises(StoreDamaged):
            await inspector.inspect(counter("b"))
        assert store.inspects == 1
        tasks.cancel_scope.cancel()


async def test_who_waits_when_it_closes_is_told_and_so_is_who_comes_later() -> None:
    inspector = Inspector(MemoryStore())

    async def ask() -> None:
        with pytest.raises(HostStopping):
            await inspector.inspect(counter("a"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        inspector.close()
    await ask()


class LargeOutsides(MemoryStore):
    """A store whose actors are all of one size, and which records the keys of each read."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.asked: list[int] = []

    async def inspect(self, addresses: Sequence[Address]) -> list[Inspection | None]:
        self.asked.append(len(addresses))
        await anyio.lowlevel.checkpoint()
        return [Inspection(record=bytes(self.size), first=None, last=None, updated_us=0) for _ in addresses]


async def ask_for(store: LargeOutsides, names: Sequence[str]) -> None:
    inspector = Inspector(store)
    async with anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as asking:
            for name in names:
                asking.start_soon(inspector.inspect, counter(name))
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(inspector.run)
        tasks.cancel_scope.cancel()


async def test_what_many_ask_for_is_read_once() -> None:
    store = LargeOutsides(1)
    await ask_for(store, ["a"] * 10 + ["b"])
    assert store.asked == [2]


async def test_large_actors_are_read_few_at_a_time() -> None:
    store = LargeOutsides(Inspector.BATCH_BYTES // 4)
    await ask_for(store, [str(number) for number in range(40)])
    assert store.asked[0] == Inspector.BATCH_FIRST
    assert sum(store.asked) == 40
    assert max(store.asked[1:]) <= 8


async def test_small_actors_are_read_many_at_a_time() -> None:
    store = LargeOutsides(10)
    await ask_for(store, [str(number) for number in range(1000)])
    assert store.asked == [16, 32, 64, 128, 256, 256, 248]
