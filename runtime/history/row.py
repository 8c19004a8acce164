"""History on disk: one row for each turn.

The rule: rows are only ever appended, and a row is enough to repeat its turn.
It holds the time of the turn, the arrivals that it fed to the code, and the
commands of the code.

A row may also hold arrivals that were not fed: the instance was suspended,
stalled, not due to start yet, or its code is not here. The next turn feeds them
first, in their order.

Workflow actors write rows; replay, the timeline and the facade read them.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgpack

from ...actors.errors import PerdureError
from .event import COMMANDS, Arrival, Command, Event, pack_event, unpack_event

E = TypeVar("E", bound=Event)


class CorruptHistory(PerdureError):
    """The store holds a row or a record that this release cannot read."""


FORMAT = 1


# The most waits that a row lists, so that rows of an instance with more are not longer.
WAITS_TOLD_MAX = 100


class Row(NamedTuple):
    """One row of a history."""

    at_us: int  # Unix time, microseconds
    turn: Sequence[Event] | None  # the arrivals that were fed, then the commands; None: no turn ran
    held: Sequence[Event]  # the arrivals that were not fed
    consumed: int | None = None  # how many of the arrivals that earlier rows hold this turn fed; None: all
    # The external events that the app's own code waits for after this turn: the id of the wait's timer, or of a wait
    # without a timeout the event's name, as spelled. None: as before. Replay does not need it: it is for readers, which
    # run no code.
    waits: Sequence[str | int] | None = None

    def taken_from(self, held: list[E]) -> list[E]:
        """Take the events that this row's turn has fed out of the arrivals that earlier rows hold, and return them,
        oldest first.

        Without a turn nothing is fed. The events that this row holds itself are not added.
        """
        if self.turn is None:
            return []
        fed = held[: self.consumed]
        del held[: self.consumed]
        return fed


class RowPacker:
    """Writes rows. An engine has one, because its buffer is dear to make and cheap to use again."""

    def __init__(self) -> None:
        self._pack: Callable[[tuple[Any, ...]], bytes] = msgpack.Packer().pack

    def pack(
        self,
        at_us: int,
        turn: Iterable[Event] | None,
        held: Sequence[Event],
        consumed: int | None = None,
        waits: Sequence[str | int] | None = None,
    ) -> bytes:
        """Write a row; the fields are those of `Row`."""
        fed = [*map(pack_event, turn)] if turn is not None else None
        kept = [*map(pack_event, held)] if held else ()
        if waits is None:
            return self._pack((FORMAT, at_us, fed, kept, consumed))
        return self._pack((FORMAT, at_us, fed, kept, consumed, waits))


def unpack_row(packed: bytes) -> Row:
    """Read a row.

    Raises:
        CorruptHistory: This release cannot read it.
    """
    try:
        row_format, at_us, turn, held, *rest = msgpack.unpackb(packed, use_list=False)
        if row_format != FORMAT:
            raise CorruptHistory(f"a row has format {row_format}; this release reads format {FORMAT}")
        return Row(
            at_us,
            [unpack_event(event) for event in turn] if turn is not None else None,
            [unpack_event(event) for event in held],
            *rest[:2],
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise CorruptHistory(f"a row of {len(packed)} bytes cannot be read: {error!r}") from error


def last_waits(rows: Sequence[Row]) -> tuple[str | int, ...]:
    """The external events that the app's own code waits for after these rows, as `Row.waits` has them."""
    return next((tuple(row.waits) for row in reversed(rows) if row.waits is not None), ())


def split(turn: Sequence[Event]) -> tuple[list[Arrival], list[Command]]:
    """Part the events of a turn into arrivals and commands."""
    arrivals: list[Arrival] = []
    commands: list[Command] = []
    for event in turn:
        if type(event) in COMMANDS:
            commands.append(event)  # type: ignore[arg-type]  # the set holds exactly the types of Command
        else:
            arrivals.append(event)  # type: ignore[arg-type]
    return arrivals, commands
