"""Durability: whether a commit outlives the machine, or only the process.

The rule: its values are the words of the command line.

The engine takes it as a setting (`runtime/engine.py`), and `actors/store/sqlite/store.py` fulfils it.
"""

from enum import Enum


class Durability(Enum):
    """Whether a commit outlives a crash of the machine, or only of the process."""

    FULL = "full"  # the machine: flushed to the disk before it returns
    RELAXED = "relaxed"  # the process; a crash of the machine may take the newest commits, whole
