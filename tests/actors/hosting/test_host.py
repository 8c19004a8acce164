"""A host runs virtual actors: one turn at a time, effects after the commit, nothing lost, nothing invented."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from perdure.actors.address import Address
from perdure.actors.clock import Clock, SystemClock
from perdure.actors.errors import ActorFailed, HostStopping, MailboxFull
from perdure.actors.hosting.host import Host, HostLimits
from perdure.actors.store.contract import Store
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import FaultyStore
from perdure.testing.virtual_time import LoopClock, run_virtually

from ...support.actors.counter_actor import (
    Add,
    Break,
    CounterType,
    Forget,
    Read,
    Remind,
    Settle,
    Tell,
    Unremind,
    Work,
    counter,
)

pytestmark = pytest.mark.anyio


class World:
    """A host of counters, and where the messages to other addresses went."""

    def __init__(self, store: Store | None = None, *, clock: Clock | None = None, limits: HostLimits | None = None):
        self.store = store or MemoryStore()
        self.counters = CounterType()
        self.outside: list[tuple[Address, Any]] = []
        self.host = Host(
            self.store,
            clock or SystemClock(),
            types={"counter": self.counters},
            routes={"outside": lambda address, body: self.outside.append((address, body))},
            limits=limits,
        )

    @asynccontextmanager
    async def running(self, *, within_s: float = 10) -> AsyncIterator["World"]:
        with anyio.fail_after(within_s):
            await self.host.open()
            async with self.host.running():
                yield self


async def test_a_message_is_answered_after_its_turn() -> None:
    async with World().running() as world:
        assert await world.host.ask(counter("a"), Add(2)) == 2
        assert await world.host.ask(counter("a"), Add(3)) == 5
        assert await world.host.ask(counter("b"), Add(1)) == 1


async def test_what_was_committed_is_there_after_a_restart() -> None:
    store = MemoryStore()
    async with World(store).running() as world:
        await world.host.ask(counter("a"), Add(2))
    async with World(store).running() as world:
        assert await world.host.ask(counter("a"), Read()) == 2


async def test_messages_that_wait_together_are_handled_in_one_turn_in_their_order() -> None:
    async with World().running() as world, anyio.create_task_group() as tasks:
        await world.host.ask(counter("a"), Read())
        for amount in (1, 2, 3):
            tasks.start_soon(world.host.ask, counter("a"), Add(amount))
            await anyio.lowlevel.checkpoint()
    amounts = [body.amount for _, bodies in world.counters.turns for body in bodies if isinstance(body, Add)]
    assert amounts == [1, 2, 3]


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
        # then a turn that wrote nothing is done, and those that wait for the commit are not.
        assert world.outside == [(Address("outside", "x"), "hello")]
        assert answers == []
        store.release()
    assert answers == [1]
    assert (Address("outside", "y"), "after b") in world.outside


async def test_what_is_sent_early_goes_before_the_commit_and_not_from_a_turn_that_breaks() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world, anyio.create_task_group() as tasks:
        store.hold()
        tasks.start_soon(world.host.ask, counter("a"), Add(1))
        tasks.start_soon(world.host.ask, counter("a"), Tell(Address("outside", "x"), "hello", early=True))
        await anyio.wait_all_tasks_blocked()
        assert store.commits == 0
        assert world.outside == [(Address("outside", "x"), "hello")]
        store.release()
        world.host.send(counter("b"), Tell(Address("outside", "y"), "never", early=True))
        with pytest.raises(ActorFailed):
            await world.host.ask(counter("b"), Break())
        assert len(world.outside) == 1


async def test_an_address_that_was_just_made_up_needs_no_look_into_the_store() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world:
        assert await world.host.ask(counter("a"), Add(1), new=True) == 1
        assert store.loads == 0
        assert await world.host.ask(counter("a"), Add(1)) == 2
        assert await world.host.ask(counter("b"), Add(1)) == 1
        assert store.loads == 1


async def test_later_turns_run_on_state_whose_commit_is_under_way() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world, anyio.create_task_group() as tasks:
        await world.host.ask(counter("a"), Add(1))
        store.hold()
        for _ in range(3):
            tasks.start_soon(world.host.ask, counter("a"), Add(1))
            await anyio.wait_all_tasks_blocked()
        # Three turns were taken while not one commit came back.
        assert len([bodies for _, bodies in world.counters.turns if bodies == [Add(1)]]) == 4
        store.release()
        assert await world.host.ask(counter("a"), Read()) == 4


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


async def test_a_turn_that_breaks_answers_with_an_error_and_changes_nothing() -> None:
    async with World().running() as world:
        await world.host.ask(counter("a"), Add(1))
        with pytest.raises(ActorFailed, match="broken on purpose"):
            await world.host.ask(counter("a"), Break())
        assert await world.host.ask(counter("a"), Read()) == 1


async def test_an_actor_that_breaks_while_its_last_turn_is_being_written_loses_nothing() -> None:
    # Given a turn under way to the store, whose commit will fail,
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world:
        world.host.RETRY_MAX_S = 0.01
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


async def test_who_waits_for_a_message_that_was_never_read_is_told_when_the_host_ends() -> None:
    store = FaultyStore(MemoryStore())
    async with anyio.create_task_group() as tasks:

        async def ask(world: World) -> None:
            with pytest.raises((HostStopping, StoreFailed)):
                await world.host.ask(counter("a"), Add(1))

        world = World(store)
        world.host.STOP_S = 0.05
        async with world.running():
            store.hold_loads()
            tasks.start_soon(ask, world)
            await anyio.wait_all_tasks_blocked()
    with pytest.raises(HostStopping):
        await world.host.inspect(counter("a"))


async def test_a_request_that_comes_before_the_recovery_of_its_actor_does_not_take_its_place() -> None:
    store = MemoryStore()
    async with World(store).running() as world:
        await world.host.ask(counter("a"), Work(busy=True))
    async with World(store).running() as world:
        await world.host.ask(counter("a"), Add(1))
        assert world.counters.recovered == ["a"]


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


async def test_a_full_mailbox_refuses_callers_and_takes_what_actors_send() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store, limits=HostLimits(mailbox_messages_max=2)).running() as world:
        # Given an actor that is still being loaded, with two messages waiting,
        store.hold_loads()
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(world.host.ask, counter("a"), Add(1))
            await anyio.wait_all_tasks_blocked()
            # then a third caller is refused with the limit's name,
            with pytest.raises(MailboxFull, match="mailbox_messages_max"):
                await world.host.ask(counter("a"), Add(1))
            # and what nobody waits for is taken all the same.
            world.host.send(counter("a"), Add(1))
            store.release_loads()
        assert await world.host.ask(counter("a"), Read()) == 3


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


async def test_an_actor_with_work_in_flight_is_recovered_after_a_crash_and_a_sleeping_one_is_not() -> None:
    store = MemoryStore()
    # Given one actor at work, one that has finished, one that never began,
    async with World(store, limits=HostLimits(activations_max=0)).running() as world:
        await world.host.ask(counter("working"), Work(busy=True))
        await world.host.ask(counter("finished"), Work(busy=True))
        await world.host.ask(counter("finished"), Work(busy=False))
        await world.host.ask(counter("asleep"), Add(1))
        await anyio.wait_all_tasks_blocked()
    # when the host starts again,
    async with World(store).running() as world:
        await anyio.wait_all_tasks_blocked()
        # then only the first is woken.
        assert world.counters.recovered == ["working"]
        assert world.counters.activated == ["working"]


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
    # And a graceful stop leaves no mark behind.
    await store.open()
    assert await store.active() == []


async def test_the_mark_of_an_actor_that_has_settled_goes_at_once_and_with_its_last_acknowledgement() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world, anyio.create_task_group() as tasks:
        # Given two actors at work, one of which has sent a message that has not arrived,
        await world.host.ask(counter("alone"), Work(busy=True))
        await world.host.ask(counter("sender"), Work(busy=True))
        store.hold_loads()
        tasks.start_soon(world.host.ask, counter("sender"), Tell(counter("receiver"), Add(1)))
        await anyio.wait_all_tasks_blocked()
        # when both settle,
        await world.host.ask(counter("alone"), Settle())
        await world.host.ask(counter("sender"), Settle())
        # then the one is unmarked, and the other as soon as its message is durable where it went.
        assert await store.active() == [counter("sender")]
        store.release_loads()
        await anyio.wait_all_tasks_blocked()
        while await store.active():
            await anyio.sleep(0.001)


async def test_who_waits_for_a_commit_that_never_came_back_is_told_when_the_host_is_cancelled() -> None:
    store = FaultyStore(MemoryStore())
    errors: list[BaseException] = []

    async def ask(world: World) -> None:
        try:
            await world.host.ask(counter("a"), Add(1))
        except StoreFailed as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        world = World(store)
        with anyio.CancelScope() as scope:
            async with world.running():
                store.hold()
                tasks.start_soon(ask, world)
                await store.held()
                scope.cancel()
                await anyio.lowlevel.checkpoint()
    assert "may have happened" in str(errors[0])


async def test_a_deleted_actor_is_gone_and_can_be_created_again() -> None:
    store = MemoryStore()
    async with World(store).running() as world:
        await world.host.ask(counter("a"), Add(5))
        await world.host.ask(counter("a"), Forget())
        assert await world.host.inspect(counter("a")) is None
        assert await world.host.ask(counter("a"), Add(1)) == 1
    async with World(store).running() as world:
        assert await world.host.ask(counter("a"), Read()) == 1


async def test_inspection_shows_what_is_committed_and_activates_nobody() -> None:
    async with World(limits=HostLimits(activations_max=0)).running() as world:
        await world.host.ask(counter("a"), Add(5))
        await world.host.ask(counter("a"), Add(6))
        await anyio.wait_all_tasks_blocked()
        activated = len(world.counters.activated)
        inspection = await world.host.inspect(counter("a"))
        assert inspection is not None
        assert (inspection.record, inspection.first, inspection.last) == (b"11", b"+5", b"+6")
        assert await world.host.inspect(counter("nobody")) is None
        assert len(world.counters.activated) == activated


async def test_inspection_of_an_actor_in_memory_that_is_not_large_reads_nothing() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world:
        await world.host.ask(counter("a"), Add(5))
        await world.host.inspect(counter("a"))
        assert store.inspects == 0
        await world.host.ask(counter("a"), Add(10**3000))
        inspection = await world.host.inspect(counter("a"))
        assert inspection is not None
        assert len(inspection.record) == 3001
        assert store.inspects == 1


async def test_inspection_of_an_actor_in_memory_shows_what_is_committed_and_nothing_that_is_not() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world, anyio.create_task_group() as tasks:
        await world.host.ask(counter("a"), Add(5))
        await world.host.ask(counter("a"), Add(6))
        store.hold()
        tasks.start_soon(world.host.ask, counter("a"), Add(7))
        tasks.start_soon(world.host.ask, counter("b"), Add(7))
        await anyio.wait_all_tasks_blocked()
        inspection = await world.host.inspect(counter("a"))
        assert inspection is not None
        assert (inspection.record, inspection.first, inspection.last) == (b"11", b"+5", b"+6")
        assert await world.host.inspect(counter("b")) is None
        store.release()


async def test_inspection_is_the_same_from_memory_as_from_the_store() -> None:
    async with World().running() as world:
        for body in (Add(1), Add(2), Work(True), Forget(), Add(3)):
            await world.host.ask(counter("a"), body)
            assert [await world.host.inspect(counter("a"))] == await world.store.inspect([counter("a")])


async def test_a_watcher_is_told_of_each_new_record_and_of_the_end() -> None:
    async with World().running() as world:
        with world.host.watch(counter("a")) as watch:
            await world.host.ask(counter("a"), Add(5))
            await watch.changed()
            assert watch.record == b"5"
            await world.host.ask(counter("a"), Forget())
            await watch.changed()
            assert watch.deleted


async def test_a_stopping_host_refuses_callers_and_wakes_watchers() -> None:
    async with World().running() as world:
        with world.host.watch(counter("a")) as watch:
            world.host.refuse()
            await watch.changed()
            with pytest.raises(HostStopping):
                await world.host.ask(counter("a"), Add(1))
            assert not world.host.healthy


async def test_reminders_fire_in_their_order_never_early_and_survive_a_restart() -> None:
    store = MemoryStore()
    clock = SystemClock()
    now_us = clock.now_us()
    async with World(store).running() as world:
        await world.host.ask(counter("a"), Remind("second", now_us + 60_000))
        await world.host.ask(counter("a"), Remind("first", now_us + 30_000))
    async with World(store).running() as world:
        with anyio.fail_after(5):
            while len(world.counters.reminded) < 2:
                await anyio.sleep(0.005)
        assert [name for _, name, _, _ in world.counters.reminded] == ["first", "second"]
        assert all(fired_us >= due_us for _, _, due_us, fired_us in world.counters.reminded)


async def test_a_reminder_of_the_past_fires_at_once() -> None:
    async with World().running() as world:
        await world.host.ask(counter("a"), Remind("late", 1))
        while not world.counters.reminded:
            await anyio.lowlevel.checkpoint()
        assert world.counters.reminded[0][:3] == ("a", "late", 1)


def test_in_virtual_time_a_month_passes_at_once_and_the_reminder_is_exact() -> None:
    async def story() -> None:
        clock = LoopClock()
        async with World(clock=clock).running(within_s=1e9) as world:
            due_us = clock.now_us() + 30 * 24 * 3600 * 1_000_000
            await world.host.ask(counter("a"), Remind("month", due_us))
            while not world.counters.reminded:
                await anyio.sleep(3600)
            (_, _, due, fired_us) = world.counters.reminded[0]
            assert due == due_us
            assert 0 <= fired_us - due_us < 1_000

    run_virtually(story)


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


async def test_an_idle_host_commits_nothing() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world:
        await world.host.ask(counter("a"), Remind("far", SystemClock().now_us() + 3_600_000_000))
        commits = store.commits
        await anyio.wait_all_tasks_blocked()
        await anyio.sleep(0.05)
        assert store.commits == commits
