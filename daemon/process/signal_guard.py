"""The daemon's handlers of signals, kept in place while code of the app runs.

The rule: the daemon hears SIGTERM and SIGINT, interrupts code that does not end, and survives a closed connection and
an alarm, whatever a library of the app does to the handlers. Nothing tells when `signal.signal` is called, so it is
looked at twice a second. `daemon/daemon.py` starts it.
"""

import logging
import signal
import threading

import anyio

from .early_signals import STOP_SIGNALS

logger = logging.getLogger(__name__)

LOOK_S = 0.5
# SIGPIPE would end the process at the first connection that a client has closed, and a handler of SIGALRM would raise
# in code of the daemon. The last two are the pulse's (`daemon/pulse/watchdog.py`).
GUARDED = (*STOP_SIGNALS, signal.SIGPIPE, signal.SIGCHLD, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF)


async def guard_signals(*, interval_s: float = LOOK_S) -> None:
    """Put the present handlers back whenever they have been replaced, and unblock the signals, until cancelled."""
    if threading.current_thread() is not threading.main_thread():
        return  # an embedded daemon, whose program has the signals
    alarm = UnawaitedAlarm()
    if signal.getsignal(signal.SIGALRM) is signal.SIG_DFL:
        signal.signal(signal.SIGALRM, alarm)
    ours = {number: signal.getsignal(number) for number in GUARDED}
    try:
        while True:
            await anyio.sleep(interval_s)
            for number, handler in ours.items():
                if signal.getsignal(number) is not handler:
                    signal.signal(number, handler)
                    name = signal.Signals(number).name
                    logger.warning("code of the app had replaced the handler of %s; the daemon has taken it back", name)
            if blocked := signal.pthread_sigmask(signal.SIG_UNBLOCK, GUARDED).intersection(GUARDED):
                logger.warning("code of the app had blocked %s; the daemon has unblocked them", names_of(blocked))
            alarm.tell()
    finally:
        if ours[signal.SIGALRM] is alarm:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)


class UnawaitedAlarm:
    """The handler of an alarm that no code waits for any more. Without one it would end the process."""

    def __init__(self) -> None:
        self._came = False

    def __call__(self, number: int, frame: object) -> None:
        self._came = True

    def tell(self) -> None:
        """Log that one came. No log is written in a handler, which may run in the middle of another line."""
        if self._came:
            self._came = False
            logger.warning("SIGALRM came, because code of the app has set an alarm; nothing was done")


def names_of(signals: set[signal.Signals | int]) -> str:
    """The names of signals, for people."""
    return ", ".join(sorted(signal.Signals(number).name for number in signals))
