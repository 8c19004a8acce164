"""Beats: the answers to a host of a shared store when it beats, and the heart as its host knows it.

The rule: this module has values and a Protocol; no function here waits.

`actors/store/presence/heart.py` beats, and `actors/cluster/leases/judging.py` judges by the answers.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

BEAT_S = 0.5  # between two beats
SLOW_S = 1.0  # a beat that takes longer has failed


class Beats(NamedTuple):
    """An answer to a beat."""

    alive: bool  # whether this host's row exists
    seen: Mapping[int, int]  # host -> number of beats, of every living host
    version: str  # changes with each change of an owner, of the state of a host, or of a cut
    timeline: str  # changes with a failover to a server that was a copy, and may lack commits


class Heartbeat(NamedTuple):
    """A beat and its outcome. The times are of the event loop's clock."""

    sent_at: float
    answered_at: float  # when it was answered or given up
    beats: Beats | None  # None: the beat has failed


class Heart(Protocol):
    """The heart of a host, for one of its lives."""

    sent_at: float  # when the last beat was sent whose answer had the host's row, from the first beat's server
    stuck_after_s: float  # a host whose loop has not ticked for this time stops beating

    def tick(self, now: float) -> None:
        """Take note that the host's loop lives."""
        ...

    def drain(self) -> Sequence[Heartbeat]:
        """The beats since the last call, in the order in which they were sent."""
        ...

    def stop(self) -> None:
        """Stop beating. A beat that is under way ends by itself."""
        ...

    async def run(self) -> None:
        """Beat until it is stopped or cancelled; once."""
        ...
