"""Threads of a world: real ones, of which one runs at a time, and only while the loop waits for it.

The rule: a thread has the baton or the loop has it. A thread gives it back when it ends, pauses for a virtual time,
or has a function called in the loop; so code of threads is a part of the world's order of steps.

No thread of a killed host goes on. At the end of the world, when its actions have no effect any more, each thread gets
`HostGone` where it stands, so that it ends and leaves nothing behind.
"""

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any

# The thread whose code runs; None: the loop's.
BATON: ContextVar["SimThread | None"] = ContextVar("perdure_simulated_thread", default=None)

# The real time for which code of a thread may run until it gives the baton back.
AWAY_S_MAX = 30.0
# The times that it may catch `HostGone` and go on, before it is left where it stands.
DENIALS_MAX = 100


class HostGone(BaseException):
    """The host of this thread was killed, and its world is over."""


class ThreadAway(Exception):
    """A thread has the baton and does not give it back."""

    def __str__(self) -> str:
        return (
            f"code of a plain function has run for {AWAY_S_MAX:g} s without an end: it waits for something that only "
            "another thread can do, such as the release of a lock, or for the machine. In a world one thread runs at a "
            "time"
        )


class SimThread:
    """A thread that calls one function, from its first `step` on.

    Args:
        function: Called in the context in which this is made.
        ended: Called in the loop with its result, or its error.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        function: Callable[[], Any],
        ended: Callable[[Any, BaseException | None], None],
    ) -> None:
        self._loop = loop
        self._function = function
        self._ended = ended
        self._context = copy_context()
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._thread: threading.Thread | None = None  # from the first step on
        self._wish: Callable[[], object] = _nothing  # what the loop is to do when it has the baton back
        self._outcome: tuple[Any, BaseException | None] = (None, None)
        self._gone = self._dropped = False
        self.over = False

    # In the loop.

    def step(self) -> None:
        """Let the thread run until it gives the baton back.

        Raises:
            ThreadAway: It does not.
        """
        if self._dropped:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._context.run, args=(self._main,), daemon=True)
            self._thread.start()
        else:
            self._go.release()
        if not self._back.acquire(timeout=AWAY_S_MAX):
            self._thread, self._dropped = None, True  # it is of no more use
            raise ThreadAway
        if self.over:
            self._ended(*self._outcome)
        else:
            self._wish()

    def drop(self) -> None:
        """Take no further step of it, as of a process that was killed."""
        self._dropped = True

    def bury(self) -> None:
        """End the thread where it stands. For the end of the world: its code may do anything on the way."""
        self._gone, self._wish = True, _nothing
        denials = 0
        while self._thread is not None and not self.over and denials < DENIALS_MAX:
            denials += 1
            self._go.release()
            if not self._back.acquire(timeout=AWAY_S_MAX):
                return

    # In the thread.

    def pause(self, seconds: float) -> None:
        """Stand still for `seconds` of virtual time."""
        self._give_back(lambda: self._loop.call_later(seconds, self.step))

    def do(self, function: Callable[..., Any], *given: Any) -> Any:
        """Have a function called in the loop, and return its result, or raise its error."""
        outcome: tuple[Any, BaseException | None] = (None, None)

        def act() -> None:
            nonlocal outcome
            outcome = _outcome_of(function, given)
            self.step()

        self._give_back(lambda: self._loop.call_soon(act))
        result, error = outcome
        if error is not None:
            raise error
        return result

    def never(self) -> None:
        """Go no further: the host was killed by a step of this thread."""
        while True:
            self._give_back(_nothing)

    def _main(self) -> None:
        BATON.set(self)
        self._outcome = _outcome_of(self._function, ())
        self.over = True
        self._back.release()

    def _give_back(self, wish: Callable[[], object]) -> None:
        if not self._gone:
            self._wish = wish
            self._back.release()
            self._go.acquire()
        if self._gone:
            raise HostGone


def current() -> SimThread | None:
    """The thread whose code runs; None: the loop's."""
    return BATON.get()


def _outcome_of(function: Callable[..., Any], given: tuple[Any, ...]) -> tuple[Any, BaseException | None]:
    try:
        return function(*given), None
    except BaseException as error:
        return None, error


def _nothing() -> None:
    pass
