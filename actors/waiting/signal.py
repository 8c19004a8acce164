"""A flag that one loop waits for and anybody may raise, again and again."""

import anyio

from .waiter import Waiter, new_waiter


class Signal:
    """Raised any number of times before the wait, it wakes the waiter once.

    Who finds the flag raised goes on at once, without giving others a turn.
    """

    __slots__ = ("_raised", "_waiter")

    def __init__(self) -> None:
        self._raised = False
        self._waiter: Waiter | None = None  # while somebody waits

    def set(self) -> None:
        if not self._raised:
            self._raised = True
            if self._waiter is not None:
                self._waiter.wake()

    async def wait(self) -> None:
        """Wait until raised since the last wait, and lower it."""
        if not self._raised:
            self._waiter = new_waiter()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._raised = False

    async def wait_for(self, seconds: float) -> None:
        """Wait until raised, or until so many seconds are over."""
        if self._raised:
            self._raised = False
            return
        with anyio.move_on_after(seconds):
            await self.wait()
