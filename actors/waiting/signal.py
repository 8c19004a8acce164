"""A signal: a flag that any code may raise, and that one loop waits for.

The rule: a wait lowers the flag, so that it may be raised again.

All loops of a host wait for their work with it.
"""

from .waiter import Waiter, new_waiter


class Signal:
    """A flag. Raised several times before the wait, it wakes the waiter once.

    A waiter that finds the flag raised goes on at once, without giving way to other tasks.
    """

    __slots__ = ("_raised", "_waiter")

    def __init__(self) -> None:
        self._raised = False
        self._waiter: Waiter | None = None  # while a loop waits

    def set(self) -> None:
        """Raise the flag."""
        if not self._raised:
            self._raised = True
            if self._waiter is not None:
                self._waiter.wake()

    async def wait(self) -> None:
        """Wait until the flag is raised, and lower it."""
        if not self._raised:
            self._waiter = new_waiter()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._raised = False

    async def wait_for(self, seconds: float) -> None:
        """Wait as `wait` does, but at most `seconds`."""
        if not self._raised:
            self._waiter = new_waiter()
            try:
                await self._waiter.wait_for(seconds)
            finally:
                self._waiter = None
        self._raised = False
