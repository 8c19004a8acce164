"""The reminder loop fires due reminders, in virtual time to the microsecond, with any change of the wall clock,
and survives a store that cannot be read.
"""

import anyio
import pytest

from perdure.actors.address import shard_of
from perdure.actors.reminders.loop import ReminderLoop
from perdure.actors.reminders.window import ReminderWindow
from perdure.actors.store.contract import Reminder, Write
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import FaultyStore
from perdure.testing.virtual_time import LoopClock, run_virtually

from ...support.actors.counter_actor import counter

both = pytest.mark.usefixtures(
    "virtual_backend"
)  # except the one that takes hours of seconds, with a look at the clock in each


class World:
    def __init__(self, reminders_max: int = 10) -> None:
        self.clock = LoopClock(may_be_set=True)
        self.store = FaultyStore(MemoryStore())
        self.fired: list[tuple[str, int]] = []  # name, how late in microseconds
        self.room = anyio.Event()  # for more than a slice
        self.room.set()
        self.loop = ReminderLoop(
            self.store, self.clock, ReminderWindow(reminders_max), fire=self._fire, room=self._wait_for_room
        )

    async def fires(self, name: str, within_s: float) -> float | None:
        """The seconds by the event loop's clock until a reminder fires; None: not within that time."""
        began_s = anyio.current_time()
        with anyio.move_on_after(within_s):
            while name not in [fired for fired, _ in self.fired]:
                await anyio.sleep(0.1)
            return round(anyio.current_time() - began_s, 1)
        return None

    def _fire(self, reminder: Reminder) -> None:
        self.fired.append((reminder.name, self.clock.now_us() - reminder.due_us))

    async def _wait_for_room(self) -> None:
        await self.room.wait()

    async def keep(self, *reminders: tuple[str, float], step_s: float = 0) -> int:
        """Commit reminders of one actor: (name, seconds from now), and return its key.

        Args:
            step_s: The clock is set forward by this much before the commit ends.
        """
        epochs = await self.store.claim("here", now_us=1)
        at_us = self.clock.now_us()
        due = [(name, at_us + round(seconds * 1e6)) for name, seconds in reminders]
        if step_s:
            self.clock.step(step_s)
        key = self.store.new_key()
        address = counter(f"actor {key}")
        write = Write(key=key, address=address, shard=0, at_us=1, record=b"", reminders_set=due)
        await self.store.commit([write], {0: epochs[0]})
        for name, due_us in due:
            self.loop.set(Reminder(due_us, key, name, address), at_us)
        return key


@both
def test_reminders_of_the_store_and_new_ones_fire_in_their_order_and_on_time() -> None:
    async def story() -> None:
        world = World()
        await world.store.open()
        await world.keep(("b", 20), ("d", 40))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.loop.run)
            await anyio.sleep(1)
            await world.keep(("a", 9), ("c", 29))
            await anyio.sleep(60)
            tasks.cancel_scope.cancel()
        assert [name for name, _ in world.fired] == ["a", "b", "c", "d"]
        assert all(0 <= late_us < 1_000 for _, late_us in world.fired)

    run_virtually(story)


@both
def test_more_reminders_than_the_window_holds_all_fire() -> None:
    async def story() -> None:
        world = World(reminders_max=3)
        await world.store.open()
        await world.keep(*((str(n), n) for n in range(50)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.loop.run)
            await anyio.sleep(100)
            tasks.cancel_scope.cancel()
        assert [name for name, _ in world.fired] == [str(n) for n in range(50)]

    run_virtually(story)


@both
def test_a_window_that_is_empty_because_its_shard_has_left_is_filled_before_the_loop_sleeps() -> None:
    async def story() -> None:
        # Given more reminders than the window holds, of which the first are of one shard, and the next of another,
        world = World(reminders_max=2)
        await world.store.open()
        first = await world.keep(*((f"a{n}", 10 + n) for n in range(6)))
        then = await world.keep(("c", 20))
        shards = {key: shard_of(f"actor {key}", world.store.shards) for key in (first, then)}
        assert shards[first] != shards[then]
        world.loop._window = ReminderWindow(2, shard_of=lambda reminder: shards[reminder.key])
        world.loop.come(shards.values())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.loop.run)
            await anyio.sleep(1)
            assert {reminder.key for reminder in world.loop._window._live} == {first}
            # when the first shard leaves,
            world.loop.leave([shards[first]])
            await anyio.sleep(60)
            tasks.cancel_scope.cancel()
        # then the timer of the other one is on time.
        assert [(name, late_us < 1_000) for name, late_us in world.fired] == [("c", True)]

    run_virtually(story)


@both
def test_a_store_that_cannot_be_read_is_read_again() -> None:
    async def story() -> None:
        world = World()
        await world.store.open()
        await world.keep(("a", 5))

        async def unreadable(**_: object) -> list[Reminder]:
            raise OSError("no disk")

        readable, world.store.reminders = world.store.reminders, unreadable  # type: ignore[method-assign]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.loop.run)
            await anyio.sleep(10)
            assert world.fired == []
            world.store.reminders = readable  # type: ignore[method-assign]
            await anyio.sleep(2)
            tasks.cancel_scope.cancel()
        assert [name for name, _ in world.fired] == ["a"]

    run_virtually(story)


@both
def test_who_is_due_waits_in_the_store_until_there_is_room() -> None:
    async def story() -> None:
        # Given more due reminders than are sent off at once, and a receiver without room for more,
        world = World(reminders_max=10_000)
        world.room = anyio.Event()
        await world.store.open()
        await world.keep(*((str(n), 5) for n in range(2 * ReminderLoop.SLICE)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.loop.run)
            await anyio.sleep(10)
            first = len(world.fired)
            # when there is room again,
            world.room.set()
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()
        # then the rest follows.
        assert first == ReminderLoop.SLICE
        assert len(world.fired) == 2 * ReminderLoop.SLICE

    run_virtually(story)


@both
def test_a_window_that_takes_several_reads_is_filled_before_the_loop_sleeps() -> None:
    async def story() -> None:
        # Given reminders that the loop does not know, as after a restart, and more than are read at once,
        world = World()
        await world.store.open()
        await world.keep(*((str(n), 5) for n in range(3 * ReminderLoop.READ)))
        window = ReminderWindow(4 * ReminderLoop.READ)
        loop = ReminderLoop(world.store, world.clock, window, fire=world._fire, room=world._wait_for_room)
        async with anyio.create_task_group() as tasks:
            # when it has begun,
            tasks.start_soon(loop.run)
            await anyio.sleep(1)
            # then they are all in memory, before the first of them is due,
            assert len(window) == 3 * ReminderLoop.READ
            await anyio.sleep(5)
            tasks.cancel_scope.cancel()
        # and fire on time.
        assert len(world.fired) == 3 * ReminderLoop.READ
        assert all(0 <= late_us < 1_000 for _, late_us in world.fired)

    run_virtually(story)


HOUR_S = 3600.0


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("due_s", "step_s", "fires_s"),
    [
        # Due soon: the step changes nothing, unless the clock passes the due time.
        (5, -30, 5),
        (5, -HOUR_S, 5),
        (5, 30, 1),
        (59, -HOUR_S, 59),
        (59, 20, 39),
        # Due later: the wall clock counts.
        (2 * HOUR_S, -HOUR_S, 3 * HOUR_S),
        (2 * HOUR_S, HOUR_S, HOUR_S),
        (HOUR_S, 2 * HOUR_S, 1),
    ],
)
def test_a_reminder_keeps_its_time_when_the_clock_is_set(due_s: float, step_s: float, fires_s: float) -> None:
    async def story() -> None:
        world = World()
        await world.store.open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.loop.run)
            # Given a reminder that has been in memory for a while,
            await world.keep(("r", due_s + 5))
            await anyio.sleep(5)
            # when the clock is set, then it fires at its time, or within the second in which the clocks are compared.
            world.clock.step(step_s)
            assert await world.fires("r", 5 * HOUR_S) == pytest.approx(fires_s, abs=1.1)
            tasks.cancel_scope.cancel()

    run_virtually(story)


@both
@pytest.mark.parametrize("step_s", [-HOUR_S, -30.0, -1.5, 30.0, HOUR_S])
def test_a_reminder_that_is_set_after_the_step_takes_its_own_time(step_s: float) -> None:
    async def story() -> None:
        world = World()
        await world.store.open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.loop.run)
            await world.keep(("far", 24 * HOUR_S))
            await anyio.sleep(1)
            world.clock.step(step_s)
            await world.keep(("r", 20))
            assert await world.fires("r", HOUR_S) == pytest.approx(20, abs=0.1)
            tasks.cancel_scope.cancel()

    run_virtually(story)


@both
@pytest.mark.parametrize("step_s", [-HOUR_S, -30.0, -1.5])
@pytest.mark.parametrize("idle_s", [0.5, 30.0])
def test_a_clock_that_is_set_back_during_a_commit_delays_no_timer_of_that_turn(step_s: float, idle_s: float) -> None:
    async def story() -> None:
        world = World()
        await world.store.open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.loop.run)
            await anyio.sleep(idle_s)
            await world.keep(("r", 20), step_s=step_s)
            assert await world.fires("r", 2 * HOUR_S) == pytest.approx(20, abs=0.1)
            tasks.cancel_scope.cancel()

    run_virtually(story)


@both
def test_a_clock_that_runs_ahead_for_a_moment_and_is_put_right_delays_no_short_timer() -> None:
    async def story() -> None:
        world = World()
        await world.store.open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.loop.run)
            world.clock.step(HOUR_S)
            await world.keep(("during", 20))
            await anyio.sleep(0.2)
            world.clock.step(-HOUR_S)
            await world.keep(("after", 10))
            assert await world.fires("after", HOUR_S) == pytest.approx(10, abs=0.1)
            assert await world.fires("during", HOUR_S) == pytest.approx(9.8, abs=0.2)
            tasks.cancel_scope.cancel()

    run_virtually(story)
