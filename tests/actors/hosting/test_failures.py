"""A failure loses no message: callers get the error, and other messages are delivered again."""

import anyio.lowlevel
import pytest

from perdure.actors.errors import ActorFailed
from perdure.actors.store.errors import StoreDamaged, StoreFailed
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import FaultyStore

from ...support.actors.counter_actor import Add, Break, Read, counter
from ...support.actors.one_host import World

pytestmark = pytest.mark.anyio


async def test_a_failed_commit_undoes_all_turns_built_on_it_and_tells_the_callers() -> None:
    # Given one commit under way that will fail, and a later turn on its state,
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world:
        await world.host.ask(counter("a"), Add(1))
        store.hold()
        errors: list[type[BaseException]] = []

        async def ask(amount: int) -> None:
            try:
                await world.host.ask(counter("a"), Add(amount))
            except StoreFailed as error:
                errors.append(type(error))

        async with anyio.create_task_group() as tasks:
            for amount in (10, 100):
                tasks.start_soon(ask, amount)
                await anyio.wait_all_tasks_blocked()
            store.fail_next_commit()
            # when it fails,
            store.release()
        # then neither happened,
        assert errors == [StoreFailed, StoreFailed]
        assert await world.host.ask(counter("a"), Read()) == 1
    # and the store agrees.
    async with World(store).running() as world:
        assert await world.host.ask(counter("a"), Read()) == 1


async def test_an_actor_that_had_no_part_in_a_failed_commit_loses_nothing() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world, anyio.create_task_group() as tasks:
        await world.host.ask(counter("a"), Add(1))
        await world.host.ask(counter("b"), Add(1))
        store.hold()

        async def ask_and_fail() -> None:
            with pytest.raises(StoreFailed):
                await world.host.ask(counter("a"), Add(10))

        tasks.start_soon(ask_and_fail)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(world.host.ask, counter("b"), Add(10))
        await anyio.wait_all_tasks_blocked()
        store.fail_next_commit()
        store.release()
        assert await world.host.ask(counter("b"), Read()) == 11


async def test_who_asks_a_damaged_actor_is_told_and_the_others_go_on() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world:
        store.damage(counter("b"))
        world.host.send(counter("b"), Add(1))
        for _ in range(3):
            with pytest.raises(StoreDamaged), anyio.fail_after(5):
                await world.host.inspect(counter("b"))
            with pytest.raises(StoreDamaged), anyio.fail_after(5):
                await world.host.read(counter("b"))
            await world.host.ask(counter("a"), Add(1))
        assert await world.host.ask(counter("a"), Read()) == 3
        assert world.host.healthy
        # Nothing was written of it.
        assert await store.inner.load([counter("b")]) == [None]


async def test_a_message_that_nobody_waits_for_is_delivered_again_after_a_failed_commit() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world:
        await world.host.ask(counter("a"), Add(1))
        store.fail_next_commit()
        world.host.send(counter("a"), Add(10))
        with world.host.watch(counter("a")) as watch:
            await watch.changed()
        assert await world.host.ask(counter("a"), Read()) == 11
        assert store.commits == 3


async def test_an_actor_that_breaks_while_its_last_turn_is_being_written_loses_nothing() -> None:
    # Given a turn under way to the store, whose commit will fail,
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world:
        world.host._failures.RETRY_MAX_S = 0.01
        await world.host.ask(counter("a"), Add(1))
        store.hold()
        world.host.send(counter("a"), Add(10))
        await store.held()
        # when the next turn breaks, and then the commit fails,
        with pytest.raises(ActorFailed):
            await world.host.ask(counter("a"), Break())
        world.counters.broken = False
        store.fail_next_commit()
        store.release()
        # then the message that nobody waits for is delivered again.
        with world.host.watch(counter("a")) as watch:
            await watch.changed()
        assert await world.host.ask(counter("a"), Read()) == 11


async def test_an_actor_that_cannot_be_read_answers_with_an_error_until_it_can() -> None:
    store = MemoryStore()
    async with World(store).running() as world:
        await world.host.ask(counter("a"), Add(1))
    async with World(store).running() as world:
        world.counters.unreadable.add("a")
        with pytest.raises(ActorFailed, match="unreadable on purpose"):
            await world.host.ask(counter("a"), Read())
        world.counters.unreadable.clear()
        assert await world.host.ask(counter("a"), Read()) == 1


async def test_a_load_that_fails_is_the_callers_error_and_the_next_call_works() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world:
        store.fail_next_load()
        with pytest.raises(StoreFailed):
            await world.host.ask(counter("a"), Add(1))
        assert await world.host.ask(counter("a"), Add(1)) == 1
