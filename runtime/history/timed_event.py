"""Events as remote workers see them: each with its id and the time of its turn.

No protobuf here: `rpc/wire/history.py` puts them on the wire.
"""

from typing import NamedTuple

from .event import Event


class TurnStarted(NamedTuple):
    """The beginning of a turn. Not on our disk: a row of the history is a turn, and this stands for its head."""

    patches: tuple[str, ...] = ()  # what the turn found applied that none before it did
    version: str | None = None  # the named version of the code, in the turn that settled it
    wire: bytes | None = None


class TimedEvent(NamedTuple):
    """An event as workers see it."""

    event_id: int  # of a command; -1 for what arrives
    at_us: int  # Unix time, microseconds: of the turn
    event: Event | TurnStarted
