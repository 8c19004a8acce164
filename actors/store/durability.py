"""Durability: whether a commit outlives the machine, or only the process.

The rule: its values are the words of the command line.

The engine takes it as a setting (`runtime/engine.py`), and `actors/store/sqlite/store.py` implements it.
"""

from enum import Enum


class Durability(Enum):
    """Whether a commit outlives a crash of the machine, or only of the process."""

    FULL = "full"  # a crash of the machine: a commit is flushed to the disk before it returns
    RELAXED = "relaxed"  # of the process only; a crash of the machine may lose the newest commits, each as a whole
