"""The reminder loop fires what is due, in virtual time to the microsecond, and survives a store that cannot be read."""

import anyio

from perdure.actors.reminders.loop import ReminderLoop
from perdure.actors.reminders.window import ReminderWindow
from perdure.actors.store.contract import Reminder, Write
from perdure.actors.store.memory import MemoryStore
from perdure.testing.faulty_store import FaultyStore
from perdure.testing.virtual_time import LoopClock, run_virtually

from ...support.actors.counter_actor import counter


class World:
    def __init__(self, reminders_max: int = 10) -> None:
        self.clock = LoopClock()
        self.store = FaultyStore(MemoryStore())
        self.fired: list[tuple[str, int]] = []  # name, how late in microseconds
        self.room = anyio.Event()  # for more than a slice
        self.room.set()
        self.loop = ReminderLoop(
            self.store, self.clock, ReminderWindow(reminders_max), fire=self._fire, room=self._wait_for_room
        )

    def _fire(self, reminder: Reminder) -> None:
        self.fired.append((reminder.name, self.clock.now_us() - reminder.due_us))

    async def _wait_for_room(self) -> None:
        await self.room.wait()

    async def keep(self, *reminders: tuple[str, int]) -> None:
        """Commit reminders of one actor: (name, seconds from now)."""
        epochs = await self.store.claim("here", now_us=1)
        due = [(name, self.clock.now_us() + seconds * 1_000_000) for name, seconds in reminders]
        key = self.store.new_key()
        address = counter(f"actor {key}")
        write = Write(key=key, address=address, shard=0, at_us=1, record=b"", reminders_set=due)
        await self.store.commit([write], {0: epochs[0]})
        for name, due_us in due:
            self.loop.set(Reminder(due_us, key, name, address))


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


def test_who_is_due_waits_in_the_store_until_there_is_room() -> None:
    async def story() -> None:
        # Given more that are due at once than are sent off at once, and nobody who takes more,
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


def test_a_window_that_takes_several_reads_is_filled_before_the_loop_sleeps() -> None:
    async def story() -> None:
        # Given reminders that the loop has not heard of, as after a restart, and more than are read at once,
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
