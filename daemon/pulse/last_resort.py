"""The last resort: a timer of the kernel that ends the process if the pulse stops.

The rule: it counts only time in which the process was not stopped. C code may hold Python's lock and use no CPU, as a
blocking call does that does not release the lock. Then no Python thread can run, and timers of CPU time do not advance.

The timer expires twice before the process ends, with some seconds in between. A process that was stopped (SIGSTOP,
`docker pause`) gets one signal when it continues, however long it was stopped, and the pulse restarts the timer before
the second signal. So the first signal does nothing but end a system call, and the second has the kernel's default
action, which ends the process. The handler of the first has to be a C function, and removed when the second comes:
`sysv_signal` does that.

`daemon/pulse/watchdog.py` restarts it. On systems without kernel timers (`daemon/pulse/kernel_timer.py`) it does
nothing.
"""

import ctypes
import signal
from typing import Any

from .kernel_timer import CLOCK_MONOTONIC, KernelTimer


class LastResort:
    """One timer of this process.

    Attributes:
        number: The signal that ends the process; None: this system has no such timer, or the program uses the signal.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._timer: KernelTimer | None = None
        if not hasattr(signal, "SIGRTMAX"):
            return
        try:
            library: Any = ctypes.CDLL(None, use_errno=True)
            library.sysv_signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
            library.sysv_signal.restype = ctypes.c_void_p
            # Any C function that takes a number and has no effect.
            self._nothing = ctypes.cast(library.abs, ctypes.c_void_p)
        except AttributeError:  # another C library
            return
        self._library = library
        self._timer = KernelTimer.make(CLOCK_MONOTONIC, signal.SIGRTMAX - 2)
        if self._timer is not None:
            self.number = self._timer.number

    def wind_up(self, first_s: float, second_s: float) -> None:
        """Start the timer again.

        Args:
            first_s: The time until the first signal, which does nothing.
            second_s: The time from then to the signal that ends the process.
        """
        if self._timer is not None:
            self._library.sysv_signal(self._timer.number, self._nothing)
            self._timer.set(first_s, second_s)

    def close(self) -> None:
        """Delete the timer. May be called twice."""
        if self._timer is not None:
            self._timer.delete()
            self._timer = self.number = None
