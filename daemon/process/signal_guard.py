"""Keeps the daemon's signal handlers in place while code of the app runs.

The rule: even if a library of the app changes handlers, the daemon receives SIGTERM and SIGINT, interrupts code that
does not end, and survives a closed connection and an alarm. The signal of a timer may have a handler of the app, behind
a fence (`daemon/process/signal_fence.py`). A handler that was not set with `signal.signal` gives no notice, so the
handlers are checked twice a second. `daemon/daemon.py` starts the guard.
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
    """Restore the present handlers whenever they have been replaced, and unblock the signals, until cancelled.

    Args:
        pulse: The signals of the pulse (`daemon/pulse/watchdog.py`).
        interval_s: The time between two checks, in seconds.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # embedded: the program around it owns the signals
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
                # Not the kernel's default: the alarm may come before the process has ended in order.
                signal.signal(number, signal.SIG_IGN)


def _fence(timers: Iterable[int]) -> None:
    """Ensure that no signal of a timer ends the process or raises in code of the daemon."""
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
