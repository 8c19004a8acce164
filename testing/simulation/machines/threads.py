"""Threads of a world: real ones, of which one runs at a time, and only while the loop waits for it.

The rule: a thread has the baton or the loop has it. A thread gives it back when it ends, pauses for a virtual time,
or has a function called in the loop; so code of threads is a part of the world's order of steps.

No thread of a killed host goes on. At the end of the world, when its actions have no effect any more, each thread gets
`HostGone` where it stands, so that it ends and leaves nothing behind.
"""

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from ..loop import SimLoop
from ..wall import WorldTooLong, is_debugged

# Of each thread of the interpreter: whose code it runs. A context would not do: code may run in a copy of another, as
# in `asyncio.to_thread`, and callbacks that a thread gives to the loop have the thread's.
RUNNING = threading.local()

# The real time for which code of a thread may run until it gives the baton back.
AWAY_S_MAX = 30.0
# The times that it may catch `HostGone` and go on, before it is left where it stands.
DENIALS_MAX = 100


class HostGone(BaseException):
    """The host of this thread was killed, and its world is over."""


class ThreadAway(WorldTooLong):
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
        loop: SimLoop,
        function: Callable[[], Any],
        ended: Callable[[Any, BaseException | None], None],
    ) -> None:
        self._loop = loop
        self._function = function
        self._ended = ended
        self._context = copy_context()
        # Locks of the interpreter's: a semaphore or an event, which are made of them, would wait in virtual time.
        self._go, self._back = _shut(), _shut()
        self._thread: threading.Thread | None = None  # from the first step on
        self._wish: Callable[[], object] = _nothing  # what the loop is to do when it has the baton back
        self._outcome: tuple[Any, BaseException | None] = (None, None)
        self._gone = self._dropped = False
        self.over = False

    # In the loop.

    def step(self) -> None:
        """Let the thread run until it gives the baton back. If it does not, the world ends with `ThreadAway`."""
        if self._dropped:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._context.run, args=(self._main,), daemon=True)
            self._thread.start()
        else:
            self._go.release()
        while not (back := self._back.acquire(timeout=AWAY_S_MAX)) and is_debugged():
            pass
        if not back:
            self._thread, self._dropped = None, True  # it is of no more use
            self._loop.after_step = _away
            return
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

    def wait(self, bell: "Bell", seconds: float | None) -> None:
        """Stand still until a bell rings, or for so many virtual seconds; None: for ever."""
        self._give_back(lambda: bell.hang(self._loop, self.step, seconds))

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
        RUNNING.thread = self
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


class Bell:
    """Wakes one thread that waits, once: when it is rung, or when the time of the wait is over.

    Attributes:
        rung: Whether it was rung, and not only late.
    """

    def __init__(self) -> None:
        self.rung = False
        self._wake: Callable[[], object] | None = None  # while the thread waits

    def release(self) -> None:
        """Ring it. `threading.Condition.notify` calls it by this name, as it does the locks of its waiters."""
        self.rung = True
        wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    def hang(self, loop: asyncio.AbstractEventLoop, step: Callable[[], None], seconds: float | None) -> None:
        """Begin to wait: in the loop, in the context of a step of the thread's life."""
        context = copy_context()  # that of the one who rings is another's
        timer = loop.call_later(seconds, self._end, step) if seconds is not None else None

        def wake() -> None:
            if timer is not None:
                timer.cancel()
            loop.call_soon(self._end, step, context=context)

        if self.rung:
            wake()
        else:
            self._wake = wake

    def _end(self, step: Callable[[], None]) -> None:
        self._wake = None
        step()


def current() -> SimThread | None:
    """The thread whose code runs; None: the loop's."""
    thread: SimThread | None = getattr(RUNNING, "thread", None)
    return thread


def _away() -> None:
    raise ThreadAway


def _shut() -> "threading.Lock":
    """A lock that is held: the next `acquire` waits for a `release`."""
    lock = threading.Lock()
    lock.acquire()
    return lock


def _outcome_of(function: Callable[..., Any], given: tuple[Any, ...]) -> tuple[Any, BaseException | None]:
    try:
        return function(*given), None
    except BaseException as error:
        return None, error


def _nothing() -> None:
    pass
