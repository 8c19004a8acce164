"""An actor takes one turn at a time, and a turn that fails changes nothing."""

import anyio.lowlevel
import pytest

from perdure.actors.address import Address
from perdure.actors.errors import ActorFailed
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import FaultyStore

from ...support.actors.counter_actor import Add, Break, Read, Tell, counter
from ...support.actors.one_host import World

pytestmark = pytest.mark.anyio


async def test_messages_that_wait_together_are_handled_in_one_turn_in_their_order() -> None:
    async with World().running() as world, anyio.create_task_group() as tasks:
        await world.host.ask(counter("a"), Read())
        for amount in (1, 2, 3):
            tasks.start_soon(world.host.ask, counter("a"), Add(amount))
            await anyio.lowlevel.checkpoint()
    amounts = [body.amount for _, bodies in world.counters.turns for body in bodies if isinstance(body, Add)]
    assert amounts == [1, 2, 3]


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


async def test_a_turn_that_breaks_answers_with_an_error_and_changes_nothing() -> None:
    async with World().running() as world:
        await world.host.ask(counter("a"), Add(1))
        with pytest.raises(ActorFailed, match="broken on purpose"):
            await world.host.ask(counter("a"), Break())
        assert await world.host.ask(counter("a"), Read()) == 1
