"""The inspector reads the outside of actors, together for all who ask together."""

import anyio
import pytest

from perdure.actors.errors import HostStopping
from perdure.actors.hosting.inspector import Inspector
from perdure.actors.store.errors import StoreDamaged, StoreFailed
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import FaultyStore

from ...support.actors.counter_actor import counter

pytestmark = pytest.mark.anyio


async def test_those_who_ask_together_cost_one_read() -> None:
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
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(inspector.inspect, counter("a"))
        tasks.start_soon(inspector.run)
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
