"""Beats: the answers to a host of a shared store when it beats, and the heart as its host knows it.

The rule: these are values and a promise; nothing here waits.

`actors/store/presence/heart.py` beats, `actors/cluster/leases/judging.py` judges by what was heard.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

BEAT_S = 0.5  # between two beats
SLOW_S = 1.0  # a beat that takes longer has failed


class Beats(NamedTuple):
    """An answer to a beat."""

    alive: bool  # whether this host's row is there
    seen: Mapping[int, int]  # host -> beat of every host that lives
    version: str  # another one after each change of an owner, of what a host says of itself, or of a cut
    timeline: str  # another one on a server that was a copy, and may not have all that was committed


class Heartbeat(NamedTuple):
    """A beat, and how it went. The times are of the event loop's clock."""

    sent_at: float
    answered_at: float  # or when it was given up
    beats: Beats | None  # None: it has failed


class Heart(Protocol):
    """The heart of a host, for one of its lives."""

    sent_at: float  # when the last beat was sent that was answered, and found the host's row on the first one's server
    stuck_after_s: float  # a host's loop that has not ticked for so long is dead

    def tick(self, now: float) -> None:
        """Say that the host's loop lives."""
        ...

    def drain(self) -> Sequence[Heartbeat]:
        """The beats since the last call, in the order in which they were sent."""
        ...

    def stop(self) -> None:
        """Beat no more. A beat that is under way ends by itself."""
        ...

    async def run(self) -> None:
        """Beat until it is stopped or cancelled; once."""
        ...
