"""A flag that one loop waits for and anybody may raise, again and again."""

import anyio


class Signal:
    """Raised any number of times before the wait, it wakes the waiter once.

    `anyio.Event` is set once for ever; a loop that is woken again and again
    needs a new one each time, and that is all this does.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        """Wait until raised since the last wait, and lower it."""
        await self._event.wait()
        self._event = anyio.Event()

    async def wait_for(self, seconds: float) -> None:
        """Wait until raised, or until so many seconds are over."""
        with anyio.move_on_after(seconds):
            await self.wait()
