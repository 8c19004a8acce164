"""Ctrl-C, and a debugger that its user quits: they end the whole run, and not an activity.

The rule: after one of them no further step of the world is taken, though code may take it for an error of its own.

An engine takes each error of an activity for a failure, and has it tried again. So Ctrl-C in an activity would be a
failure of it, and so would be the error with which a debugger ends.
"""

import bdb
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from ...simulation.world import SimWorld
from .switch import Switch, switched


@contextmanager
def interruptible(world: SimWorld) -> Iterator[None]:
    """Have Ctrl-C and the end of a debugger end a world until the block ends.

    Ctrl-C is left to other code that has a handler of its own for it.

    Raises:
        KeyboardInterrupt: One of them has come.
    """

    def end() -> None:
        # The present step may go on to touch a fake, and then only the checks of the world are called behind it.
        world.loop.after_step = interrupt
        world.on_step.insert(0, interrupt)

    def ring(number: int, frame: FrameType | None) -> None:
        end()
        interrupt()

    real = bdb.Bdb.set_quit

    def set_quit(debugger: Any) -> None:
        end()
        real(debugger)

    with switched([Switch(bdb.Bdb, "set_quit", set_quit)]), _called_by_ctrl_c(ring):
        yield


def interrupt() -> NoReturn:
    """End a world, and the run of tests that it is in."""
    raise KeyboardInterrupt


@contextmanager
def _called_by_ctrl_c(ring: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    of_pythons = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not of_pythons or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, ring)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
