"""Views of a leased membership: for people, and for the other hosts.

The rule: these are values. `actors/cluster/leased.py` makes them; the wire carries gifts, and the overview of hosts
shows what was seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from ...store.cluster import HostCard, HostState


class Standing(Enum):
    """How a host stands among the others."""

    JOINING = "joining"
    SERVING = "serving"
    UNCERTAIN = "uncertain"
    DEAD = "dead"
    LEAVING = "leaving"


class Gift(NamedTuple):
    """A shard that one host has given to another, as it tells it."""

    to: int  # the id of the new owner
    shard: int
    epoch: int
    jobs: Sequence[bytes]  # what goes on for its actors, at the giver or elsewhere


class HostSeen(NamedTuple):
    """A host that lives, as another one sees it."""

    host: int
    name: str
    card: HostCard
    state: HostState
    shards: int
    beat: int | None  # None: not read yet
    silent_s: float | None  # for how long its beat has stood still
    is_me: bool


class ClusterSeen(NamedTuple):
    """All hosts of a store, as one of them sees them."""

    me: str
    standing: Standing
    hosts: Sequence[HostSeen]
    shards: int  # of the store; 0: not read yet
    free: int  # shards that are nobody's
    killed: int  # hosts that this one has found dead, since it began
    lives: int  # how often this one has joined
    taken: int = 0  # shards of the dead, or of nobody, that this one has taken, since it began
    given: int = 0  # shards that it has given to other hosts
    beat_age_s: float | None = None  # since its own last beat was sent that was answered; None: it has not joined yet


@dataclass(slots=True)
class LeaseTally:
    """The counts of a host's deeds over all its lives."""

    killed: int = 0
    taken: int = 0
    given: int = 0
