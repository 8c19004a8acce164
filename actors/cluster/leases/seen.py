"""Views of a leased membership, for people and for the other hosts.

The rule: these are values. `actors/cluster/leased.py` makes them; the wire carries `Gift`, and the overview of hosts
shows `ClusterSeen`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from ...store.cluster import HostCard, HostState


class Standing(Enum):
    """The state of a host among the others."""

    JOINING = "joining"
    SERVING = "serving"
    UNCERTAIN = "uncertain"
    DEAD = "dead"
    LEAVING = "leaving"


class Gift(NamedTuple):
    """A shard that one host has given to another, in the message about it."""

    to: int  # the id of the new owner
    shard: int
    epoch: int
    jobs: Sequence[bytes]  # the activities that go on for its actors, at the giver or elsewhere


class HostSeen(NamedTuple):
    """A living host, as another host sees it."""

    host: int
    name: str
    card: HostCard
    state: HostState
    shards: int
    beat: int | None  # None: not read yet
    silent_s: float | None  # for how long its beat has stood still
    is_me: bool


class ClusterSeen(NamedTuple):
    """All hosts of a store, as one host sees them."""

    me: str
    standing: Standing
    hosts: Sequence[HostSeen]
    shards: int  # of the store; 0: not read yet
    free: int  # unowned shards
    killed: int  # hosts that this host has found dead, since it began
    lives: int  # how often this host has joined
    taken: int = 0  # shards of dead hosts, and unowned shards, that this host has taken, since it began
    given: int = 0  # shards that it has given to other hosts
    beat_age_s: float | None = None  # time since its last answered beat was sent; None: it has not joined yet


@dataclass(slots=True)
class LeaseTally:
    """The counts of a host's kills, takes and gifts over all its lives."""

    killed: int = 0
    taken: int = 0
    given: int = 0
