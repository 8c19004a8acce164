"""Reminders that are due soon, in memory; the others stay in the store.

The one law: a reminder leaves the window only when it is due, and none that
the store holds before the horizon is missing from the window. So a million
sleepers cost no memory, and the store is read again only when the time of what
was not read comes near.

Pure: told what the store holds and what time it is.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush, nsmallest

from ..store.contract import Reminder


class ReminderWindow:
    """The next reminders, in order.

    Args:
        reminders_max: How many to keep in memory. Twice as many may gather
            before the furthest are let go again.
    """

    def __init__(self, reminders_max: int = 10_000) -> None:
        assert reminders_max > 0, reminders_max
        self.reminders_max = reminders_max
        self._heap: list[Reminder] = []
        self._live: set[Reminder] = set()
        # Everything up to and including the horizon is in memory; None: everything is.
        self._horizon: Reminder | None = None
        self._complete = False
        # What was set and cleared while the store is being read: the read may have been too early to see it.
        self._reading = False
        self._set_since: set[Reminder] = set()
        self._cleared_since: set[Reminder] = set()

    def __len__(self) -> int:
        return len(self._live)

    def set(self, reminder: Reminder) -> None:
        """A reminder was committed."""
        if self._covers(reminder):
            self._add(reminder)
            if len(self._heap) > 2 * self.reminders_max and not self._reading:
                self._shrink()
        elif self._reading:
            self._set_since.add(reminder)
            self._cleared_since.discard(reminder)

    def clear(self, reminder: Reminder) -> None:
        """A reminder was taken back; it will not fire. Harmless for one that is not here."""
        self._live.discard(reminder)
        if self._reading:
            self._set_since.discard(reminder)
            self._cleared_since.add(reminder)

    @property
    def wants_read(self) -> bool:
        """Whether the store has to be read on now."""
        return not self._complete and len(self._live) <= self.reminders_max // 2

    def begin_read(self) -> Reminder | None:
        """The store is about to be read; from just behind which reminder (None: from the first)."""
        assert not self._reading
        self._reading = True
        return self._horizon

    def loaded(self, reminders: Sequence[Reminder], *, limit: int) -> None:
        """What the store holds behind the horizon was read, at most `limit`; fewer than that means all."""
        assert self._reading
        assert not self._complete
        if reminders:
            self._horizon = reminders[-1]
        self._complete = len(reminders) < limit
        for reminder in reminders:
            if reminder not in self._cleared_since:
                self._add(reminder)
        for reminder in self._set_since:
            if self._covers(reminder):
                self._add(reminder)
        self._end_read()

    def read_failed(self) -> None:
        """The read brought nothing; it will be tried again."""
        self._end_read()

    def pop_due(self, now_us: int, *, limit: int) -> list[Reminder]:
        """Take out what is due at `now_us`, earliest first, at most `limit`."""
        due: list[Reminder] = []
        while self._heap and len(due) < limit and self._heap[0].due_us <= now_us:
            reminder = heappop(self._heap)
            if reminder in self._live:
                self._live.remove(reminder)
                due.append(reminder)
        return due

    def next_due_us(self) -> int | None:
        """When the next reminder in memory is due; None if there is none."""
        while self._heap and self._heap[0] not in self._live:
            heappop(self._heap)
        return self._heap[0].due_us if self._heap else None

    def _add(self, reminder: Reminder) -> None:
        if reminder not in self._live:
            self._live.add(reminder)
            heappush(self._heap, reminder)

    def _end_read(self) -> None:
        self._reading = False
        self._set_since.clear()
        self._cleared_since.clear()

    def _covers(self, reminder: Reminder) -> bool:
        if self._complete:
            return True
        # Before the first read nothing is covered: the read will bring it.
        return self._horizon is not None and reminder <= self._horizon

    def _shrink(self) -> None:
        """Let go of the furthest half; the store has them."""
        kept = nsmallest(self.reminders_max, self._live)
        self._live = set(kept)
        self._heap = kept
        heapify(self._heap)
        self._horizon = kept[-1]
        self._complete = False
