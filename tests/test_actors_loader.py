"""The loader reads many actors at once, and none of them harms another."""

import anyio
import pytest

from perdure.actors.activation import Activation
from perdure.actors.errors import ActorFailed, PerdureError, StoreFailed
from perdure.actors.loader import Loader
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import FaultyStore

from .counter_actor import CounterType, counter

pytestmark = pytest.mark.anyio


class World:
    def __init__(self) -> None:
        self.store = FaultyStore(MemoryStore())
        self.counters = CounterType()
        self.loaded: list[str] = []
        self.failed: list[tuple[str, type[PerdureError]]] = []
        self.loader = Loader(
            self.store,
            {"counter": self.counters},
            loaded=lambda activation: self.loaded.append(activation.address.id),
            failed=lambda activation, error: self.failed.append((activation.address.id, type(error))),
        )

    async def load(self, *names: str) -> None:
        await self.store.open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.loader.run)
            for name in names:
                self.loader.add(Activation(counter(name), 0))
            while len(self.loader) > 0:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()


async def test_those_that_wait_together_are_read_together() -> None:
    world = World()
    await world.load("a", "b", "c")
    assert world.loaded == ["a", "b", "c"]
    assert world.store.loads == 1


async def test_one_that_cannot_be_read_does_not_keep_the_others() -> None:
    world = World()
    world.counters.unreadable.add("b")
    await world.load("a", "b", "c")
    assert world.loaded == ["a", "c"]
    assert world.failed == [("b", ActorFailed)]


async def test_a_read_that_fails_fails_all_that_were_in_it() -> None:
    world = World()
    world.store.fail_next_load()
    await world.load("a", "b")
    assert world.failed == [("a", StoreFailed), ("b", StoreFailed)]
    assert world.loaded == []
