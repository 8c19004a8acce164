"""Figures of a shared store and its server, for metrics: commits in doubt, offsets of clocks, lags of copies.

The rule: no decision depends on them. The server is queried only when metrics are read.

`actors/store/postgres/writer.py` counts, `actors/store/postgres/settings.py` queries the server, and
`telemetry/cluster_metrics.py` shows both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(slots=True)
class CommitDoubts:
    """Counts of commits, and of changes of owners, whose connection broke, since the host began."""

    in_doubt: int = 0  # those whose outcome was unknown at first
    uncertain: int = 0  # those whose outcome was not found in time: their callers got `StoreUncertain`
    acknowledged_lost: int = (
        0  # instances and items whose last acknowledged turn, or change, a server that took over does not have
    )


class StandbyLag(NamedTuple):
    """How far a server that follows the store's server is behind it."""

    name: str  # its `application_name`
    behind_s: float  # the age of the log that it replays now, since its server flushed it; 0: it has all
    behind_bytes: int  # bytes of the log of transactions


class ServerFigures(NamedTuple):
    """The figures that the store's server reports."""

    clock_offset_s: float  # this host's clock minus the server's; accurate to half of the time that the answer took
    followers: int  # servers and programs that follow it now
    lags: Sequence[StandbyLag]  # of the standbys that this user may see
