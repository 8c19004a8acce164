"""A timer of the kernel that sends this process a signal (timer_create(2)).

The rule: it is none of the three timers of setitimer(2), and its signal has no name. So the pulse and a profiler in the
app, which uses those, do not disturb each other.

`daemon/pulse/cpu_timer.py` and `daemon/pulse/last_resort.py` use it. It works on 64-bit Linux with glibc.
"""

import ctypes
import signal
import sys
from typing import Any, Self

CLOCK_MONOTONIC = 1
CLOCK_PROCESS_CPUTIME_ID = 2  # user and system time of all threads
SIGEV_SIGNAL = 0


class _Event(ctypes.Structure):  # struct sigevent (sigevent(7))
    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_byte * 48),
    )


class _Times(ctypes.Structure):  # struct itimerspec (timer_settime(2))
    _fields_ = tuple((name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns"))


class KernelTimer:
    """One timer. `make` makes it.

    Args:
        library: The C library.
        timer: The timer that `timer_create` of this library has made.
        number: The signal that it sends.
    """

    def __init__(self, library: Any, timer: ctypes.c_void_p, number: int) -> None:
        self._library = library
        self._timer = timer
        self.number = number

    @classmethod
    def make(cls, clock: int, number: int) -> Self | None:
        """Make a timer; None if the system has no such timers, or the program uses the signal.

        Args:
            clock: The number of the clock that the timer measures.
        """
        if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_long) != 8:
            return None
        if signal.getsignal(number) is not signal.SIG_DFL:
            return None
        try:
            library: Any = ctypes.CDLL(None, use_errno=True)
            timer = ctypes.c_void_p()
            event = _Event(signal=number, notify=SIGEV_SIGNAL)
            made = library.timer_create(clock, ctypes.byref(event), ctypes.byref(timer)) == 0
        except AttributeError:  # another C library
            return None
        return cls(library, timer, number) if made else None

    def set(self, first_s: float, then_s: float = 0.0) -> None:
        """Start the timer again.

        Args:
            first_s: The time until the first signal; 0: no signal.
            then_s: The time between two further signals; 0: only one signal.
        """
        times = _Times(*split(then_s), *split(first_s))
        self._library.timer_settime(self._timer, 0, ctypes.byref(times), None)

    def delete(self) -> None:
        """Delete the timer. To be called once."""
        self.set(0)
        self._library.timer_delete(self._timer)


def split(seconds: float) -> tuple[int, int]:
    """Return whole seconds and the rest in nanoseconds."""
    return int(seconds), int(seconds % 1 * 1e9)
