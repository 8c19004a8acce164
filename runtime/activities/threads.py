"""Calls of plain functions in threads, some of which nothing waits for any more.

The rule: a thread cannot be cancelled. A call whose task is cancelled is
*abandoned*: its function goes on, its outcome has no reader, and the number of
abandoned calls is known until each of them has ended.

If the system refuses a thread (its limit is reached), the call does not fail: it waits, and tries again.

The activity actors call their plain functions here. The lane of the threads
learns the number, and keeps the threads of a process within twice the limit.
"""

from collections.abc import Callable, Sequence
from typing import Any

import anyio

from .workshop import SystemWorkshop, Workshop


class Threads:
    """Calls functions in threads.

    Args:
        limit: The maximum number of calls with a reader at once. The same number of abandoned calls may be under way.
        changed: Called in the event loop with the number of abandoned calls whenever it changes.
        workshop: Has the threads; those of the operating system by default.
        refused: Called whenever a thread cannot be begun, with the reason.
    """

    # How long a call waits for a thread that the system has refused, before it tries again.
    PAUSE_S = 1.0

    def __init__(
        self,
        limit: int,
        changed: Callable[[int], None],
        workshop: Workshop | None = None,
        refused: Callable[[RuntimeError], None] = lambda error: None,
    ) -> None:
        self._workshop = workshop or SystemWorkshop()
        # The lane holds calls back; this only keeps anyio's default limit out of the way.
        self._limiter = anyio.CapacityLimiter(2 * limit)
        self._changed = changed
        self._refused = refused
        self._abandoned: set[_Call] = set()
        self._closed = False

    async def call(
        self, function: Callable[..., Any], given: Sequence[Any], wanted: Callable[[], bool] = lambda: True
    ) -> Any:
        """Call a function in a thread and return its result. If this is cancelled, the call is abandoned.

        Args:
            wanted: Called in the thread first. If it returns False, the function is not called, and the result
                is None: a cancellation that is under way reaches this task a step later than the thread may begin.
        """
        call = _Call(function, given, wanted, self._ended)
        try:
            while True:
                try:
                    return await self._workshop.in_thread(call, self._limiter)
                except RuntimeError as error:
                    if call.begun:
                        raise  # the function's own
                    self._refused(error)
                    await anyio.sleep(self.PAUSE_S)
        finally:
            if not call.over and call.abandon():
                self._abandoned.add(call)
                # It may have ended just now, and then nothing else reports it.
                if call.over:
                    self._abandoned.discard(call)
                elif not self._closed:
                    self._changed(len(self._abandoned))

    def close(self) -> None:
        """Count no more: the event loop is about to end, and threads must not wait for it."""
        self._closed = True

    def _ended(self, call: "_Call") -> None:
        """Note in a thread that an abandoned call has ended there."""
        if not self._closed:
            try:
                self._workshop.in_loop(self._forget, call)
            except RuntimeError:
                return  # the event loop has ended

    def _forget(self, call: "_Call") -> None:
        if call in self._abandoned:
            self._abandoned.discard(call)
            self._changed(len(self._abandoned))


class _Call:
    """One call. The event loop and the thread write fields that the other reads, in an order that misses nothing."""

    __slots__ = ("_abandoned", "_ended", "_function", "_given", "_wanted", "begun", "over")

    def __init__(
        self,
        function: Callable[..., Any],
        given: Sequence[Any],
        wanted: Callable[[], bool],
        ended: Callable[["_Call"], None],
    ) -> None:
        self._function = function
        self._given = given
        self._wanted = wanted
        self._ended = ended
        self.begun = False  # the thread writes it before it reads `_abandoned`, and `over` likewise
        self._abandoned = False  # the event loop writes it before it reads the other two
        self.over = False

    def __call__(self) -> Any:
        self.begun = True
        try:
            return self._function(*self._given) if not self._abandoned and self._wanted() else None
        finally:
            self.over = True
            if self._abandoned:
                self._ended(self)

    def abandon(self) -> bool:
        """Do not begin, if that is still possible.

        Returns:
            Whether the call has begun.
        """
        self._abandoned = True
        return self.begun
