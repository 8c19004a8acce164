"""A timer of the kernel's that sends this process a signal (timer_create(2)).

The rule: it is not one of the three that programs share (setitimer(2)), and its signal is none that has a name. So a
profiler in the app, which uses these, and the pulse do not get in each other's way.

`daemon/pulse/cpu_timer.py` and `daemon/pulse/last_resort.py` use it. It is for Linux with 64 bits and glibc.
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
        timer: What `timer_create` has made in it.
        number: The signal that it sends.
    """

    def __init__(self, library: Any, timer: ctypes.c_void_p, number: int) -> None:
        self._library = library
        self._timer = timer
        self.number = number

    @classmethod
    def make(cls, clock: int, number: int) -> Self | None:
        """Make a timer; None: this system has none, or the program uses the signal.

        Args:
            clock: Which time it counts.
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
        """Begin anew.

        Args:
            first_s: Until the first signal; 0: there is none.
            then_s: Between two signals from then on; 0: there is one only.
        """
        times = _Times(*split(then_s), *split(first_s))
        self._library.timer_settime(self._timer, 0, ctypes.byref(times), None)

    def delete(self) -> None:
        """Take it away, once."""
        self.set(0)
        self._library.timer_delete(self._timer)


def split(seconds: float) -> tuple[int, int]:
    """Whole seconds, and nanoseconds."""
    return int(seconds), int(seconds % 1 * 1e9)
