"""A shared store: what makes a host one among others on one database.

The rule: the membership says who they are and which shards are whose, and the transport reaches them. A host that gives
a shard tells the new owner, so that nobody waits until it reads of it; the rows of the store are what counts.

The engine shares its store if it is told how (`runtime/engine.py`).
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

import anyio

from ...errors import PerdureError
from ...store.contract import Store
from ..keeper import ShardSource
from ..membership import Membership, name_of_id
from ..method import HostMethod
from ..peers import Peers
from ..transport.transport import Transport
from ..vocabulary import Vocabulary
from .seen import ClusterSeen, Gift

TAKE = HostMethod("take", (Sequence[Gift],), None)
LEND = HostMethod("lend", (Gift,), None)

LEND_S = 0.5  # how long a shard stays closed for the sake of what goes on for its actors

logger = logging.getLogger(__name__)

# Tells the host of an id that shards were given to it. It may be lost.
Tell = Callable[[int, Sequence[Gift]], None]


class SharedMembership(Membership, ShardSource, Protocol):
    """The membership of hosts that share a store; `actors/cluster/leased.py` has one."""

    @property
    def me(self) -> str:
        """This host's own name in the placement table."""
        ...

    def has_app(self, name: str, app_id: str) -> bool:
        """Whether another host that lives has an app."""
        ...

    def seen(self) -> ClusterSeen:
        """All hosts and shards, as this host sees them."""
        ...

    # Tells another host what goes on for the actors of a shard that it is about to get.
    lend: Callable[[Gift], Awaitable[None]]

    def told(self, gifts: Sequence[Gift]) -> None:
        """Learn from another host that it has given shards to this one."""
        ...

    def lent(self, gift: Gift) -> None:
        """Learn from another host which activities go on for the actors of a shard that it is about to give to this
        one.
        """
        ...


class SharedStore(NamedTuple):
    """A store that this host shares with others."""

    membership: SharedMembership
    transport: Transport
    patience_s: float = 0.0  # how long a commit waits for a database that is away


# Makes it, once for a host.
Share = Callable[[Store, Tell], SharedStore]


class SharedPeers:
    """The other hosts of a store that is shared.

    Args:
        share: Makes the membership and the transport.
        vocabulary: The words in which the hosts talk.
    """

    def __init__(self, store: Store, share: Share, vocabulary: Vocabulary) -> None:
        shared = share(store, self._tell)
        self.membership = shared.membership
        self.peers = Peers(shared.membership, vocabulary, shared.transport, patience_s=shared.patience_s)
        self.peers.answer(TAKE, shared.membership.told)
        self.peers.answer(LEND, shared.membership.lent)
        shared.membership.lend = self._lend

    def _tell(self, to: int, gifts: Sequence[Gift]) -> None:
        self.peers.tell(name_of_id(to), TAKE, gifts)

    async def _lend(self, gift: Gift) -> None:
        """Tell a host which activities go on for a shard, and wait until it knows. Else it begins them anew."""
        outbound = self.peers.find(name_of_id(gift.to))
        if outbound is not None:
            with anyio.move_on_after(LEND_S):
                try:
                    await outbound.call(LEND, gift)
                except PerdureError as error:
                    logger.debug("shard %d is given without what goes on for it: %s", gift.shard, error)
