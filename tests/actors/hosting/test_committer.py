"""The committer gathers turns, writes one group after the other, and keeps the active mark true."""

from collections.abc import Callable

import anyio
import pytest

from perdure.actors.cluster.placement import Placement
from perdure.actors.errors import HostLost
from perdure.actors.hosting.activation import Activation
from perdure.actors.hosting.committer import Committer, TakenTurn
from perdure.actors.store.errors import StoreError, StoreFailed
from perdure.actors.store.memory import MemoryStore
from perdure.actors.turn import Envelope, Turn
from perdure.actors.waiting.reply import Reply
from perdure.actors.waiting.signal import Signal
from perdure.testing.faulty_store import FaultyStore
from perdure.testing.virtual_time import run_virtually

from ...support.actors.counter_actor import counter

pytestmark = pytest.mark.anyio


class World:
    """A committer on a store, and its released and undone turns."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = FaultyStore(store or MemoryStore())
        self.placement = Placement("here")
        self.released: list[str] = []
        self.undone: list[str] = []
        self.let_go: Callable[[], None] = lambda: None  # called when a group is released
        self.now_s = 0.0
        self.committer = Committer(
            self.store, self.placement, release=self._release, undo=self._undo, stopwatch=lambda: self.now_s
        )

    async def open(self) -> None:
        await self.store.open()
        self.placement.claimed(await self.store.claim("here", now_us=1), shards=self.store.shards)

    def actor(self, name: str) -> Activation:
        return Activation(counter(name), self.placement.locate(counter(name)))

    async def existing(self, name: str) -> Activation:
        """An actor that the store has."""
        activation = self.actor(name)
        self.committer.add(activation, begin(), (), 1)
        await self.idle()
        return activation

    async def idle(self) -> None:
        """Wait until nothing is uncommitted, without asking for it."""
        with anyio.fail_after(5):
            while not self.committer.idle:
                await anyio.sleep(0.0005)

    def _release(self, group: object) -> None:
        for taken in group:  # type: ignore[attr-defined]
            assert isinstance(taken, TakenTurn)
            taken.activation.uncommitted -= 1
            self.released.append(taken.activation.address.id)
        self.let_go()

    def _undo(self, void: object, error: StoreError) -> None:
        assert isinstance(error, StoreFailed)
        for taken in void:  # type: ignore[attr-defined]
            self.undone.append(taken.activation.address.id)


def begin() -> Turn:
    return Turn(record=b"r", entry=b"e")


async def test_turns_that_come_while_a_group_is_written_go_together_into_the_next() -> None:
    world = World()
    await world.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.committer.run)
        world.store.hold()
        world.committer.add(world.actor("first"), begin(), (), 1)
        await world.store.held()
        for name in "abcde":
            world.committer.add(world.actor(name), begin(), (), 1)
        world.store.release()
        await world.committer.drain()
        tasks.cancel_scope.cancel()
    assert world.released == ["first", *"abcde"]
    assert world.committer.commits == 2


class ElsewhereStore(MemoryStore):
    """Imitates a store whose commits are the work of another process."""

    commits_elsewhere = True


@pytest.mark.parametrize(
    ("store", "came_s", "commits"),
    [
        (MemoryStore, 9.0, 2),
        # Both processes had work for most of the commit: the next one goes at once.
        (ElsewhereStore, 9.0, 3),
        # This process only waited for the commit.
        (ElsewhereStore, 1.0, 2),
    ],
)
async def test_a_group_that_waited_for_the_last_one_takes_in_what_that_one_lets_go(
    store: Callable[[], MemoryStore], came_s: float, commits: int
) -> None:
    world = World(store())
    await world.open()
    activity, result = Signal(), Signal()
    world.let_go = activity.set
    first, waiting = world.actor("first"), world.actor("waiting")

    async def perform() -> None:
        await activity.wait()
        result.set()

    async def take_turn() -> None:
        await result.wait()
        world.committer.add(first, begin(), (), 1)

    async with anyio.create_task_group() as tasks:
        # Given a commit under way that an activity waits for, and behind it a group that waits for the commit,
        for task in (world.committer.run, perform, take_turn):
            tasks.start_soon(task)
        world.store.hold()
        world.committer.add(first, begin(), (), 1)
        await world.store.held()
        world.committer.turn_over_s = came_s
        world.committer.add(waiting, begin(), (), 1)
        await anyio.wait_all_tasks_blocked()
        # when it is over after ten seconds, then the turn that the activity's result brings about is in the group's
        # commit, unless the group does not wait.
        world.now_s = 10.0
        world.store.release()
        with anyio.fail_after(5):
            while len(world.released) < 3:
                await anyio.sleep(0.0005)
        tasks.cancel_scope.cancel()
    assert world.released == ["first", "waiting", "first"]
    assert world.committer.commits == commits


@pytest.mark.parametrize("urgent", [Turn(record=b"r"), Turn(messages=[(counter("x"), "m")], entry=b"e")])
async def test_a_turn_without_a_waiter_shares_the_commit_of_the_next_one_with_a_waiter(urgent: Turn) -> None:
    world = World()
    world.committer.PATIENCE_S = 60
    await world.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.committer.run)
        actor = await world.existing("a")
        for turn in (Turn(entry=b"1"), Turn(entry=b"2")):
            world.committer.add(actor, turn, (), 1)
            await anyio.wait_all_tasks_blocked()
        assert world.committer.commits == 1
        world.committer.add(actor, urgent, (), 1)
        await world.idle()
        tasks.cancel_scope.cancel()
    assert world.released == ["a"] * 4
    assert world.committer.commits == 2


async def test_a_turn_without_a_waiter_is_committed_soon_by_itself_and_at_once_when_the_host_stops() -> None:
    world = World()
    await world.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.committer.run)
        actor = await world.existing("a")
        world.committer.PATIENCE_S = 0.001
        world.committer.add(actor, Turn(entry=b"1"), (), 1)
        await world.idle()
        world.committer.PATIENCE_S = 60
        world.committer.add(actor, Turn(entry=b"2"), (), 1)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            await world.committer.drain()
        tasks.cancel_scope.cancel()
    assert world.released == ["a"] * 3


async def test_a_turn_that_changed_nothing_and_saw_nothing_uncommitted_needs_no_commit() -> None:
    world = World()
    await world.open()
    world.committer.add(world.actor("a"), Turn(), (), 1)
    assert world.released == ["a"]
    assert world.committer.idle


async def test_a_turn_that_changed_nothing_waits_behind_the_one_whose_state_it_saw() -> None:
    world = World()
    await world.open()
    actor = world.actor("a")
    world.committer.add(actor, begin(), (), 1)
    world.committer.add(actor, Turn(), (), 1)
    assert world.released == []
    assert len(world.committer.unfinished()) == 2


async def test_a_store_that_breaks_its_contract_is_a_store_that_failed() -> None:
    world = World()
    await world.open()

    async def explode(*_: object) -> None:
        raise ZeroDivisionError

    world.store.commit = explode  # type: ignore[method-assign,assignment]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.committer.run)
        world.committer.add(world.actor("a"), begin(), (), 1)
        await world.committer.drain()
        tasks.cancel_scope.cancel()
    assert world.undone == ["a"]
    assert world.committer.failing


@pytest.mark.usefixtures("virtual_backend")
def test_a_failure_long_ago_does_not_count_as_failing() -> None:
    async def main() -> None:
        world = World()
        await world.open()
        world.store.fail_next_commit()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.committer.run)
            world.committer.add(world.actor("a"), begin(), (), 1)
            await world.committer.drain()
            await anyio.sleep(world.committer.FAILING_S - 1)
            assert world.committer.failing
            await anyio.sleep(1)
            assert not world.committer.failing
            tasks.cancel_scope.cancel()

    run_virtually(main)


async def test_the_mark_is_set_with_the_turn_that_brings_work_and_goes_with_the_one_that_ends_it() -> None:
    world = World()
    await world.open()
    actor = world.actor("a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.committer.run)
        world.committer.add(actor, Turn(record=b"r", entry=b"e", busy=True), (), 1)
        await world.committer.drain()
        assert await world.store.active() == [counter("a")]
        # A turn that writes no record leaves it: that would cost a write of its own.
        world.committer.add(actor, Turn(entry=b"e"), (), 1)
        await world.committer.drain()
        assert await world.store.active() == [counter("a")]
        world.committer.retire(actor, 1)
        await world.committer.drain()
        assert await world.store.active() == []
        tasks.cancel_scope.cancel()


async def test_an_actor_that_never_existed_leaves_no_row() -> None:
    world = World()
    await world.open()
    actor = world.actor("a")
    world.committer.add(actor, Turn(reminders_cleared=[("x", 1)]), (), 1)
    assert actor.key is None
    assert world.store.writes == 0


# Shards that leave.


async def test_a_shard_is_settled_when_its_last_commit_is_over() -> None:
    world = World()
    await world.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.committer.run)
        world.store.hold()
        first, second = world.actor("a"), world.actor("b")
        assert first.shard != second.shard
        world.committer.add(first, begin(), (), 1)
        await world.store.held()
        world.committer.add(second, begin(), (), 1)
        settled: list[str] = []

        async def wait(name: str, shard: int) -> None:
            await world.committer.settled(shard)
            settled.append(name)

        for name, shard in (("a", first.shard), ("b", second.shard), ("neither", -1)):
            tasks.start_soon(wait, name, shard)
        await anyio.wait_all_tasks_blocked()
        assert settled == ["neither"]
        world.store.release()
        with anyio.fail_after(5):
            while len(settled) < 3:
                await anyio.sleep(0.001)
        assert settled == ["neither", "a", "b"]
        assert world.released == ["a", "b"]
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("fails", [False, True])
async def test_what_was_abandoned_is_neither_released_nor_undone_whatever_comes_of_its_commit(fails: bool) -> None:
    world = World()
    await world.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.committer.run)
        world.store.hold()
        replies = [Reply(), Reply()]
        world.committer.add(world.actor("flushing"), begin(), [Envelope("x", replies[0])], 1)
        await world.store.held()
        world.committer.add(world.actor("filling"), begin(), [Envelope("x", replies[1])], 1)
        world.committer.abandon(HostLost("here"))
        for reply in replies:
            with pytest.raises(HostLost):
                await reply.wait()
        if fails:
            world.store.fail("commit", 1)
        world.store.release()
        await world.idle()
        assert (world.released, world.undone) == ([], [])
        # The next life commits.
        world.committer.add(world.actor("next"), begin(), (), 1)
        await world.idle()
        assert world.released == ["next"]
        tasks.cancel_scope.cancel()
