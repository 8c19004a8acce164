"""The loop that waits for reminders and delivers them.

The rule: it decides nothing. `actors/reminders/window.py` decides which reminders are in memory and
which are due, and by which clock.

`actors/hosting/host.py` runs it; `actors/hosting/release.py` sets and clears reminders after each commit.
"""

import math
from collections.abc import Awaitable, Callable, Collection

import anyio

from ...journal.journal import Journal
from ...journal.vocabulary import CLOCK_SET, REMINDERS_UNREADABLE
from ..clock import Clock, read
from ..reading import Reading
from ..store.contract import Reminder, Store
from ..store.errors import as_store_error
from ..waiting.signal import Signal
from .window import ReminderWindow


class ReminderLoop:
    """Fires reminders at their time, never before it.

    The time is that of the wall clock. If the wall clock is set back, a reminder that was due within SOON_S fires when
    the monotonic clock says so.

    Args:
        fire: Called once for each reminder that is due.
        room: Waits until more reminders may be delivered. When a hundred thousand
            are due at once, their actors would otherwise all wait in memory to be
            loaded, beyond the limit of actors in memory.
        journal: Logs each step of the clock, and a store that cannot be read.
    """

    # How often the clocks are compared while a reminder is in memory. The wall clock may be set while the loop waits.
    COMPARE_S = 1.0
    WAIT_MAX_S = 60.0  # while no reminder is in memory
    # A clock that cannot be set needs no comparison: the loop sleeps until the first reminder is due.
    SOON_S = 60.0
    # A smaller step back is not compensated. Between two comparisons it is unknown whether a reminder was set before
    # such a step or after it, and a reminder that was set after it would fire too early.
    STEP_MIN_S = COMPARE_S
    # How many reminders to deliver before other tasks run in the event loop.
    SLICE = 512
    # How many reminders to read at once, at most: the same thread loads actors.
    READ = 1024
    RETRY_S = 1.0  # after a read of the store that failed

    def __init__(
        self,
        store: Store,
        clock: Clock,
        window: ReminderWindow,
        *,
        fire: Callable[[Reminder], None],
        room: Callable[[], Awaitable[None]],
        journal: Journal | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._window = window
        self._fire = fire
        self._room = room
        self._journal = (journal or Journal()).at(__name__)
        self._changed = Signal()
        self._seen = Reading(0, 0)  # the last comparison of the clocks; the first comes before any reminder
        self._steady_until_us = 0  # a turn that began after the last comparison and before this needs no new one

    def set(self, reminder: Reminder, at_us: int) -> None:
        """Add a reminder that was committed.

        Args:
            at_us: The wall clock's time from which its due time was computed: that of its turn.
        """
        first = self._window.next_due_us()
        if self._seen.wall_us <= at_us <= self._steady_until_us:
            self._window.set(reminder)
        else:
            # Compared before this reminder is in memory: a step back concerns only reminders set before it.
            now = self._compare()
            wait_us = reminder.due_us - at_us
            if at_us > now.wall_us and wait_us <= self.SOON_S * 1e6:
                # The clock was set back between the turn and the end of its commit.
                self._window.set(reminder, now.monotonic_us + wait_us)
                self._changed.set()
            else:
                self._window.set(reminder)
        if first is None or reminder.due_us < first:
            self._changed.set()

    def clear(self, reminder: Reminder) -> None:
        """Remove a reminder that was taken back by a commit."""
        self._window.clear(reminder)

    def come(self, shards: Collection[int]) -> None:
        """Deliver the reminders of these shards too."""
        self._window.come(shards)
        self._changed.set()

    def leave(self, shards: Collection[int]) -> None:
        """Deliver no more reminders of these shards."""
        self._window.leave(shards)

    def leave_all(self) -> None:
        """Deliver no more reminders of any shard."""
        self._window.leave(self._window.shards)

    async def run(self) -> None:
        """Deliver reminders, until cancelled."""
        while True:
            readable = await self._read_on()
            due = self._window.pop_due(self._compare(), limit=self.SLICE)
            for reminder in due:
                self._fire(reminder)
            if due:
                await anyio.lowlevel.checkpoint()
                await self._room()
            elif not (readable and self._window.wants_read):  # else all reminders in memory have left with their shards
                await self._changed.wait_for(self._pause_s() if readable else self.RETRY_S)

    async def _read_on(self) -> bool:
        """Read into the window as far as it wants; return False if the store could not be read."""
        limit = min(self.READ, self._window.reminders_max)
        while self._window.wants_read:
            after, until, shards = self._window.begin_read()
            try:
                reminders = await self._store.reminders(after=after, limit=limit, until=until, shards=shards)
            except Exception as error:
                self._window.read_failed()
                known = as_store_error(error, "reading reminders")
                self._journal.write(REMINDERS_UNREADABLE, reason=str(known), error_type=type(known).__name__)
                return False
            self._window.loaded(reminders, limit=limit)
        return True

    def _pause_s(self) -> float:
        wait_us = self._window.wait_us(read(self._clock))
        wait_s = math.inf if wait_us is None else wait_us / 1e6
        if not self._clock.may_be_set:
            return wait_s
        return min(self.WAIT_MAX_S if wait_us is None else self.COMPARE_S, wait_s)

    def _compare(self) -> Reading:
        """Read both clocks; if the wall clock was set back, report it to the window."""
        now, seen = read(self._clock), self._seen
        if seen.wall_us:
            back_us = now.set_back_since(seen)
            if back_us > self.STEP_MIN_S * 1e6:
                self._tell_step(
                    "back",
                    back_us,
                    f"reminders due within {self.SOON_S:g} s keep their time, later ones follow the clock",
                )
                self._window.set_back(seen, now, within_us=round(self.SOON_S * 1e6))
            elif back_us < -self.STEP_MIN_S * 1e6:
                self._tell_step("forward", -back_us, "reminders that are due by it fire now")
        self._seen = now
        self._steady_until_us = now.wall_us + round(self.COMPARE_S * 1e6)
        return now

    def _tell_step(self, way: str, by_us: float, then: str) -> None:
        self._journal.write(CLOCK_SET, way=way, step_s=by_us / 1e6, step_ms=round(by_us / 1e3), then=then)
