"""Which patches of its code an instance has taken (contract 3.19)."""

from collections.abc import Iterable

from .event import PatchesApplied
from .row import Row


def patches_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """The patches that a history says were applied, in the order first asked."""
    commands = [event for row in rows for event in row.turn or () if isinstance(event, PatchesApplied)]
    return tuple(name for command in commands for name in command.names)
