"""A failure loses no message: callers get the error, others are delivered again. It leaves no active mark behind."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio.lowlevel
import pytest

from perdure.actors.errors import ActorFailed, ActorStalled
from perdure.actors.hosting.host import HostLimits
from perdure.actors.store.errors import StoreDamaged, StoreFailed
from perdure.actors.store.memory import MemoryStore
from perdure.actors.turn import SetAside
from perdure.testing.faulty_store import FaultyStore
from perdure.testing.virtual_time import LoopClock, run_virtually

from ...support.actors.counter_actor import Add, BeQuiet, Break, Forget, Read, Tell, Work, counter
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
        # No row of it was written.
        assert await store.inner.load([counter("b")]) == [None]


async def test_a_message_without_a_waiter_is_delivered_again_after_a_failed_commit() -> None:
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
        world.host._failures.FAILED_S = 0.01
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
        # then the message without a waiting caller is delivered again.
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


# An actor that fails by itself.


def in_virtual_time(story: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        async with World(MemoryStore(), clock=LoopClock()).running(within_s=10_000) as world:
            await story(world)

    run_virtually(run)


def tries(world: World, body: type) -> list[list[Any]]:
    return [bodies for address, bodies in world.counters.turns if any(isinstance(each, body) for each in bodies)]


@pytest.mark.usefixtures("virtual_backend")
def test_a_turn_that_breaks_is_tried_three_times_and_the_actor_is_set_aside_then() -> None:
    async def story(world: World) -> None:
        # Given a message that breaks the turn,
        await world.host.ask(counter("a"), Add(1))
        began = anyio.current_time()
        world.host.send(counter("a"), Break())
        while not world.counters.set_aside:
            await anyio.sleep(0.1)
        # then it was tried at once, after 5 s and after 10 s more,
        assert anyio.current_time() - began == pytest.approx(15, abs=0.5)
        kinds = [type(body) for address, bodies in world.counters.turns for body in bodies]
        assert kinds[: kinds.index(SetAside)] == [Add, Break, Break, Break]
        name, reason = world.counters.set_aside[0]
        assert name == "a"
        assert "its turn broke 3 times in a row" in reason
        assert "RuntimeError: broken on purpose" in reason
        # and the turn that sets it aside holds nothing else; the message comes after it.
        assert tries(world, SetAside) == [[SetAside(reason, until_restart=True)]]
        await anyio.sleep(1000)
        assert len(tries(world, Break)) == 3
        # Later messages reach it.
        assert await world.host.ask(counter("a"), Add(1)) == 2

    in_virtual_time(story)


def test_a_message_that_breaks_an_actor_that_is_set_aside_is_not_tried_again() -> None:
    async def story(world: World) -> None:
        await world.host.ask(counter("a"), Add(1))
        world.host.send(counter("a"), Break())
        await anyio.sleep(100)
        for _ in range(3):
            world.host.send(counter("a"), Break())
            await anyio.sleep(1000)
        assert len(tries(world, Break)) == 6
        assert await world.host.ask(counter("a"), Read()) == 1

    in_virtual_time(story)


@pytest.mark.usefixtures("virtual_backend")
def test_an_actor_that_cannot_be_read_is_stalled_in_memory_and_says_so_when_it_is_looked_at() -> None:
    async def story(world: World) -> None:
        await world.host.ask(counter("a"), Add(1))
        await evict(world, "a")
        world.counters.unreadable.add("a")
        world.host.send(counter("a"), Add(10))
        await anyio.sleep(20)
        # It is stalled for each kind of request: a read, a call, a message.
        found = await world.host.inspect(counter("a"))
        assert found is not None
        assert (found.record, found.stalled) == (b"1", "unreadable on purpose")
        with pytest.raises(ActorStalled, match="unreadable on purpose"):
            await world.host.ask(counter("a"), Read())
        world.host.send(counter("a"), Add(100))
        # It is not tried again in this process, and nothing is written to it,
        world.counters.unreadable.clear()
        await anyio.sleep(3600)
        assert world.counters.activated == ["a"]
        # except its purge; the messages that waited then begin a new actor.
        await world.host.ask(counter("a"), Forget())
        assert await world.host.ask(counter("a"), Read()) == 110

    in_virtual_time(story)


async def evict(world: World, name: str) -> None:
    activation = world.host._mailroom.activations.peek(counter(name))
    assert activation is not None
    world.host._mailroom.remove(activation)


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
        # then the actor recovers, and takes the mark away, because it has nothing in flight.
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
        # then no mark is left.
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
