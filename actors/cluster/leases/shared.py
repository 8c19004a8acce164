"""A shared store: the membership and the transport of a host on a database with other hosts.

The rule: the membership names the hosts and the owners of shards, and the transport reaches the hosts. A host that
gives a shard notifies the new owner, so that callers need not wait until it reads the row. Only the rows of the store
decide.

The engine shares its store if it gets a `Share` (`runtime/engine.py`).
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

import anyio

from ...errors import PerdureError
from ...store.contract import Store
from ...store.presence.flights import FlightBook
from ..keeper import ShardSource
from ..membership import Membership, name_of_id
from ..method import HostMethod
from ..peers import Peers
from ..transport.transport import Transport
from ..vocabulary import Vocabulary
from .seen import ClusterSeen, Gift

TAKE = HostMethod("take", (Sequence[Gift],), None)
LEND = HostMethod("lend", (Gift,), None)

LEND_S = 0.5  # how long a shard stays closed to report the activities that go on for its actors

logger = logging.getLogger(__name__)

# Notifies the host with an id that shards were given to it. The message may be lost.
Tell = Callable[[int, Sequence[Gift]], None]


class SharedMembership(Membership, ShardSource, Protocol):
    """The membership of hosts that share a store; `actors/cluster/leased.py` implements it."""

    @property
    def me(self) -> str:
        """This host's own name in the placement table."""
        ...

    def has_app(self, name: str, app_id: str) -> bool:
        """Whether another living host has an app."""
        ...

    def seen(self) -> ClusterSeen:
        """All hosts and shards, as this host sees them."""
        ...

    # Reports to another host the activities that go on for the actors of a shard that it is about to get.
    lend: Callable[[Gift], Awaitable[None]]

    def told(self, gifts: Sequence[Gift]) -> None:
        """Take note that another host has given shards to this one."""
        ...

    def lent(self, gift: Gift) -> None:
        """Take note of the activities that go on for the actors of a shard that this host is about to get."""
        ...


class SharedStore(NamedTuple):
    """A store that this host shares with others."""

    membership: SharedMembership
    transport: Transport
    patience_s: float = 0.0  # how long a commit waits for an unreachable database
    book: FlightBook | None = None  # holds hosts' notes of work under way; None: hosts write no notes


# Makes the shared store, once for a host.
Share = Callable[[Store, Tell], SharedStore]


class SharedPeers:
    """The other hosts of a shared store.

    Args:
        share: Makes the membership and the transport.
        vocabulary: The words of the messages between hosts.
    """

    def __init__(self, store: Store, share: Share, vocabulary: Vocabulary) -> None:
        shared = share(store, self._tell)
        self.membership = shared.membership
        self.book = shared.book
        self.peers = Peers(shared.membership, vocabulary, shared.transport, patience_s=shared.patience_s)
        self.peers.answer(TAKE, shared.membership.told)
        self.peers.answer(LEND, shared.membership.lent)
        shared.membership.lend = self._lend

    def _tell(self, to: int, gifts: Sequence[Gift]) -> None:
        self.peers.tell(name_of_id(to), TAKE, gifts)

    async def _lend(self, gift: Gift) -> None:
        """Report the activities that go on for a shard to a host, and wait for its answer; else it begins them anew."""
        outbound = self.peers.find(name_of_id(gift.to))
        if outbound is not None:
            with anyio.move_on_after(LEND_S):
                try:
                    await outbound.call(LEND, gift)
                except PerdureError as error:
                    logger.debug("shard %d is given without what goes on for it: %s", gift.shard, error)
