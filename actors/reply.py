"""The answer to a message, for the one caller that waits for it."""

from typing import Any

import anyio


class Reply:
    """A slot that is filled once, with a value or an error.

    Who waits may give up (cancellation); filling the slot is then harmless.
    """

    __slots__ = ("_error", "_event", "_value")

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._value: Any = None
        self._error: BaseException | None = None

    def done(self) -> bool:
        return self._event.is_set()

    def succeed(self, value: Any) -> None:
        assert not self._event.is_set()
        self._value = value
        self._event.set()

    def fail(self, error: BaseException) -> None:
        assert not self._event.is_set()
        self._error = error
        self._event.set()

    async def wait(self) -> Any:
        """Wait for the answer; raise the error if that is what it is."""
        await self._event.wait()
        if self._error is not None:
            # One error may go to many callers; each raise would lengthen its traceback.
            raise self._error.with_traceback(None)
        return self._value
