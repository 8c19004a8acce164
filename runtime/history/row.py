"""History on disk: one row for each turn.

The one law: rows are only ever appended, and what a row holds is enough to
repeat its turn: when it ran, what had arrived, what the code then asked for.

A row may hold events that arrived but were not fed to the code: the instance
was suspended, stalled, not due to start yet, or its code is not here. The next
row that ran a turn feeds them first, in their order.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgpack

from ...actors.errors import PerdureError
from .event import COMMANDS, Arrival, Command, Event, pack_event, unpack_event


class CorruptHistory(PerdureError):
    """What the store holds of an instance cannot be read by this release."""


FORMAT = 1


class Row(NamedTuple):
    """One row of a history."""

    at_us: int  # Unix time, microseconds
    turn: Sequence[Event] | None  # what was fed, then what was asked; None: no turn ran
    held: Sequence[Event]  # what arrived and was not fed
    consumed: int | None = None  # how many of the held events of before this turn fed; None: all


class RowPacker:
    """Writes rows. One for each engine: it keeps a buffer, which is dear to make and cheap to use again."""

    def __init__(self) -> None:
        self._packer = msgpack.Packer()

    def pack(
        self, at_us: int, turn: Iterable[Event] | None, held: Iterable[Event], consumed: int | None = None
    ) -> bytes:
        row: bytes = self._packer.pack(
            (
                FORMAT,
                at_us,
                [pack_event(event) for event in turn] if turn is not None else None,
                [pack_event(event) for event in held],
                consumed,
            )
        )
        return row


def unpack_row(packed: bytes) -> Row:
    """Read a row.

    Raises:
        CorruptHistory: It is none that this release can read.
    """
    try:
        row_format, at_us, turn, held, *rest = msgpack.unpackb(packed, use_list=False)
        if row_format != FORMAT:
            raise CorruptHistory(f"a row has format {row_format}; this release reads format {FORMAT}")
        return Row(
            at_us,
            [unpack_event(event) for event in turn] if turn is not None else None,
            [unpack_event(event) for event in held],
            *rest[:1],
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise CorruptHistory(f"a row of {len(packed)} bytes cannot be read: {error!r}") from error


def split(turn: Sequence[Event]) -> tuple[list[Arrival], list[Command]]:
    """Part a turn into what was fed and what was asked."""
    arrivals: list[Arrival] = []
    commands: list[Command] = []
    for event in turn:
        if type(event) in COMMANDS:
            commands.append(event)  # type: ignore[arg-type]  # the set holds exactly the types of Command
        else:
            arrivals.append(event)  # type: ignore[arg-type]
    return arrivals, commands
