"""A host runs virtual actors: one turn at a time, effects after the commit, no message lost, none invented."""

import anyio
import anyio.lowlevel
import pytest

from perdure.actors.clock import SystemClock
from perdure.actors.errors import HostStopping
from perdure.actors.hosting.host import HostLimits
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import FaultyStore
from perdure.testing.virtual_time import LoopClock, run_virtually

from ...support.actors.counter_actor import (
    Add,
    Forget,
    Read,
    Remind,
    Work,
    counter,
)
from ...support.actors.one_host import World

pytestmark = pytest.mark.anyio


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


async def test_inspection_shows_the_committed_state_and_activates_no_actor() -> None:
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


async def test_a_stopping_host_refuses_callers_and_wakes_watchers() -> None:
    async with World().running() as world:
        with world.host.watch(counter("a")) as watch:
            world.host.refuse()
            await watch.changed()
            with pytest.raises(HostStopping):
                await world.host.ask(counter("a"), Add(1))
            assert not world.host.healthy


@pytest.mark.usefixtures("virtual_backend")
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


async def test_an_idle_host_commits_nothing() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world:
        await world.host.ask(counter("a"), Remind("far", SystemClock().now_us() + 3_600_000_000))
        commits = store.commits
        await anyio.wait_all_tasks_blocked()
        await anyio.sleep(0.05)
        assert store.commits == commits


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_callers_who_come_together_share_a_read_and_a_commit() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world:
        await anyio.wait_all_tasks_blocked()
        commits, loads = store.commits, store.loads
        # Given callers of actors that are not in memory, one in each round and two of them of the same actor,
        async with anyio.create_task_group() as tasks:
            for name in "abca":
                tasks.start_soon(world.host.ask, counter(name), Add(1))
                await anyio.lowlevel.checkpoint()
        # then all were read together and had one commit.
        assert store.loads == loads + 1
        assert store.commits == commits + 1
        assert await world.host.ask(counter("a"), Read()) == 2
