"""Timers of CPU time, which run out while code keeps Python's lock and the pulse cannot run.

The rule: where the system lets us, they are the kernel's own (`daemon/pulse/kernel_timer.py`). Those of setitimer(2)
and their signals are then left to the app, whose profilers use them. Elsewhere they are these.

`daemon/pulse/watchdog.py` has two.
"""

import signal
from dataclasses import dataclass

from .kernel_timer import CLOCK_PROCESS_CPUTIME_ID, KernelTimer


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuAlarm:
    """The use of a timer of CPU time: the kernel's signal for it, and the signal where there is none."""

    below_last: int  # how far the signal is below SIGRTMAX, whose neighbours have no names
    interval_timer: int  # of setitimer(2)
    interval_signal: signal.Signals


# SIGRTMAX - 2 is the last resort's (`daemon/pulse/last_resort.py`).
INTERRUPTION = CpuAlarm(below_last=3, interval_timer=signal.ITIMER_VIRTUAL, interval_signal=signal.SIGVTALRM)
END = CpuAlarm(below_last=4, interval_timer=signal.ITIMER_PROF, interval_signal=signal.SIGPROF)


class CpuTimer:
    """One timer of this process's CPU time.

    Attributes:
        number: The signal that it sends.
    """

    def __init__(self, alarm: CpuAlarm) -> None:
        self._alarm = alarm
        self._kernels: KernelTimer | None = None
        if hasattr(signal, "SIGRTMAX"):
            self._kernels = KernelTimer.make(CLOCK_PROCESS_CPUTIME_ID, signal.SIGRTMAX - alarm.below_last)
        self.number: int = self._kernels.number if self._kernels is not None else alarm.interval_signal

    def set(self, seconds: float) -> None:
        """Begin anew.

        Args:
            seconds: Until the signal; 0: there is none.
        """
        if self._kernels is not None:
            self._kernels.set(seconds)
        else:
            signal.setitimer(self._alarm.interval_timer, seconds)

    def close(self) -> None:
        """Take the timer away, once."""
        if self._kernels is not None:
            self._kernels.delete()
        else:
            self.set(0)
