"""Events as remote workers see them: each with its id and the time of its turn.

The rule: there is no protobuf here. `runtime/history/timeline.py` makes them
of rows, and `rpc/wire/history.py` puts them on the wire.
"""

from typing import NamedTuple

from .event import Event


class TurnStarted(NamedTuple):
    """The beginning of a turn. It is not on disk, where a row is a turn; it stands for the head of the row."""

    patches: tuple[str, ...] = ()  # the patches that this turn is the first to find applied
    version: str | None = None  # the named version of the code
    wire: bytes | None = None


class TimedEvent(NamedTuple):
    """An event as workers see it."""

    event_id: int  # of a command; -1 for an arrival
    at_us: int  # Unix time, microseconds: of the turn
    event: Event | TurnStarted
