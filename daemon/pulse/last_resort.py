"""The last resort: a timer of the kernel's that ends the process if the pulse does not come back.

The rule: it counts time in which the process ran. Code in C may keep Python's lock and use no CPU, as a blocking call
does that forgets to give the lock back. Then no thread of Python's can act, and timers of CPU time stand still.

The timer runs out twice before the process ends, with some seconds in between. A process that was stopped (SIGSTOP,
`docker pause`) finds one signal when it goes on, however long that took, and the pulse winds the timer up before the
second. So the first signal does nothing but end a system call, and the second has the kernel's default, which ends the
process. The handler of the first has to be C and to be gone when the second comes, which `sysv_signal` does.

`daemon/pulse/watchdog.py` winds it up. Where there is no `daemon/pulse/kernel_timer.py` it does nothing.
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
            # Any function of C's that takes a number and does nothing else.
            self._nothing = ctypes.cast(library.abs, ctypes.c_void_p)
        except AttributeError:  # another C library
            return
        self._library = library
        self._timer = KernelTimer.make(CLOCK_MONOTONIC, signal.SIGRTMAX - 2)
        if self._timer is not None:
            self.number = self._timer.number

    def wind_up(self, first_s: float, second_s: float) -> None:
        """Begin anew.

        Args:
            first_s: Until the signal that does nothing.
            second_s: From then to the one that ends the process.
        """
        if self._timer is not None:
            self._library.sysv_signal(self._timer.number, self._nothing)
            self._timer.set(first_s, second_s)

    def close(self) -> None:
        """Take the timer away. To close twice is harmless."""
        if self._timer is not None:
            self._timer.delete()
            self._timer = self.number = None
