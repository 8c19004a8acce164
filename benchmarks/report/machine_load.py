"""What a machine did while something was measured: figures of a busy machine are those of its load too.

The rule: it is read before a run and after it, and never during one, so that it takes nothing of what is measured.
`benchmarks/cli.py` reads it, `benchmarks/report/page.py` shows it.
"""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineLoad:
    """What all processes of a machine did during a run."""

    busy: float  # share of the time of all cores that was worked in, 0 to 1; the run's own work too
    ready: float  # processes that ran or could have, on average over the last minute of the run


class LoadReading:
    """The counters of a machine at the beginning of a run."""

    def __init__(self) -> None:
        self._before = cpu_seconds()

    def until_now(self) -> MachineLoad:
        """What the machine has done since."""
        idle, total = (now - before for now, before in zip(cpu_seconds(), self._before, strict=True))
        ready = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        return MachineLoad(busy=round(1 - idle / total, 3) if total > 0 else 0.0, ready=round(ready, 2))


def cpu_seconds() -> tuple[float, float]:
    """How long all cores together were idle, and in all, since the machine was started; seconds."""
    import psutil  # noqa: PLC0415  the extra

    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Linux counts the time of guests in that of users too.
    return idle, sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
