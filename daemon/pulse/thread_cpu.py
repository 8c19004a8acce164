"""Whether a thread gets the CPU that it wants, as the kernel tells it.

The rule: where the kernel does not tell, a thread is never called starved. `daemon/pulse/watchdog.py` asks.
"""

import os
from pathlib import Path

# A thread that could run the whole time and has run for less than this share of it was kept from it by the machine.
SHARE_MIN = 0.1


class ThreadCpu:
    """The CPU time of one thread of this process.

    Args:
        thread_id: The kernel's number of it.
    """

    def __init__(self, thread_id: int) -> None:
        self._path = Path(f"/proc/self/task/{thread_id}/stat")
        self._ticks_a_second = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
        self._ticks = 0

    def starved(self, elapsed_s: float) -> bool:
        """Whether the thread is runnable and has had next to no CPU since the last call.

        Args:
            elapsed_s: How long ago that was.
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
