"""Messages and reminders reach their actor, and an actor is read from the store before."""

import anyio.lowlevel
import pytest

from perdure.actors.clock import SystemClock
from perdure.actors.cluster.placement import Ownership
from perdure.actors.errors import MailboxFull
from perdure.actors.hosting.host import HostLimits
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import FaultyStore

from ...support.actors.counter_actor import Add, Read, Remind, Work, counter
from ...support.actors.one_host import World

pytestmark = pytest.mark.anyio


async def test_an_address_that_was_just_made_up_needs_no_look_into_the_store() -> None:
    store = FaultyStore(MemoryStore())
    async with World(store).running() as world:
        assert await world.host.ask(counter("a"), Add(1), new=True) == 1
        assert store.loads == 0
        assert await world.host.ask(counter("a"), Add(1)) == 2
        assert await world.host.ask(counter("b"), Add(1)) == 1
        assert store.loads == 1


async def test_a_request_that_comes_before_the_recovery_of_its_actor_does_not_take_its_place() -> None:
    store = MemoryStore()
    async with World(store).running() as world:
        await world.host.ask(counter("a"), Work(busy=True))
    async with World(store).running() as world:
        await world.host.ask(counter("a"), Add(1))
        assert world.counters.recovered == ["a"]


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
            # and a message without a caller is still taken.
            world.host.send(counter("a"), Add(1))
            store.release_loads()
        assert await world.host.ask(counter("a"), Read()) == 3


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


@pytest.mark.parametrize("owner", ["host-1", None])
async def test_a_reminder_of_a_shard_that_this_host_does_not_own_is_dropped(owner: str | None) -> None:
    clock = SystemClock()
    async with World(clock=clock).running() as world:
        # Given a reminder that is due soon, of an actor whose shard the host then loses,
        far, near = counter("far"), counter("near")
        await world.host.ask(far, Remind("lost", clock.now_us() + 300_000))
        shard = world.host.placement.locate(far)
        assert world.host.placement.locate(near) != shard
        if owner is not None:
            world.host.placement.lost(shard, Ownership(host=owner, epoch=2))
        else:
            del world.host.placement._owners[shard]
        # when it is due, and so is one of another actor behind it,
        await world.host.ask(near, Remind("kept", clock.now_us() + 310_000))
        while not world.counters.reminded:
            await anyio.sleep(0.005)
        # then the first reaches no actor, the store keeps it, and the host continues.
        assert [name for _, name, _, _ in world.counters.reminded] == ["kept"]
        assert await world.host.ask(near, Add(1)) == 1  # answered behind the commit of that turn
        assert [each.name for each in await world.store.reminders(after=None, limit=9)] == ["lost"]
