"""Sharing a store: what makes an engine one host among others on one database.

The rule: the membership says who they are and which shards are whose, and the transport reaches them. A host that gives
a shard tells the new owner, so that nobody waits until it reads of it; the rows of the store are what counts.

`runtime/engine.py` shares its store if it is told how.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from ..actors.cluster.keeper import ShardSource
from ..actors.cluster.leases.seen import Gift
from ..actors.cluster.membership import Membership, name_of_id
from ..actors.cluster.method import HostMethod
from ..actors.cluster.peers import Peers
from ..actors.cluster.transport.transport import Transport
from ..actors.store.contract import Store
from .words import vocabulary

TAKE = HostMethod("take", (Sequence[Gift],), None)

# Tells the host of an id that shards were given to it. It may be lost.
Tell = Callable[[int, Sequence[Gift]], None]


class SharedMembership(Membership, ShardSource, Protocol):
    """The membership of hosts that share a store; `actors/cluster/leased.py` has one."""

    @property
    def me(self) -> str:
        """This host's own name in the placement table."""
        ...

    def told(self, gifts: Sequence[Gift]) -> None:
        """Learn from another host that it has given shards to this one."""
        ...


class Shared(NamedTuple):
    """A store that this engine shares with others."""

    membership: SharedMembership
    transport: Transport


# Makes it, once for an engine.
Share = Callable[[Store, Tell], Shared]


class SharedPeers:
    """The other hosts of a store that is shared.

    Args:
        share: Makes the membership and the transport.
    """

    def __init__(self, store: Store, share: Share) -> None:
        shared = share(store, self._tell)
        self.membership = shared.membership
        self.peers = Peers(shared.membership, vocabulary(), shared.transport)
        self.peers.answer(TAKE, shared.membership.told)

    def _tell(self, to: int, gifts: Sequence[Gift]) -> None:
        self.peers.tell(name_of_id(to), TAKE, gifts)
