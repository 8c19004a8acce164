"""Tells from the kernel's statistics whether a thread is starved of CPU time.

The rule: without statistics of the kernel no thread counts as starved. `daemon/pulse/watchdog.py` uses it.
"""

import os
from pathlib import Path

# A runnable thread that gets less than this share of the time is starved by the load of the machine.
SHARE_MIN = 0.1


class ThreadCpu:
    """The CPU time of one thread of this process.

    Args:
        thread_id: The kernel's number of the thread.
    """

    def __init__(self, thread_id: int) -> None:
        self._path = Path(f"/proc/self/task/{thread_id}/stat")
        self._ticks_a_second = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
        self._ticks = 0

    def starved(self, elapsed_s: float) -> bool:
        """Whether the thread is runnable and has had less than `SHARE_MIN` of the CPU since the last call.

        Args:
            elapsed_s: The time since that call.
        """
        try:
            text = self._path.read_text()
        except OSError:
            return False
        # The name stands in parentheses, and may have any character.
        state, ticks = parse(text)
        used_s, self._ticks = (ticks - self._ticks) / self._ticks_a_second, ticks
        return state == "R" and elapsed_s > 0 and used_s < SHARE_MIN * elapsed_s


def parse(stat: str) -> tuple[str, int]:
    """Read the state and the CPU time, user and system, in ticks (proc(5), /proc/pid/stat)."""
    fields = stat.rpartition(")")[2].split()
    return fields[0], int(fields[11]) + int(fields[12])
