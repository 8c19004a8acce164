"""The daemon's handlers of signals, kept in place while code of the app runs.

The rule: the daemon hears SIGTERM and SIGINT, interrupts code that does not end, and survives a closed connection and
an alarm, although a library of the app may change the handlers. A signal that comes from a timer may have a handler of
its own, behind a fence (`daemon/process/signal_fence.py`). Nothing tells when a handler is set in another way than by
`signal.signal`, so it is looked at twice a second. `daemon/daemon.py` starts it.
"""

import logging
import signal
import threading
from collections.abc import Collection, Iterable
from typing import Any

import anyio

from .signal_fence import GUARDED, TIMERS, FencedHandler, UnawaitedAlarm, is_foreign, name_of, tell_taken_back

logger = logging.getLogger(__name__)

LOOK_S = 0.5


async def guard_signals(pulse: Collection[int] = (), *, interval_s: float = LOOK_S) -> None:
    """Put the present handlers back whenever they have been replaced, and unblock the signals, until cancelled.

    Args:
        pulse: The signals of the pulse (`daemon/pulse/watchdog.py`).
    """
    if threading.current_thread() is not threading.main_thread():
        return  # an embedded daemon, whose program has the signals
    ours: dict[int, Any] = {number: signal.getsignal(number) for number in (*GUARDED, *pulse)}
    timers = [number for number in TIMERS if number not in ours]
    _fence(timers)
    try:
        while True:
            await anyio.sleep(interval_s)
            for number, handler in ours.items():
                if signal.getsignal(number) is not handler:
                    signal.signal(number, handler)
                    tell_taken_back(number)
            _fence(timers)
            blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, [*ours, *timers]).intersection([*ours, *timers])
            if blocked:
                logger.warning("code of the app had blocked %s; the daemon has unblocked them", names_of(blocked))
            _tell()
    finally:
        for number in timers:
            if type(signal.getsignal(number)) is UnawaitedAlarm:
                # Not the default: a timer may run out before the process has ended in order.
                signal.signal(number, signal.SIG_IGN)


def _fence(timers: Iterable[int]) -> None:
    """See that no signal of a timer ends the process, or raises in code of the daemon."""
    for number in timers:
        handler: Any = signal.getsignal(number)
        if handler is signal.SIG_DFL:
            signal.signal(number, UnawaitedAlarm())
        elif is_foreign(handler):
            signal.signal(number, FencedHandler(handler))


def _tell() -> None:
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if isinstance(handler, FencedHandler | UnawaitedAlarm):
            handler.tell(number)


def names_of(signals: Iterable[int]) -> str:
    """The names of signals, for people."""
    return ", ".join(sorted(name_of(number) for number in signals))
