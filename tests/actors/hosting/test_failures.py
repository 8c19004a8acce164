"""A failure loses no message: callers get the error, others are delivered again. It leaves no active mark behind."""

from contextlib import suppress

import anyio.lowlevel
import pytest

from perdure.actors.errors import ActorFailed
from perdure.actors.hosting.host import HostLimits
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import FaultyStore

from ...support.actors.counter_actor import Add, BeQuiet, Break, Read, Tell, Work, counter
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


async def marks(store: FaultyStore) -> list[str]:
    return [address.id for address in await store.active()]


async def until_no_marks(store: FaultyStore) -> None:
    while await marks(store):
        await anyio.sleep(0.01)


@pytest.mark.parametrize("ends", [Work(busy=False), BeQuiet()])
async def test_a_mark_that_a_failed_commit_was_to_take_away_goes_with_the_next(ends: object) -> None:
    # Given an actor with work in flight,
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world:
        await world.host.ask(counter("a"), Work(busy=True))
        assert await marks(store) == ["a"]
        # when the commit of the turn fails in which the work ends, and a caller waits for it,
        store.fail_next_commit()
        with pytest.raises(StoreFailed):
            await world.host.ask(counter("a"), ends)
        # then the actor recovers, and takes the mark away, as it has nothing in flight after all.
        await until_no_marks(store)
        assert world.counters.recovered == ["a"]


async def test_a_mark_that_a_failed_eviction_leaves_goes_with_the_next_commit() -> None:
    # Given an actor that leaves memory, and is marked until then,
    store = FaultyStore(MemoryStore())
    async with World(store, limits=HostLimits(activations_max=1)).running() as world:
        await world.host.ask(counter("a"), Add(1))
        await world.host.ask(counter("a"), Tell(counter("b"), Add(1)))
        assert await marks(store) in (["a"], [])
        # when each commit fails once,
        for nth in range(1, 6):
            store.fail_commit(nth)
        for name in ("c", "d", "e"):
            with pytest.raises(StoreFailed):
                await world.host.ask(counter(name), Add(1))
        # then no mark is left in the end.
        with anyio.fail_after(5):
            await until_no_marks(store)


@pytest.mark.parametrize("fails", range(1, 8))
async def test_whichever_commit_fails_no_mark_is_left_after_an_orderly_stop(fails: int) -> None:
    store = FaultyStore(MemoryStore())
    async with World(store, limits=HostLimits(activations_max=1)).running() as world:
        world.host._committer.FAILING_S = 0.0
        store.fail_commit(fails)
        for name in ("a", "b", "c"):
            for message in (Add(1), Tell(counter("z"), Add(1)), Work(busy=True), Work(busy=False), BeQuiet()):
                with suppress(StoreFailed):
                    await world.host.ask(counter(name), message)
    assert await marks(store) == []
