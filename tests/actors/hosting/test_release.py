"""The effects of a turn follow its commit, and superfluous activations leave memory."""

from typing import Any

import anyio.lowlevel
import pytest

from perdure.actors.address import Address
from perdure.actors.hosting.host import HostLimits
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import FaultyStore
from perdure.testing.virtual_time import LoopClock, run_virtually

from ...support.actors.counter_actor import Add, BeQuiet, Forget, Remind, Tell, Unremind, Work, counter
from ...support.actors.one_host import World

pytestmark = pytest.mark.anyio


async def test_nothing_is_answered_and_nothing_is_sent_before_the_commit() -> None:
    # Given a store whose commits are held up,
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world, anyio.create_task_group() as tasks:
        store.hold()
        answers: list[Any] = []

        async def ask() -> None:
            await world.host.ask(counter("a"), Tell(Address("outside", "x"), "hello"))
            answers.append(await world.host.ask(counter("a"), Add(1)))

        # when an actor adds and tells,
        tasks.start_soon(ask)
        tasks.start_soon(world.host.ask, counter("b"), Add(1))
        tasks.start_soon(world.host.ask, counter("b"), Tell(Address("outside", "y"), "after b"))
        await anyio.wait_all_tasks_blocked()
        # then a turn without writes is done, and the turns that wait for the commit are not.
        assert world.outside == [(Address("outside", "x"), "hello")]
        assert answers == []
        store.release()
    assert answers == [1]
    assert (Address("outside", "y"), "after b") in world.outside


async def test_the_least_recently_used_actors_leave_memory_and_come_back_from_the_store() -> None:
    async with World(limits=HostLimits(activations_max=2)).running() as world:
        for name in ("a", "b", "c", "d"):
            await world.host.ask(counter(name), Add(1))
        await anyio.wait_all_tasks_blocked()
        assert world.host.activations <= 2
        assert counter("a") in world.counters.closed
        assert await world.host.ask(counter("a"), Add(1)) == 2
        assert world.counters.activated.count("a") == 2


async def test_with_no_room_at_all_every_turn_starts_from_the_store() -> None:
    async with World(limits=HostLimits(activations_max=0)).running() as world:
        for total in (1, 2, 3):
            assert await world.host.ask(counter("a"), Add(1)) == total
            await anyio.wait_all_tasks_blocked()
        assert world.counters.activated == ["a", "a", "a"]


async def test_a_message_to_another_actor_is_counted_as_in_flight_until_it_is_committed_there() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world, anyio.create_task_group() as tasks:
        await world.host.ask(counter("sender"), Add(1))
        store.hold_loads()
        tasks.start_soon(world.host.ask, counter("sender"), Tell(counter("receiver"), Add(1)))
        await anyio.wait_all_tasks_blocked()
        # The receiver has not had its turn: after a crash, the sender would have to send again.
        assert await store.active() == [counter("sender")]
        store.release_loads()
    # A graceful stop leaves no mark behind.
    await store.open()
    assert await store.active() == []


async def test_the_mark_of_an_actor_that_is_quiet_goes_at_once_and_with_its_last_acknowledgement() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world, anyio.create_task_group() as tasks:
        # Given two actors at work, one of which has sent a message that has not arrived,
        await world.host.ask(counter("alone"), Work(busy=True))
        await world.host.ask(counter("sender"), Work(busy=True))
        store.hold_loads()
        tasks.start_soon(world.host.ask, counter("sender"), Tell(counter("receiver"), Add(1)))
        await anyio.wait_all_tasks_blocked()
        # when both are quiet,
        await world.host.ask(counter("alone"), BeQuiet())
        await world.host.ask(counter("sender"), BeQuiet())
        # then the one is unmarked, and the other as soon as its message is durable at the receiver.
        assert await store.active() == [counter("sender")]
        store.release_loads()
        await anyio.wait_all_tasks_blocked()
        while await store.active():
            await anyio.sleep(0.001)


async def test_a_message_that_is_called_off_while_its_turn_is_committed_is_not_waited_for() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world, anyio.create_task_group() as tasks:
        # Given an actor at work, a turn of which sends a message, and whose commit is under way,
        await world.host.ask(counter("sender"), Work(busy=True))
        store.hold()
        tasks.start_soon(world.host.ask, counter("sender"), Add(1))
        tasks.start_soon(world.host.ask, counter("sender"), Tell(counter("receiver"), Add(1)))
        await anyio.wait_all_tasks_blocked()
        # when a later one calls the message off, and the actor is quiet,
        [turn] = [each.turn for each in world.host._committer.unfinished() if each.turn.messages]
        turn.messages, turn.called_off = [], 1
        tasks.start_soon(world.host.ask, counter("sender"), BeQuiet())
        store.release()
        # then no work of it is in flight.
        await anyio.wait_all_tasks_blocked()
        while await store.active():
            await anyio.sleep(0.001)


async def test_a_watcher_is_told_of_each_new_record_and_of_the_end() -> None:
    async with World().running() as world:
        with world.host.watch(counter("a")) as watch:
            await world.host.ask(counter("a"), Add(5))
            await watch.changed()
            assert watch.record == b"5"
            await world.host.ask(counter("a"), Forget())
            await watch.changed()
            assert watch.deleted


@pytest.mark.usefixtures("virtual_backend")
def test_a_reminder_that_was_taken_back_does_not_fire() -> None:
    async def story() -> None:
        clock = LoopClock()
        async with World(clock=clock).running(within_s=1e9) as world:
            due_us = clock.now_us() + 1_000_000
            await world.host.ask(counter("a"), Remind("no", due_us))
            await world.host.ask(counter("a"), Unremind("no", due_us))
            await anyio.sleep(10)
            assert world.counters.reminded == []

    run_virtually(story)
