"""The reminder window holds all reminders that are due soon, and no others."""

from collections.abc import Callable, Iterable

from hypothesis import given
from hypothesis import strategies as st

from perdure.actors.reading import Reading
from perdure.actors.reminders.window import ReminderWindow, WindowRead
from perdure.actors.store.contract import Reminder

from ...support.actors.counter_actor import counter


def reminder(due_us: int, key: int = 1, name: str = "r") -> Reminder:
    return Reminder(due_us, key, name, counter(str(key)))


def at(wall_us: int, monotonic_us: int = 0) -> Reading:
    return Reading(wall_us, monotonic_us)


def read(window: ReminderWindow, stored: list[Reminder]) -> None:
    """Do the loop's step: read more from the store if the window needs it."""
    if window.wants_read:
        after = window.begin_read().after
        limit = window.reminders_max
        rest = sorted(r for r in stored if after is None or r > after)
        window.loaded(rest[:limit], limit=limit)


def test_before_the_first_read_nothing_is_known_and_nothing_is_due() -> None:
    window = ReminderWindow()
    window.set(reminder(5))
    assert window.next_due_us() is None
    assert window.wants_read
    assert window.begin_read() == WindowRead(None)


def test_due_entries_come_out_in_order_and_once() -> None:
    window = ReminderWindow()
    read(window, [])
    for due_us in (30, 10, 20, 40):
        window.set(reminder(due_us))
    assert window.next_due_us() == 10
    assert [r.due_us for r in window.pop_due(at(30), limit=10)] == [10, 20, 30]
    assert window.pop_due(at(30), limit=10) == []
    assert window.next_due_us() == 40


def test_nothing_is_due_a_microsecond_early() -> None:
    window = ReminderWindow()
    read(window, [])
    window.set(reminder(100))
    assert window.pop_due(at(99), limit=10) == []
    assert window.pop_due(at(100), limit=10) == [reminder(100)]


def test_a_reminder_that_was_cleared_does_not_come_out() -> None:
    window = ReminderWindow()
    read(window, [])
    window.set(reminder(10))
    window.clear(reminder(10))
    assert window.next_due_us() is None
    assert window.pop_due(at(100), limit=10) == []


def test_clearing_a_missing_reminder_is_harmless() -> None:
    window = ReminderWindow()
    window.clear(reminder(10))
    assert len(window) == 0


def test_a_million_reminders_cost_no_more_than_the_window() -> None:
    stored = [reminder(due_us, key=due_us) for due_us in range(1_000)]
    window = ReminderWindow(reminders_max=100)
    read(window, stored)
    assert len(window) == 100
    for due_us in range(1_000, 2_000):
        window.set(reminder(due_us, key=due_us))
    assert len(window) == 100


def test_a_window_that_overflows_lets_the_furthest_go_and_reads_them_again() -> None:
    window = ReminderWindow(reminders_max=10)
    read(window, [])
    stored = [reminder(due_us, key=due_us) for due_us in range(100)]
    for each in reversed(stored):
        window.set(each)
    assert len(window) <= 20
    out: list[Reminder] = []
    while len(out) < 100:
        read(window, stored)
        out += window.pop_due(at(1_000), limit=7)
    assert out == stored


def test_a_reminder_that_is_set_while_the_store_is_read_is_not_lost() -> None:
    # Given a read that began before the commit of a reminder,
    window = ReminderWindow()
    window.begin_read()
    window.set(reminder(5))
    window.set(reminder(7))
    window.clear(reminder(7))
    # when the read returns without it, and with one that was cleared meanwhile,
    window.clear(reminder(6))
    window.loaded([reminder(6)], limit=100)
    # then the first is there and the others are not.
    assert window.pop_due(at(10), limit=10) == [reminder(5)]


def test_a_read_that_failed_is_tried_again() -> None:
    window = ReminderWindow()
    window.begin_read()
    window.set(reminder(5))
    window.read_failed()
    assert window.wants_read
    read(window, [reminder(5)])
    assert window.pop_due(at(10), limit=10) == [reminder(5)]


@given(
    st.lists(st.tuples(st.sampled_from(["set", "clear", "pop"]), st.integers(0, 50), st.integers(1, 5)), max_size=80),
    st.integers(1, 8),
)
def test_whatever_is_set_and_cleared_each_reminder_fires_once_at_its_time(
    steps: list[tuple[str, int, int]], reminders_max: int
) -> None:
    # Given a store and a window with the same changes,
    stored: set[Reminder] = set()
    fired: list[Reminder] = []
    window = ReminderWindow(reminders_max)
    now_us = 0
    for step, value, key in steps:
        read(window, sorted(stored))
        match step:
            case "set":
                new = reminder(now_us + value, key)
                if new not in stored and new not in fired:
                    stored.add(new)
                    window.set(new)
            case "clear":
                for old in [r for r in stored if r.key == key]:
                    stored.discard(old)
                    window.clear(old)
            case "pop":
                now_us += value
                read(window, sorted(stored))
                for due in window.pop_due(at(now_us), limit=3):
                    assert due.due_us <= now_us
                    assert due in stored
                    stored.discard(due)
                    fired.append(due)
    # when all time has passed,
    for _ in range(200):
        read(window, sorted(stored))
        for due in window.pop_due(at(10_000), limit=3):
            assert due in stored
            stored.discard(due)
            fired.append(due)
    # then nothing is left behind, and nothing fired twice.
    assert not stored
    assert len(fired) == len(set(fired))


def window_of(*reminders: Reminder, reminders_max: int = 10) -> ReminderWindow:
    window = ReminderWindow(reminders_max)
    read(window, [])
    for each in reminders:
        window.set(each)
    return window


def test_a_reminder_that_was_due_soon_keeps_its_time_when_the_clock_is_set_back() -> None:
    # Given a reminder that is due in 10 and one that is due in 100,
    soon, late = reminder(1_010), reminder(1_100, 2)
    window = window_of(soon, late)
    # when the wall clock is set back by 500, and 3 have passed,
    window.set_back(at(1_000, 0), at(503, 3), within_us=60)
    # then the first is due in 7 by the monotonic clock, and the second by the wall clock alone.
    assert window.wait_us(at(503, 3)) == 7
    assert window.pop_due(at(509, 9), limit=10) == []
    assert window.pop_due(at(510, 10), limit=10) == [soon]
    assert window.wait_us(at(510, 10)) == 590
    assert window.pop_due(at(1_100, 600), limit=10) == [late]


def test_a_reminder_with_a_deadline_fires_once_by_whichever_clock_is_first() -> None:
    for now in (at(1_010, 5), at(600, 10), at(1_010, 10)):
        window = window_of(reminder(1_010))
        window.set_back(at(1_000, 0), at(500, 0), within_us=60)
        assert window.pop_due(now, limit=10) == [reminder(1_010)]
        assert window.pop_due(at(2_000, 2_000), limit=10) == []
        assert window.wait_us(at(2_000, 2_000)) is None


def test_a_clock_that_is_set_back_again_moves_no_deadline() -> None:
    window = window_of(reminder(1_010))
    window.set_back(at(1_000, 0), at(980, 0), within_us=60)
    window.set_back(at(982, 2), at(962, 2), within_us=60)
    assert window.wait_us(at(962, 2)) == 8


def test_a_reminder_that_is_cleared_has_no_deadline_any_more_even_if_it_is_set_again() -> None:
    window = window_of(reminder(1_010))
    window.set_back(at(1_000, 0), at(500, 0), within_us=60)
    window.clear(reminder(1_010))
    assert window.wait_us(at(500, 0)) is None
    window.set(reminder(1_010))
    assert window.pop_due(at(600, 100), limit=10) == []
    assert window.wait_us(at(600, 100)) == 410


def fired(window: ReminderWindow, stored: list[Reminder], now: Reading, until_us: int) -> dict[Reminder, int]:
    """Let time pass by both clocks, and return when each reminder fires, by the monotonic one; each fires once."""
    found: dict[Reminder, int] = {}
    for passed_us in range(until_us - now.monotonic_us + 1):
        reading = Reading(now.wall_us + passed_us, now.monotonic_us + passed_us)
        due: list[Reminder] | None = None
        while due is None or due:
            read_all(window, stored)
            due = window.pop_due(reading, limit=1_000)
            for each in due:
                assert each not in found
                found[each] = reading.monotonic_us
                stored.remove(each)
    return found


@given(
    st.lists(st.integers(101, 250), max_size=12, unique=True),
    st.lists(st.integers(11, 250), max_size=12, unique=True),
    st.integers(1, 4),
    st.booleans(),
)
def test_all_that_was_due_soon_keeps_its_time_however_few_are_in_memory(
    before: list[int], since: list[int], reminders_max: int, reads: bool
) -> None:
    # Given reminders at 100 by the wall clock, of which the window has some,
    window = ReminderWindow(reminders_max)
    stored: list[Reminder] = []
    if reads:
        read_all(window, stored)
    for due_us in before:
        stored.append(reminder(due_us, key=1))
        window.set(stored[-1])
    # when the clock is set back to 10, and others are set after that,
    window.set_back(at(100, 0), at(10, 0), within_us=60)
    for due_us in since:
        stored.append(reminder(due_us, key=2))
        window.set(stored[-1])
    found = fired(window, stored, at(10, 0), 250)
    # then reminders that were due within 60 fire as if it had not been set, and all others by the wall clock.
    assert {each.due_us: at_us for each, at_us in found.items() if each.key == 1} == {
        due_us: due_us - (100 if due_us <= 160 else 10) for due_us in before
    }
    assert {each.due_us: at_us for each, at_us in found.items() if each.key == 2} == {each: each - 10 for each in since}


def test_a_second_step_back_is_for_what_was_set_after_the_first() -> None:
    window, stored = ReminderWindow(1), [reminder(130, key=1), reminder(140, key=2)]
    read_all(window, stored[:1])
    window.set(stored[1])
    window.set(reminder(120, key=3))  # so that the others leave the memory
    stored.append(reminder(120, key=3))
    window.set_back(at(100, 0), at(10, 0), within_us=60)
    stored.append(reminder(30, key=4))
    window.set(stored[-1])
    window.set_back(at(10, 0), at(0, 0), within_us=60)
    found = fired(window, stored, at(0, 0), 100)
    assert {each.key: at_us for each, at_us in found.items()} == {1: 30, 2: 40, 3: 20, 4: 20}


def test_of_a_shard_that_comes_after_a_step_back_no_reminder_has_a_deadline() -> None:
    window = sharded(reminders_max=1)
    window.come([1])
    stored = [reminder(130, key=1), reminder(131, key=1, name="s"), reminder(132, key=2)]
    read_all(window, stored)
    window.set_back(at(100, 0), at(10, 0), within_us=60)
    window.come([2])
    found = fired(window, stored, at(10, 0), 130)
    assert [(each.due_us, at_us) for each, at_us in found.items()] == [(130, 30), (131, 31), (132, 122)]


def test_a_reminder_with_a_deadline_is_in_memory_though_it_is_beyond_the_horizon() -> None:
    window, stored = ReminderWindow(1), [reminder(10, key=1), reminder(20, key=2)]
    read(window, stored)
    late = reminder(500, key=3)
    stored.append(late)
    window.set(late, 5)
    assert window.pop_due(at(1, 5), limit=10) == [late]
    stored.remove(late)
    assert fired(window, stored, at(1, 5), 100) == {reminder(10, key=1): 14, reminder(20, key=2): 24}


def test_a_window_that_forgets_its_furthest_half_keeps_what_has_a_deadline() -> None:
    # Given a reminder that was due soon, and is far away by the clock that was set back,
    far = reminder(1_010, 99)
    window = window_of(far, reminders_max=3)
    window.set_back(at(1_000, 0), at(500, 0), within_us=60)
    # when the window forgets the furthest because many others come,
    for key in range(10):
        window.set(reminder(600 + key, key))
    assert len(window) < 10
    # then it still fires.
    assert window.pop_due(at(510, 10), limit=10) == [far]


# Shards that come and go.

SHARDS = 4


def key_shard(reminder: Reminder) -> int:
    return reminder.key % SHARDS


def sharded(reminders_max: int = 10_000) -> ReminderWindow:
    return ReminderWindow(reminders_max, shard_of=key_shard)


def asked(stored: Iterable[Reminder], read: WindowRead, limit: int) -> list[Reminder]:
    """The answer of a store."""
    after, until, shards = read
    return sorted(
        each
        for each in stored
        if (after is None or each > after)
        and (until is None or each <= until)
        and (shards is None or key_shard(each) in shards)
    )[:limit]


def read_all(window: ReminderWindow, stored: Iterable[Reminder]) -> None:
    """Do the steps of the loop before it looks for due reminders."""
    limit = window.reminders_max
    while window.wants_read:
        window.loaded(asked(stored, window.begin_read(), limit), limit=limit)


def test_a_window_without_a_shard_reads_nothing_and_lacks_nothing() -> None:
    window = sharded()
    assert not window.wants_read
    assert window.next_due_us() is None


def test_a_shard_that_comes_is_read_up_to_the_horizon_and_no_further() -> None:
    # Given a window whose horizon is at 20,
    stored = [reminder(due_us, key) for due_us in range(10, 60, 10) for key in (0, 1)]
    window = sharded(reminders_max=2)
    window.come([0])
    window.loaded(asked(stored, window.begin_read(), 2), limit=2)
    window.loaded(asked(stored, window.begin_read(), 2), limit=2)
    window.loaded(asked(stored, window.begin_read(), 2), limit=2)
    assert not window.wants_read
    # when a shard comes, then only what may be due before the horizon is asked for.
    window.come([1])
    wanted = window.begin_read()
    assert wanted == WindowRead(None, reminder(20, 0), frozenset({1}))


def test_a_shard_that_leaves_takes_its_reminders_along() -> None:
    window = sharded()
    window.come([0, 1])
    read_all(window, [reminder(10, 0), reminder(10, 1)])
    window.leave([0])
    assert window.pop_due(at(100), limit=9) == [reminder(10, 1)]
    assert window.next_due_us() is None


def test_a_shard_that_leaves_while_it_is_read_is_not_there_when_the_read_ends() -> None:
    window = sharded()
    window.come([0, 1])
    window.begin_read()
    window.set(reminder(5, 0))
    window.leave([0])
    window.loaded([reminder(10, 0), reminder(10, 1)], limit=9)
    assert window.pop_due(at(100), limit=9) == [reminder(10, 1)]


def test_a_shard_that_comes_back_while_it_is_read_is_read_anew() -> None:
    # Given a read that began before the shard left, and another host cleared a reminder of it,
    window = sharded()
    window.come([0])
    stale = asked([reminder(10, 0)], window.begin_read(), 9)
    window.leave([0])
    window.come([0])
    # when the read ends,
    window.loaded(stale, limit=9)
    # then its result does not count.
    read_all(window, [reminder(20, 0)])
    assert window.pop_due(at(100), limit=9) == [reminder(20, 0)]


def test_a_shard_with_more_reminders_than_the_window_holds_does_not_fill_the_memory() -> None:
    stored = [reminder(due_us, due_us * SHARDS) for due_us in range(1_000)]
    window = sharded(reminders_max=10)
    window.come([0])
    read_all(window, stored)
    assert len(window) <= 20
    out: list[Reminder] = []
    while len(out) < 1_000:
        out += window.pop_due(at(1_000), limit=7)
        read_all(window, stored)
    assert out == stored


class Hosts:
    """A store that other hosts write to as well, and the window of one host, which learns only of its own shards."""

    def __init__(self, reminders_max: int) -> None:
        self.stored: set[Reminder] = set()
        self.window = sharded(reminders_max)
        self.own: set[int] = set()
        self.under_way: list[Reminder] | None = None
        self.now_us = 0

    def set(self, wait_us: int, key: int) -> None:
        new = reminder(self.now_us + wait_us, key)
        self.stored.add(new)
        if key % SHARDS in self.own:
            self.window.set(new)

    def clear(self, _: int, key: int) -> None:
        for old in [each for each in self.stored if each.key == key]:
            self.stored.discard(old)
            if key % SHARDS in self.own:
                self.window.clear(old)

    def come(self, _: int, key: int) -> None:
        if key % SHARDS not in self.own:
            self.own.add(key % SHARDS)
            self.window.come([key % SHARDS])

    def leave(self, _: int, key: int) -> None:
        if key % SHARDS in self.own:
            self.own.discard(key % SHARDS)
            self.window.leave([key % SHARDS])

    def begin(self, *_: int) -> None:
        if self.under_way is None and self.window.wants_read:
            self.under_way = asked(self.stored, self.window.begin_read(), self.window.reminders_max)

    def end(self, *_: int) -> None:
        if self.under_way is not None:
            self.window.loaded(self.under_way, limit=self.window.reminders_max)
            self.under_way = None

    def fail(self, *_: int) -> None:
        if self.under_way is not None:
            self.window.read_failed()
            self.under_way = None

    def pop(self, wait_us: int, _: int) -> None:
        self.now_us += wait_us
        for due in self.window.pop_due(at(self.now_us), limit=3):
            assert due.due_us <= self.now_us
            assert key_shard(due) in self.own
            assert due in self.stored
            self.stored.discard(due)
            self.window.clear(due)


STEPS = [Hosts.set, Hosts.clear, Hosts.come, Hosts.leave, Hosts.begin, Hosts.end, Hosts.fail, Hosts.pop]


@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 50), st.integers(0, 7)), max_size=120),
    st.integers(1, 8),
)
def test_whatever_shards_come_and_go_their_reminders_fire_and_no_others(
    steps: list[tuple[Callable[..., None], int, int]], reminders_max: int
) -> None:
    # Given shards that come and go, while reminders are set, cleared, read and fired,
    hosts = Hosts(reminders_max)
    for step, wait_us, key in steps:
        step(hosts, wait_us, key)
    # when all remaining reminders are due,
    hosts.end()
    for _ in range(len(hosts.stored) + 2):
        read_all(hosts.window, hosts.stored)
        hosts.pop(10_000, 0)
    # then no reminder of the host's own shards is left.
    assert not [each for each in hosts.stored if key_shard(each) in hosts.own]
