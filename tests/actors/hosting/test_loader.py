"""The loader reads many actors at once, and none of them harms another."""

import anyio
import anyio.lowlevel
import pytest

from perdure.actors.errors import ActorFailed, PerdureError
from perdure.actors.hosting.activation import Activation
from perdure.actors.hosting.loader import Loader
from perdure.actors.store.errors import StoreDamaged, StoreFailed
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import FaultyStore
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.loop import SimLoop
from perdure.testing.simulation.orders import AnyOrder
from perdure.testing.simulation.patches import patched

from ...support.actors.counter_actor import CounterType, counter

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


def test_one_that_is_stopped_as_it_begins_ends_without_an_error() -> None:
    # Given all orders in which its two tasks may begin, and the stop come between,
    def stop_in(seed: int) -> None:
        async def story() -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(World().loader.run)
                for _ in range(seed % 4):
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()

        loop = SimLoop()  # type: ignore[abstract]
        loop.order = AnyOrder(Choices(seed), one_in=1)
        # then neither finds closed what the other has left.
        try:
            with patched():
                loop.run(story())
        finally:
            loop.close()

    for seed in range(100):
        stop_in(seed)


async def test_one_that_cannot_be_read_does_not_keep_the_others() -> None:
    world = World()
    world.counters.unreadable.add("b")
    await world.load("a", "b", "c")
    assert world.loaded == ["a", "c"]
    assert world.failed == [("b", ActorFailed)]


async def test_one_that_is_damaged_does_not_keep_the_others() -> None:
    world = World()
    world.store.damage(counter("b"), "entry 3 of its history does not match its checksum")
    await world.load("a", "b", "c")
    assert world.loaded == ["a", "c"]
    assert world.failed == [("b", StoreDamaged)]


async def test_a_read_that_fails_fails_all_that_were_in_it() -> None:
    world = World()
    world.store.fail_next_load()
    await world.load("a", "b")
    assert world.failed == [("a", StoreFailed), ("b", StoreFailed)]
    assert world.loaded == []


async def test_the_next_are_read_while_the_last_are_filled_in() -> None:
    # Given twice as many as are read at once,
    world = World()
    await world.store.open()
    reads_at_first_fill: list[int] = []

    def loaded(activation: Activation) -> None:
        world.loaded.append(activation.address.id)
        if len(world.loaded) == Loader.BATCH:
            reads_at_first_fill.append(world.store.loads)

    loader = Loader(world.store, {"counter": world.counters}, loaded=loaded, failed=lambda activation, error: None)
    # when they are loaded,
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loader.run)
        for number in range(2 * Loader.BATCH):
            loader.add(Activation(counter(str(number)), 0))
        while len(loader) > 0:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    # then the second read did not wait for the first to be filled in, and all are there, in their order.
    assert reads_at_first_fill == [2]
    assert world.loaded == [str(number) for number in range(2 * Loader.BATCH)]


async def test_whoever_brings_thousands_waits_until_few_are_in_line() -> None:
    # Given more in line than one batch,
    world = World()
    await world.store.open()
    for number in range(3 * Loader.BATCH):
        world.loader.add(Activation(counter(str(number)), 0))
    in_line: list[int] = []

    async def bring() -> None:
        await world.loader.room()
        in_line.append(len(world.loader))

    # when they are loaded,
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bring)
        await anyio.wait_all_tasks_blocked()
        assert in_line == []
        tasks.start_soon(world.loader.run)
        while not in_line:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    # then it is told while some of them still wait.
    assert 0 < in_line[0] <= 3 * Loader.BATCH
