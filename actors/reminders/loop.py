"""The loop that waits for reminders and delivers them.

The rule: it decides nothing. `actors/reminders/window.py` decides which reminders are in memory and
which are due.

`actors/hosting/host.py` runs it; `actors/hosting/release.py` sets and clears reminders after each commit.
"""

import logging
from collections.abc import Awaitable, Callable

import anyio

from ..clock import Clock
from ..store.contract import Reminder, Store
from ..store.errors import as_store_error
from ..waiting.signal import Signal
from .window import ReminderWindow

logger = logging.getLogger(__name__)


class ReminderLoop:
    """Fires reminders at their time, never before it.

    Args:
        fire: Called once for each reminder that is due.
        room: Waits until more reminders may be delivered. When a hundred thousand
            are due at once, their actors would otherwise all wait in memory to be
            loaded, however few actors may be in memory.
    """

    # The wall clock may be set while the loop waits on the monotonic one. To look
    # again once a minute bounds the harm and costs nothing.
    WAIT_MAX_S = 60.0
    # How many to deliver before other tasks get their turn in the event loop.
    SLICE = 512
    # How many to read at once, at most: actors are loaded by the same thread.
    READ = 1024
    RETRY_S = 1.0  # after a store that could not be read

    def __init__(
        self,
        store: Store,
        clock: Clock,
        window: ReminderWindow,
        *,
        fire: Callable[[Reminder], None],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._window = window
        self._fire = fire
        self._room = room
        self._changed = Signal()

    def set(self, reminder: Reminder) -> None:
        """Add a reminder that was committed."""
        first = self._window.next_due_us()
        self._window.set(reminder)
        if first is None or reminder.due_us < first:
            self._changed.set()

    def clear(self, reminder: Reminder) -> None:
        """Remove a reminder that was taken back by a commit."""
        self._window.clear(reminder)

    async def run(self) -> None:
        """Deliver reminders, until cancelled."""
        while True:
            readable = await self._read_on()
            due = self._window.pop_due(self._clock.now_us(), limit=self.SLICE)
            for reminder in due:
                self._fire(reminder)
            if due:
                await anyio.lowlevel.checkpoint()
                await self._room()
            else:
                await self._changed.wait_for(self._pause_s() if readable else self.RETRY_S)

    async def _read_on(self) -> bool:
        """Read into the window as far as it wants; return False if the store could not be read."""
        limit = min(self.READ, self._window.reminders_max)
        while self._window.wants_read:
            try:
                reminders = await self._store.reminders(after=self._window.begin_read(), limit=limit)
            except Exception as error:
                self._window.read_failed()
                logger.error("reminders cannot be read yet: %s", as_store_error(error, "reading reminders"))
                return False
            self._window.loaded(reminders, limit=limit)
        return True

    def _pause_s(self) -> float:
        due_us = self._window.next_due_us()
        if due_us is None:
            return self.WAIT_MAX_S
        return min(self.WAIT_MAX_S, max(0.0, (due_us - self._clock.now_us()) / 1e6))
