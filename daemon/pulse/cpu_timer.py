"""Timers of CPU time, which expire while code holds Python's lock and the pulse cannot run.

The rule: where the system allows it, they are timers of the kernel (`daemon/pulse/kernel_timer.py`). The timers of
setitimer(2) and their signals are then left to the app, whose profilers use them. Elsewhere the daemon uses those.

`daemon/pulse/watchdog.py` has two.
"""

import signal
from dataclasses import dataclass

from .kernel_timer import CLOCK_PROCESS_CPUTIME_ID, KernelTimer


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuAlarm:
    """A purpose of a timer of CPU time: its signal with a kernel timer, and its timer and signal without one."""

    below_last: int  # the distance of the signal below SIGRTMAX; signals there have no names
    interval_timer: int  # of setitimer(2)
    interval_signal: signal.Signals


# The last resort uses SIGRTMAX - 2 (`daemon/pulse/last_resort.py`).
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
        """Start the timer again.

        Args:
            seconds: The CPU time until the signal; 0: no signal.
        """
        if self._kernels is not None:
            self._kernels.set(seconds)
        else:
            signal.setitimer(self._alarm.interval_timer, seconds)

    def close(self) -> None:
        """Delete the timer. To be called once."""
        if self._kernels is not None:
            self._kernels.delete()
        else:
            self.set(0)
