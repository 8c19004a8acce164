"""The reply to a message, for the one caller that waits for it.

The rule: a reply is filled once, with a value or an error.

`Host.ask` makes it. `actors/hosting/release.py` fills it after the commit; `Envelope.refuse` puts an error into it.
"""

from typing import Any, ClassVar

from .waiter import Waiter, new_waiter


class Reply:
    """A slot that is filled once, with a value or an error.

    The caller may be cancelled meanwhile; filling the slot is then harmless.
    """

    __slots__ = ("_done", "_error", "_value", "_waiter")

    remote: ClassVar[bool] = False  # whether the caller waits in another host

    def __init__(self) -> None:
        self._done = False
        self._waiter: Waiter | None = None  # while the caller waits
        self._value: Any = None
        self._error: BaseException | None = None

    def done(self) -> bool:
        """Whether the slot is filled."""
        return self._done

    def succeed(self, value: Any) -> None:
        """Fill the slot with a value."""
        self._value = value
        self._fill()

    def fail(self, error: BaseException) -> None:
        """Fill the slot with an error, which the waiting caller raises."""
        self._error = error
        self._fill()

    async def wait(self) -> Any:
        """Wait until the slot is filled; return the value, or raise the error."""
        if not self._done:
            self._waiter = new_waiter()
            await self._waiter
        if self._error is not None:
            # One error may go to many callers, and each raise would lengthen its traceback.
            raise self._error.with_traceback(None)
        return self._value

    def _fill(self) -> None:
        assert not self._done
        self._done = True
        if self._waiter is not None:
            self._waiter.wake()
