"""The patches of its code that an instance has taken (contract 3.19), read from its history.

The rule: a patch that an instance has taken once stays taken.

Workflow actors read them when an instance of a remote worker comes into memory.
"""

from collections.abc import Iterable

from .event import PatchesApplied
from .row import Row


def patches_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """The patches that a history names as applied, in the order in which the code first checked them."""
    commands = [event for row in rows for event in row.turn or () if isinstance(event, PatchesApplied)]
    return tuple(name for command in commands for name in command.names)
