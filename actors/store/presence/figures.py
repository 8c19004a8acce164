"""Figures of a shared store and its server, for metrics: commits in doubt, clocks that are off, copies that lag.

The rule: nothing is decided by them. The server is asked only by someone who wants to know.

`actors/store/postgres/writer.py` counts, `actors/store/postgres/settings.py` asks the server, and
`telemetry/cluster_metrics.py` shows both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(slots=True)
class CommitDoubts:
    """The outcomes of commits, and of changes of owners, whose connection broke. Counted since the host began."""

    in_doubt: int = 0  # of which it had to be found out whether they had happened
    uncertain: int = 0  # of which it was not found out in time: their callers heard "may have happened"
    acknowledged_lost: int = (
        0  # instances and items whose last acknowledged turn, or change, a server that took over does not have
    )


class StandbyLag(NamedTuple):
    """How far a server that follows the store's server is behind it."""

    name: str  # its `application_name`
    behind_s: float  # what it replays now was flushed so long ago by its server; 0: it has all
    behind_bytes: int  # of the log of transactions


class ServerFigures(NamedTuple):
    """The figures that the store's server gives of itself."""

    clock_offset_s: float  # this host's clock minus the server's; off by half of the time that the answer took
    followers: int  # servers and programs that follow it now
    lags: Sequence[StandbyLag]  # of the standbys that this user may see
