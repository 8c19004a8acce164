"""Reminders that are due soon, in memory; the others stay in the store.

The rule: a reminder leaves the window only when it is due or its shard leaves, and the window has all
reminders of its shards up to the horizon. So a million sleeping actors cost no
memory, and the store is read again only when the horizon comes near.

There is one horizon for all shards. When a shard comes, its reminders up to the horizon are read before any others; a
shard that leaves takes its reminders along.

Due times are times of the wall clock. When it is set back, the reminders that were due soon get a *deadline* of the
monotonic clock beside their due time, so that a timer of a second takes a second (docs/design/clocks.md).

The module is pure: it gets the time, and the rows of the store, as arguments.
`actors/reminders/loop.py` uses it.
"""

from collections.abc import Callable, Collection, Sequence
from heapq import heapify, heappop, heappush, nsmallest
from typing import NamedTuple

from ..reading import Reading
from ..store.contract import Reminder


class WindowRead(NamedTuple):
    """Which reminders a window wants to be read; the arguments of `Store.reminders`."""

    after: Reminder | None
    until: Reminder | None = None
    shards: frozenset[int] | None = None


class StepBack(NamedTuple):
    """A step back of the wall clock, kept until all reminders that were due soon at that time were read.

    Args:
        until_us: Reminders that are due by this time have a deadline; Unix time, microseconds.
        later_us: The deadline, of the monotonic clock, minus the due time; microseconds.
        shards: The shards of these reminders; None: all.
        set_since: Reminders that were set after the step, which follow the wall clock.
    """

    until_us: int
    later_us: int
    shards: frozenset[int] | None
    set_since: set[Reminder]


class ReminderWindow:
    """The next reminders, in order.

    Args:
        reminders_max: How many to keep in memory. Twice as many may gather
            before the furthest are forgotten again.
        shard_of: The shard of a reminder, where shards come and go: the window begins without shards.
            None: the window has the reminders of all shards of the store, for ever.
    """

    def __init__(self, reminders_max: int = 10_000, *, shard_of: Callable[[Reminder], int] | None = None) -> None:
        assert reminders_max > 0, reminders_max
        self.reminders_max = reminders_max
        self._heap: list[Reminder] = []
        self._live: set[Reminder] = set()
        # The deadlines of reminders, by the monotonic clock (microseconds): as a table, and as a heap. An entry of the
        # heap that is not in the table is void.
        self._deadline_of: dict[Reminder, int] = {}
        self._deadlines: list[tuple[int, Reminder]] = []
        self._steps: list[StepBack] = []  # the oldest first
        # All reminders up to the horizon, itself included, are in memory. None: no reminder was read yet.
        self._horizon: Reminder | None = None
        self._complete = shard_of is not None  # without shards no reminder is missing
        self._shard_of = shard_of
        self._shards: set[int] = set()
        self._coming: set[int] = set()  # shards of which no reminder was read yet
        self._opening: set[int] = set()  # shards that are being read in
        self._opens = False  # whether the last read was for opening shards
        self._opened_to: Reminder | None = None  # how far that read came
        self._left: set[int] = set()  # shards that have left, and whose reminders may still be in memory
        self._left_since: set[int] = set()  # shards that have left during the read under way
        # Reminders that were set and cleared during a read of the store: the read may have missed them.
        self._reading = False
        self._set_since: set[Reminder] = set()
        self._cleared_since: set[Reminder] = set()

    def __len__(self) -> int:
        return len(self._live)

    def set(self, reminder: Reminder, deadline_us: int | None = None) -> None:
        """Add a reminder that was committed, if it is due before the horizon or has a deadline.

        Args:
            deadline_us: See `set_deadline`.
        """
        if self._covers(reminder) or deadline_us is not None:
            self._add(reminder)
            if deadline_us is not None:
                self.set_deadline(reminder, deadline_us)
            if len(self._heap) > 2 * self.reminders_max and not self._reading and not self._steps:
                self._shrink()
            return
        for step in self._steps:
            step.set_since.add(reminder)
        if self._reading:
            self._set_since.add(reminder)
            self._cleared_since.discard(reminder)

    def clear(self, reminder: Reminder) -> None:
        """Remove a reminder that was taken back. One that is not in memory is ignored."""
        self._live.discard(reminder)
        if self._deadline_of:
            self._deadline_of.pop(reminder, None)
        if self._reading:
            self._set_since.discard(reminder)
            self._cleared_since.add(reminder)

    def come(self, shards: Collection[int]) -> None:
        """Take shards in. Their reminders are read before anything else is."""
        if self._left:
            self._purge()
        self._shards.update(shards)
        self._coming.update(shards)

    def leave(self, shards: Collection[int]) -> None:
        """Remove shards, with their reminders."""
        for some in (self._shards, self._coming, self._opening):
            some.difference_update(shards)
        self._left.update(shards)
        if self._reading:
            self._left_since.update(shards)

    @property
    def shards(self) -> Collection[int]:
        """The shards that have come and have not left."""
        return tuple(self._shards)

    @property
    def wants_read(self) -> bool:
        """Whether a shard has come, or a step back wants more, or the window is half empty and the store has more."""
        if self._coming or self._opening or self._steps:
            return True
        return not self._complete and (len(self._live) <= self.reminders_max // 2 or self._is_used_up())

    def begin_read(self) -> WindowRead:
        """Begin a read of the store."""
        assert not self._reading
        self._reading = True
        if not self._opening and self._coming:
            self._opening, self._coming = self._coming, set()
            self._opened_to = None
        self._opens = bool(self._opening)
        if self._opens:
            return WindowRead(self._opened_to, None if self._complete else self._horizon, frozenset(self._opening))
        return WindowRead(self._horizon, None, None if self._shard_of is None else frozenset(self._shards))

    def loaded(self, reminders: Sequence[Reminder], *, limit: int) -> None:
        """End a read.

        Args:
            reminders: The reminders that `begin_read` asked for, in their order.
            limit: The most reminders that the read could return; if it returned fewer, the store has no more.
        """
        assert self._reading
        if not self._opens:
            if reminders:
                self._horizon = reminders[-1]
            self._complete = len(reminders) < limit
        came = [reminder for reminder in reminders if reminder not in self._cleared_since]
        came += filter(self._covers, self._set_since)
        for reminder in came:
            if not self._has_left(reminder):
                self._add(reminder)
                if self._steps and not self._opens:
                    self._put_off(reminder)
        self._steps = [step for step in self._steps if not self._reaches(step.until_us)]
        self._end_read()
        if self._opens:
            if reminders:
                self._opened_to = reminders[-1]
            if len(reminders) < limit or self._covers_no_more_than(self._opened_to):
                self._opening.clear()

    def read_failed(self) -> None:
        """End a read that failed. It may be tried again."""
        self._end_read()

    def pop_due(self, now: Reading, *, limit: int) -> list[Reminder]:
        """Take out the reminders that are due by either clock, at most `limit`.

        Reminders whose deadline has come are the first, in the order of their deadlines; then come reminders that are
        due by the wall clock, earliest first.
        """
        if self._left:
            self._purge()
        due: list[Reminder] = []
        while self._deadlines and len(due) < limit and self._deadlines[0][0] <= now.monotonic_us:
            deadline_us, reminder = heappop(self._deadlines)
            if self._deadline_of.get(reminder) == deadline_us:
                del self._deadline_of[reminder]
                self._live.remove(reminder)
                due.append(reminder)
        while self._heap and len(due) < limit and self._heap[0].due_us <= now.wall_us:
            reminder = heappop(self._heap)
            if reminder in self._live:
                self._live.remove(reminder)
                due.append(reminder)
                if self._deadline_of:
                    self._deadline_of.pop(reminder, None)
        return due

    def set_back(self, before: Reading, now: Reading, *, within_us: int) -> None:
        """Give a deadline to each reminder that was due soon when the wall clock was set back.

        Args:
            before: The last reading before the clock was set back.
            now: A reading after that.
            within_us: A reminder that was due within this time gets a deadline.
        """
        # The time that the wall clock would show now.
        meant_us = before.wall_us + (now.monotonic_us - before.monotonic_us)
        until_us, later_us = meant_us + within_us, now.monotonic_us - meant_us
        for reminder in list(self._live):
            if reminder.due_us <= until_us:
                self.set_deadline(reminder, reminder.due_us + later_us)
        if not self._reaches(until_us):
            # The others are in the store, and are read now: the number of reminders that are due soon has no limit.
            shards = frozenset(self._shards) if self._shard_of is not None else None
            self._steps.append(StepBack(until_us, later_us, shards, set()))

    def set_deadline(self, reminder: Reminder, deadline_us: int) -> None:
        """Let a reminder in memory fire by the monotonic clock too: at its deadline or its due time, if that is first.

        Args:
            deadline_us: By the monotonic clock. A reminder that has a deadline keeps it.
        """
        if reminder in self._live and reminder not in self._deadline_of:
            self._deadline_of[reminder] = deadline_us
            heappush(self._deadlines, (deadline_us, reminder))

    def wait_us(self, now: Reading) -> int | None:
        """How long until the next reminder in memory is due by either clock, microseconds; None if there is none."""
        while self._deadlines and self._deadline_of.get(self._deadlines[0][1]) != self._deadlines[0][0]:
            heappop(self._deadlines)
        due_us = self.next_due_us()
        if due_us is None:
            return None
        wait_us = due_us - now.wall_us
        if self._deadlines:
            wait_us = min(wait_us, self._deadlines[0][0] - now.monotonic_us)
        return max(0, wait_us)

    def next_due_us(self) -> int | None:
        """When the next reminder in memory is due by the wall clock (Unix time, microseconds); None: no reminder."""
        while self._heap and self._heap[0] not in self._live:
            heappop(self._heap)
        return self._heap[0].due_us if self._heap else None

    def _is_used_up(self) -> bool:
        """Whether all reminders in memory are there for their deadlines, beyond the horizon."""
        self.next_due_us()
        return not self._heap or self._horizon is None or self._heap[0] > self._horizon

    def _reaches(self, until_us: int) -> bool:
        """Whether all reminders that are due by then are in memory."""
        return self._complete or (self._horizon is not None and self._horizon.due_us > until_us)

    def _put_off(self, reminder: Reminder) -> None:
        """Give a reminder that was read the deadline of the first step back after it was set."""
        shard = self._shard_of(reminder) if self._shard_of is not None else None
        for step in self._steps:
            if reminder in step.set_since or reminder.due_us > step.until_us:
                continue
            if step.shards is None or shard in step.shards:
                self.set_deadline(reminder, reminder.due_us + step.later_us)

    def _add(self, reminder: Reminder) -> None:
        if reminder not in self._live:
            self._live.add(reminder)
            heappush(self._heap, reminder)

    def _end_read(self) -> None:
        self._reading = False
        self._set_since.clear()
        self._cleared_since.clear()
        self._left_since.clear()
        if len(self._live) > 2 * self.reminders_max and not self._steps:
            self._shrink()

    def _has_left(self, reminder: Reminder) -> bool:
        """Whether the shard of a reminder has left during the read under way."""
        return self._shard_of is not None and self._shard_of(reminder) in self._left_since

    def _purge(self) -> None:
        """Forget the reminders of shards that have left."""
        assert self._shard_of is not None
        self._live = {reminder for reminder in self._live if self._shard_of(reminder) not in self._left}
        self._deadline_of = {each: at for each, at in self._deadline_of.items() if each in self._live}
        self._heap = list(self._live)
        heapify(self._heap)
        self._left.clear()

    def _covers_no_more_than(self, reminder: Reminder | None) -> bool:
        """Whether no reminder after this one belongs in the window."""
        return not self._complete and reminder is not None and self._horizon is not None and self._horizon <= reminder

    def _covers(self, reminder: Reminder) -> bool:
        if self._complete:
            return True
        # Before the first read no reminder is covered: the read will bring it.
        return self._horizon is not None and reminder <= self._horizon

    def _shrink(self) -> None:
        """Forget the furthest half; the store has them."""
        kept = nsmallest(self.reminders_max, self._live)
        self._horizon = kept[-1]
        # Reminders with a deadline may be due before all of these.
        kept += [reminder for reminder in self._deadline_of if reminder > self._horizon]
        self._live = set(kept)
        self._heap = kept
        heapify(self._heap)
        self._complete = False
