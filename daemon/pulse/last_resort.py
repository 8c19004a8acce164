"""The last resort: a timer of the kernel's that ends the process if the pulse does not come back.

The rule: it counts time in which the process ran. Code in C may keep Python's lock and use no CPU, as a blocking call
does that forgets to give the lock back. Then no thread of Python's can act, and timers of CPU time stand still.

The timer runs out twice before the process ends, with some seconds in between. A process that was stopped (SIGSTOP,
`docker pause`) finds one signal when it goes on, however long that took, and the pulse winds the timer up before the
second. So the first signal does nothing but end a system call, and the second has the kernel's default, which ends the
process. The handler of the first has to be C and to be gone when the second comes, which `sysv_signal` does.

`daemon/pulse/watchdog.py` winds it up. It is for Linux with 64 bits and glibc; elsewhere it does nothing.
"""

import ctypes
import signal
import sys
from typing import Any

CLOCK_MONOTONIC = 1
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


class LastResort:
    """One timer of this process.

    Attributes:
        number: The signal that ends the process; None: this system has no such timer, or the program uses the signal.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_long) != 8:
            return
        number = signal.SIGRTMAX - 2
        if signal.getsignal(number) is not signal.SIG_DFL:
            return
        try:
            library: Any = ctypes.CDLL(None, use_errno=True)
            library.sysv_signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
            library.sysv_signal.restype = ctypes.c_void_p
            # Any function of C's that takes a number and does nothing else.
            self._nothing = ctypes.cast(library.abs, ctypes.c_void_p)
            timer = ctypes.c_void_p()
            event = _Event(signal=number, notify=SIGEV_SIGNAL)
            made = library.timer_create(CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)) == 0
        except AttributeError:  # another C library
            return
        if made:
            self._library, self._timer, self.number = library, timer, number

    def wind_up(self, first_s: float, second_s: float) -> None:
        """Begin anew.

        Args:
            first_s: Until the signal that does nothing.
            second_s: From then to the one that ends the process.
        """
        if self.number is not None:
            self._library.sysv_signal(self.number, self._nothing)
            self._set(first_s, second_s)

    def close(self) -> None:
        """Take the timer away. To close twice is harmless."""
        if self.number is not None:
            self._set(0, 0)
            self._library.timer_delete(self._timer)
            self.number = None

    def _set(self, first_s: float, second_s: float) -> None:
        times = _Times(*split(second_s), *split(first_s))
        self._library.timer_settime(self._timer, 0, ctypes.byref(times), None)


def split(seconds: float) -> tuple[int, int]:
    """Whole seconds, and nanoseconds."""
    return int(seconds), int(seconds % 1 * 1e9)
