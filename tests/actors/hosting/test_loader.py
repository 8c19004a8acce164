"""The loader reads many actors at once, and none of them harms another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from anyio import wait_all_tasks_blocked

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

# Trio mixes the tasks of a round on purpose, and so has no order in which to count rounds.
in_order = pytest.mark.parametrize("anyio_backend", ["asyncio"])


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

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have the loader wait for work."""
        await self.store.open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.loader.run)
            await wait_all_tasks_blocked()
            yield
            tasks.cancel_scope.cancel()

    def add(self, name: str) -> Activation:
        activation = Activation(counter(name), 0)
        self.loader.add(activation)
        return activation

    async def done(self) -> None:
        while len(self.loader) > 0:
            await anyio.lowlevel.checkpoint()

    async def load(self, *names: str) -> None:
        async with self.running():
            for name in names:
                self.add(name)
            await self.done()


async def test_actors_that_wait_together_are_read_together() -> None:
    world = World()
    await world.load("a", "b", "c")
    assert world.loaded == ["a", "b", "c"]
    assert world.store.loads == 1


@in_order
async def test_those_that_come_one_round_after_the_other_are_read_together() -> None:
    world = World()
    async with world.running():
        for name in "abc":
            world.add(name)
            await anyio.lowlevel.checkpoint()
        await world.done()
    assert world.loaded == ["a", "b", "c"]
    assert world.store.loads == 1


@in_order
@pytest.mark.parametrize(("in_line", "rounds"), [(1, 1), (Loader.BATCH - 1, 1), (Loader.BATCH, 0)])
async def test_a_batch_to_which_nothing_comes_is_read_a_round_later_and_a_full_one_at_once(
    in_line: int, rounds: int
) -> None:
    async def rounds_to_the_read(world: World) -> int:
        async with world.running():
            for number in range(in_line):
                world.add(str(number))
            passed = 0
            while world.store.loads == 0:
                await anyio.lowlevel.checkpoint()
                passed += 1
            await world.done()
        return passed

    # Given a loader that never keeps a batch open,
    at_once = World()
    at_once.loader.GATHER_ROUNDS = 0
    # then the real loader takes this number of rounds more.
    assert await rounds_to_the_read(World()) == await rounds_to_the_read(at_once) + rounds


@in_order
async def test_one_is_read_soon_though_each_round_brings_another() -> None:
    # Given actors that come without an end,
    world = World()
    async with world.running():
        added = 0
        # when the first are read,
        while world.store.loads == 0:
            world.add(str(added))
            added += 1
            assert added < 10, "the batch is never closed"
            await anyio.lowlevel.checkpoint()
        await world.done()
    # then this took that number of rounds; the loader needs another one to wake.
    assert added == 1 + Loader.GATHER_ROUNDS
    assert world.loaded == [str(number) for number in range(added)]


@in_order
async def test_one_whose_shard_leaves_while_its_batch_is_open_is_not_filled() -> None:
    world = World()
    async with world.running():
        gone = world.add("a")
        await anyio.lowlevel.checkpoint()
        gone.dropped = True
        world.add("b")
        await world.done()
    assert world.loaded == ["b"]


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
        # then neither finds a closed stream of the other.
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


async def test_a_caller_with_thousands_waits_until_few_are_in_line() -> None:
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
    # then this is reported while some of them still wait.
    assert 0 < in_line[0] <= 3 * Loader.BATCH
