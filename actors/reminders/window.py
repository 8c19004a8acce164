"""Reminders that are due soon, in memory; the others stay in the store.

The rule: a reminder leaves the window only when it is due, and the window has all
reminders of the store up to the horizon. So a million sleeping actors cost no
memory, and the store is read again only when the horizon comes near.

The module is pure: it gets the time, and the rows of the store, as arguments.
`actors/reminders/loop.py` uses it.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush, nsmallest

from ..store.contract import Reminder


class ReminderWindow:
    """The next reminders, in order.

    Args:
        reminders_max: How many to keep in memory. Twice as many may gather
            before the furthest are forgotten again.
    """

    def __init__(self, reminders_max: int = 10_000) -> None:
        assert reminders_max > 0, reminders_max
        self.reminders_max = reminders_max
        self._heap: list[Reminder] = []
        self._live: set[Reminder] = set()
        # All reminders up to the horizon, itself included, are in memory. None: no reminder was read yet.
        self._horizon: Reminder | None = None
        self._complete = False
        # Set and cleared while the store is being read: the read may have come too early to see them.
        self._reading = False
        self._set_since: set[Reminder] = set()
        self._cleared_since: set[Reminder] = set()

    def __len__(self) -> int:
        return len(self._live)

    def set(self, reminder: Reminder) -> None:
        """Add a reminder that was committed, if it is due before the horizon."""
        if self._covers(reminder):
            self._add(reminder)
            if len(self._heap) > 2 * self.reminders_max and not self._reading:
                self._shrink()
        elif self._reading:
            self._set_since.add(reminder)
            self._cleared_since.discard(reminder)

    def clear(self, reminder: Reminder) -> None:
        """Remove a reminder that was taken back. One that is not in memory is ignored."""
        self._live.discard(reminder)
        if self._reading:
            self._set_since.discard(reminder)
            self._cleared_since.add(reminder)

    @property
    def wants_read(self) -> bool:
        """Whether the window is half empty and the store has more."""
        return not self._complete and len(self._live) <= self.reminders_max // 2

    def begin_read(self) -> Reminder | None:
        """Begin a read of the store.

        Returns:
            The reminder behind which to read; None: from the first.
        """
        assert not self._reading
        self._reading = True
        return self._horizon

    def loaded(self, reminders: Sequence[Reminder], *, limit: int) -> None:
        """End a read.

        Args:
            reminders: The reminders behind the horizon, in their order.
            limit: How many the read would have brought at most; fewer mean that the store has no more.
        """
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
        """End a read that failed. It may be tried again."""
        self._end_read()

    def pop_due(self, now_us: int, *, limit: int) -> list[Reminder]:
        """Take out the reminders that are due at `now_us` (Unix time), earliest first, at most `limit`."""
        due: list[Reminder] = []
        while self._heap and len(due) < limit and self._heap[0].due_us <= now_us:
            reminder = heappop(self._heap)
            if reminder in self._live:
                self._live.remove(reminder)
                due.append(reminder)
        return due

    def next_due_us(self) -> int | None:
        """When the next reminder in memory is due (Unix time, microseconds); None if there is none."""
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
        """Forget the furthest half; the store has them."""
        kept = nsmallest(self.reminders_max, self._live)
        self._live = set(kept)
        self._heap = kept
        heapify(self._heap)
        self._horizon = kept[-1]
        self._complete = False
