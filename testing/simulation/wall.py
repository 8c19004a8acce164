"""The wall: a world that takes too much of the processor's time is ended, with an error that says where it stood.

The rule: it is the only limit of a world that depends on the machine. So a world that it ends is neither made smaller,
nor run again to be believed.

It ends code that never gives the event loop back, and worlds in which virtual time passes and the story never ends. An
event loop that is busy without end, and in which no time passes, has a limit of its own (`SimLoop.busy_steps_max`).
Code that waits in real time, as for a lock that nothing releases, takes no time of the processor's, and is ended too.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time
from types import FrameType
from typing import NoReturn

from .loop import SimLoop

# The real time between two looks at whether a world stands still, and how many such looks in a row end it: longer than
# a thread of a world may be away (`ThreadAway`, which says more).
LOOK_S, LOOKS = 15.0, 3
IDLE = 0.01  # a world stands still if it works for less than this part of the time between two looks
# The modules of debuggers: Python's, and that of several editors.
DEBUGGERS = frozenset({"bdb", "pdb", "pydevd", "_pydevd_bundle"})
# The code that is ended may catch the exception; then it is raised again after this many seconds.
AGAIN_S = 0.5


class WorldTooLong(Exception):
    """A world has taken too much of the processor's time."""


@contextmanager
def walled(loop: SimLoop, cpu_s: float | None) -> Iterator[None]:
    """End the code of the block once it has taken `cpu_s` of the processor's time, or only waits in real time.

    There is no wall in other threads than the main one, on systems without interval timers, and where other code
    has set the timer.

    Args:
        loop: The loop of the world.
        cpu_s: Seconds; None: there is no wall.

    Raises:
        WorldTooLong: The world has taken that time.
    """
    if cpu_s is None or not hasattr(signal, "setitimer"):
        yield
        return
    taken = f"the world has taken {cpu_s:g} s of the processor's time"
    waited = f"code of the world has waited for {LOOK_S * LOOKS:g} s of real time, as for a lock that nothing releases"
    still = _Stillness(loop)

    def look(frame: FrameType | None) -> None:
        if still.for_long():
            _end(loop, waited, frame)

    with (
        _timer("VIRTUAL", signal.SIGVTALRM, cpu_s, AGAIN_S, lambda frame: _end(loop, taken, frame)),
        _timer("REAL", signal.SIGALRM, LOOK_S, LOOK_S, look),
    ):
        yield


def _end(loop: SimLoop, what: str, frame: FrameType | None) -> NoReturn:
    error = WorldTooLong(f"{what}, and has come to {loop.time():.3f} s of its own. It stands in {_where(frame)}")

    def raise_it() -> None:
        raise error

    # The code that is ended here may take it for an error of its own. So the step is the last one, too.
    loop.after_step = raise_it
    raise error


class _Stillness:
    """Knows for how many looks a loop has taken no step, and the process has done no work."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self._looks = 0
        self._seen = loop.steps, process_time()

    def for_long(self) -> bool:
        """Look; whether it stands still for long. One who debugs the code may take their time."""
        (steps, cpu_s), self._seen = self._seen, (self._loop.steps, process_time())
        still = steps == self._seen[0] and self._seen[1] - cpu_s < IDLE * LOOK_S and not is_debugged()
        self._looks = self._looks + 1 if still else 0
        return self._looks >= LOOKS


@contextmanager
def _timer(
    name: str, number: signal.Signals, first_s: float, then_s: float, ring: Callable[[FrameType | None], None]
) -> Iterator[None]:
    """Have a timer of the process call a function until the block ends, if it is free."""
    timer: int = getattr(signal, f"ITIMER_{name}")
    if not _is_free(timer, number):
        yield
        return
    before = signal.signal(number, lambda _, frame: ring(frame))
    signal.setitimer(timer, first_s, then_s)
    try:
        yield
    finally:
        signal.setitimer(timer, 0)
        signal.signal(number, before)


def _is_free(timer: int, number: signal.Signals) -> bool:
    """Whether the timer may be set here, and is not set."""
    if threading.current_thread() is not threading.main_thread():
        return False
    return signal.getitimer(timer)[0] == 0 and signal.getsignal(number) is not None


def is_debugged() -> bool:
    """Whether a thread stands in a debugger, whose user may take their time.

    A trace function would not tell: a tool that measures coverage has one, too.
    """
    return any(map(_is_in_debugger, sys._current_frames().values()))


def _is_in_debugger(frame: FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] in DEBUGGERS:
            return True
        frame = frame.f_back
    return False


def _where(frame: FrameType | None) -> str:
    if frame is None:
        return "code without a frame"
    code = frame.f_code
    return f"{code.co_qualname} ({Path(code.co_filename).name}:{frame.f_lineno})"
