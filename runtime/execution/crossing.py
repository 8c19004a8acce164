"""The form in which commands and the end of a generation cross to another host of the daemon.

The rule: events cross as rows of a history, so that two releases which share a store understand each other.

The forms of `runtime/words.py` and `runtime/workers/hosts/wire.py` hold these rows.
"""

from collections.abc import Sequence
from typing import TypeAlias

from ..history.event import Command, Event, EventRaised
from ..history.row import CorruptHistory, RowPacker, split, unpack_row
from .drive import ContinuedAsNew

PackedContinuation: TypeAlias = tuple[str | None, bytes]  # the input, and a row of the events that are carried over


def pack_continued(continued: ContinuedAsNew | None) -> PackedContinuation | None:
    """Give the end of a generation the form in which it crosses."""
    return None if continued is None else (continued.input, RowPacker().pack(0, None, continued.carried))


def unpack_continued(packed: PackedContinuation | None) -> ContinuedAsNew | None:
    """Read the end of a generation.

    Raises:
        CorruptHistory: The row cannot be read, or one of its events is not from outside.
    """
    if packed is None:
        return None
    given, row = packed
    carried: list[EventRaised] = []
    for event in unpack_row(row).held:
        if not isinstance(event, EventRaised):
            raise CorruptHistory(f"a generation cannot carry over {type(event).__name__}")
        carried.append(event)
    return ContinuedAsNew(given, carried)


def commands_of(turn: Sequence[Event] | None) -> list[Command]:
    """The commands of a row that has crossed; none if it has no turn.

    Raises:
        CorruptHistory: One of its events is an arrival.
    """
    arrivals, commands = split(turn or ())
    if arrivals:
        raise CorruptHistory(f"code cannot ask for {type(arrivals[0]).__name__}")
    return commands
