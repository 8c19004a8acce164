"""The signals that stop a daemon, and how the hosts of a daemon leave them to their supervisor."""

import contextlib
import os
import signal
from collections.abc import Iterator

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def leave_signals_to_the_supervisor() -> None:
    """Be deaf to what a terminal or a service manager sends to all processes of a daemon at once.

    The supervisor gets it too, and tells the hosts to stop in order.
    """
    os.setsid()  # of which the supervisor can kill all that there is
    for number in STOP_SIGNALS:
        # Not SIG_IGN, which the processes that activities start would inherit.
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Start a host in here: signals reach it once it has left them to the supervisor, and this process afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
