"""The wall: a world that takes too much of the processor's time is ended, with an error that says where it stood.

The rule: it is the only limit of a world that depends on the machine. So a world that it ends is neither made smaller,
nor run again to be believed.

It ends code that never gives the event loop back, and worlds in which virtual time passes and the story never ends. An
event loop that is busy without end, and in which no time passes, has a limit of its own (`SimLoop.busy_steps_max`).
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from .loop import SimLoop

# The code that is ended may catch the exception; then it is raised again after this many seconds.
AGAIN_S = 0.5


class WorldTooLong(Exception):
    """A world has taken too much of the processor's time."""


@contextmanager
def walled(loop: SimLoop, cpu_s: float | None) -> Iterator[None]:
    """End the code of the block once it has taken `cpu_s` of the processor's time.

    There is no wall in other threads than the main one, on systems without interval timers, and where other code
    has set the timer.

    Args:
        loop: The loop of the world.
        cpu_s: Seconds; None: there is no wall.

    Raises:
        WorldTooLong: The world has taken that time.
    """
    if cpu_s is None or not _is_free():
        yield
        return

    def end(_: int, frame: FrameType | None) -> None:
        error = WorldTooLong(
            f"the world has taken {cpu_s:g} s of the processor's time, and has come to {loop.time():.3f} s of its own. "
            f"It stands in {_where(frame)}"
        )

        def raise_it() -> None:
            raise error

        # The code that is ended here may take it for an error of its own. So the step is the last one, too.
        loop.after_step = raise_it
        raise error

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, cpu_s, AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _is_free() -> bool:
    """Whether the timer may be set here, and is not set."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return False
    return signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0 and signal.getsignal(signal.SIGVTALRM) is not None


def _where(frame: FrameType | None) -> str:
    if frame is None:
        return "code without a frame"
    code = frame.f_code
    return f"{code.co_qualname} ({Path(code.co_filename).name}:{frame.f_lineno})"
