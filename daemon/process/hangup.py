"""SIGHUP where there is no file of tokens to read again.

The rule: at the end of its terminal a daemon stops in order, as at SIGTERM. A service has no terminal. There the signal
asks a program to read its configuration again; this daemon has nothing to read again, says so, and goes on. If the
signal is ignored (`nohup`) or the app has a handler for it, it is not the daemon's.

`daemon/daemon.py` and `daemon/hosts/processes.py` act on it. With a file of tokens see `daemon/token_reload.py`.
"""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

logger = logging.getLogger(__name__)

TERMINAL = "/dev/tty"


class Hangup:
    """Acts on SIGHUP.

    Args:
        stop: Stops the daemon in order. May be called again.
        terminal: The device that only a process with a controlling terminal can open.
    """

    def __init__(self, stop: Callable[[], None], *, terminal: str = TERMINAL) -> None:
        self._stop = stop
        self._at_terminal = can_open(terminal)  # asked at the start, because a terminal that has ended is none

    def act(self) -> None:
        """Stop the daemon if it was started at a terminal."""
        if self._at_terminal:
            logger.info("stopping because of SIGHUP: the terminal has ended")
            self._stop()
        else:
            logger.warning("SIGHUP changes nothing: it reads the tokens of --api-token-file again, and none is given")


class HangupHandler:
    """The daemon's handler of SIGHUP, by which the fences around code of the app know it.

    Args:
        act: Called between any two steps of the main thread.
    """

    def __init__(self, act: Callable[[], object] = lambda: None) -> None:
        self._act = act

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._act()


def is_left_to_us() -> bool:
    """Whether SIGHUP would end the process at once: it is not ignored, and the app has no handler for it."""
    return signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def is_ours() -> bool:
    """Whether the daemon has a handler for SIGHUP."""
    return isinstance(signal.getsignal(signal.SIGHUP), HangupHandler)


@contextmanager
def hangup_heard(act: Callable[[], object]) -> Iterator[None]:
    """Call a function at SIGHUP, if the signal is left to the daemon, until the block ends.

    Args:
        act: See `HangupHandler`.
    """
    if is_left_to_us():
        signal.signal(signal.SIGHUP, HangupHandler(act))
    try:
        yield
    finally:
        if is_ours():
            signal.signal(signal.SIGHUP, signal.SIG_DFL)


def can_open(device: str) -> bool:
    """Whether a device can be opened."""
    try:
        os.close(os.open(device, os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
