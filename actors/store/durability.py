"""What a commit outlives, as a caller chooses it.

It is a setting of stores that write to a disk. The command line, the engine and
`actors/store/sqlite/store.py` use it; its values are the words of the command line.
"""

from enum import Enum


class Durability(Enum):
    """What a commit outlives."""

    FULL = "full"  # the machine: flushed to the disk before it returns
    RELAXED = "relaxed"  # the process; a crash of the machine may take the newest commits, whole
