"""A flag that one loop waits for and anybody may raise, again and again."""

import anyio


class Signal:
    """Raised any number of times before the wait, it wakes the waiter once.

    `anyio.Event` is set once for ever and costs a microsecond; here one is made
    only when somebody has to wait. Who finds the flag raised goes on at once,
    without giving others a turn.
    """

    __slots__ = ("_event", "_raised")

    def __init__(self) -> None:
        self._raised = False
        self._event: anyio.Event | None = None  # while somebody waits

    def set(self) -> None:
        if not self._raised:
            self._raised = True
            if self._event is not None:
                self._event.set()

    async def wait(self) -> None:
        """Wait until raised since the last wait, and lower it."""
        if not self._raised:
            self._event = anyio.Event()
            try:
                await self._event.wait()
            finally:
                self._event = None
        self._raised = False

    async def wait_for(self, seconds: float) -> None:
        """Wait until raised, or until so many seconds are over."""
        if self._raised:
            self._raised = False
            return
        with anyio.move_on_after(seconds):
            await self.wait()
