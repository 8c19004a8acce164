"""A store on a database, shared: this host's membership by leases, and how other hosts reach it.

The rule: a host that reaches the database finds the other hosts in it. The facts by which a host is found (its address,
its certificate) are known once the store is open, and before the host joins.

`runtime/engine.py` shares a store on PostgreSQL in this way, unless its settings say otherwise.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .cluster.leased import LeasedMembership
from .cluster.leases.shared import Share, SharedStore, Tell
from .cluster.leases.work import NEWCOMER_S
from .cluster.protocol import WIRE_MAX, WIRE_MIN, wire_for
from .cluster.transport.addresses import LOOPBACK, address_towards, check_reachable, is_loopback
from .cluster.transport.endpoint import Endpoint
from .cluster.transport.transport import Listener
from .errors import PeerPortUnusable
from .peer_address import PeerAddress, read_peer_address
from .release import own_release
from .store.cluster import Cluster, HostCard
from .store.contract import Store
from .store.errors import StoreFailed
from .store.presence.place import machine_name, own_place

if TYPE_CHECKING:
    from .cluster.transport.tls import TlsTransport
    from .store.postgres.cluster_store import PostgresClusterStore

logger = logging.getLogger(__name__)

EVERY_FOUR, EVERY_SIX = "0.0.0.0", "::"  # noqa: S104  only where a person has said by which address it is reached


def store_on(url: str, **settings: Any) -> "PostgresClusterStore":
    """The store at the address of a database. Its modules are imported here: users of files do not need them.

    Args:
        settings: As for `PostgresStore`.

    Raises:
        StoreFailed: The address is malformed, or the driver is not installed.
    """
    from .store.postgres.cluster_store import PostgresClusterStore  # noqa: PLC0415

    return PostgresClusterStore(url, **settings)


def share_of(
    store: Store,
    peer_address: str | None,
    *,
    stuck_after_s: float,
    newcomer_s: float = NEWCOMER_S,
    apps: Sequence[str] = (),
) -> Share | None:
    """How a store is shared with the other hosts on it; None: the store belongs to one host.

    Args:
        peer_address: Where they reach this host; None: at the address from which this machine reaches the database.
        stuck_after_s: A host whose event loop stands still for longer stops its signs of life.
        newcomer_s: How long this host has to live before the others give it shards.
        apps: The ids of this host's apps; empty: it has the first app of the store.

    Raises:
        ValueError: `peer_address` is malformed.
    """
    cluster = store.cluster
    if cluster is None:
        return None
    peer = read_peer_address(peer_address) if peer_address is not None else None
    transport = DatabaseTransport(cluster, cluster.servers, peer)

    def card() -> HostCard:
        wire = WIRE_MIN, WIRE_MAX
        return HostCard(machine_name(), transport.address, own_place(), own_release(), *wire, apps=tuple(apps))

    def share(same: Store, tell: Tell) -> SharedStore:
        assert same is store, same
        membership = LeasedMembership(cluster, card, tell=tell, stuck_after_s=stuck_after_s, newcomer_s=newcomer_s)
        return SharedStore(membership, transport, cluster.patience_s, book=cluster)

    return share


class DatabaseTransport:
    """TCP with TLS between the hosts on a database. Keys and certificates are made when `listen` is called.

    Args:
        cluster: The store, which is open before `listen` is called.
        databases: Hosts and ports of the database's servers.
        peer_address: As for `share_of`.
    """

    def __init__(
        self, cluster: Cluster, databases: Sequence[tuple[str, int]], peer_address: PeerAddress | None
    ) -> None:
        self.address = ""  # where other hosts reach this one, once it listens
        self._cluster = cluster
        self._databases = databases
        self._peer_address = peer_address
        self._tls: TlsTransport | None = None
        self._me: str | None = None

    async def listen(self, answer: Callable[[], asyncio.Protocol]) -> Listener:
        """Find out the address of this host, take its port, and listen to other hosts.

        Raises:
            PeerPortUnusable: The port, or the address, cannot be taken.
            PeerAddressNeeded: A living host could not reach this host at its address, or this host could not reach
                that one.
            StoreError: The store's secret cannot be read, or the package for certificates is missing.
        """
        try:
            # The package cryptography comes with the extra that brings the driver; files need neither.
            from .cluster.transport.certificates import AUTHORITIES, SecretUnreadable, make_secret  # noqa: PLC0415
            from .cluster.transport.tls import TlsTransport  # noqa: PLC0415
        except ImportError as error:
            if (error.name or "").partition(".")[0] != "cryptography":
                raise
            raise StoreFailed(
                "hosts on PostgreSQL know each other by certificates, for which the package cryptography is missing. "
                "Install it: pip install 'perdure[postgres]'"
            ) from error
        bind, port, advertised = await self._place()
        secret = partial(self._cluster.secret, AUTHORITIES, make_secret)
        tls = TlsTransport(secret, bind=bind, port=port, advertised=advertised)
        try:
            self.address = await tls.open()
        except SecretUnreadable as error:
            raise StoreFailed(str(error)) from error
        except OSError as error:
            raise PeerPortUnusable(bind, port, str(error)) from error
        try:
            rows = await self._cluster.hosts()
            others = [(row.card.address, row.card.place) for row in rows]
            warn_of_other_wires(row.card for row in rows)
            check_reachable(self.address, own_place(), others)
            if self._me is not None:
                tls.identify(self._me)
            listener = await tls.listen(answer)
        except BaseException:
            tls.close()
            raise
        self._tls = tls
        return listener

    async def connect(self, endpoint: Endpoint, wire: asyncio.Protocol) -> None:
        """Connect to another host; `transport.py` says which errors it raises."""
        await self._ready().connect(endpoint, wire)

    def identify(self, me: str) -> None:
        """Use this name for this host from now on."""
        self._me = me
        if self._tls is not None:
            self._tls.identify(me)

    def verify(self, endpoint: Endpoint, connection: asyncio.BaseTransport) -> None:
        """Check that the other end is the expected host."""
        self._ready().verify(endpoint, connection)

    def caller(self, connection: asyncio.BaseTransport) -> str | None:
        """The name in the certificate of the other end."""
        return self._ready().caller(connection)

    def _ready(self) -> "TlsTransport":
        assert self._tls is not None, "it does not listen yet"
        return self._tls

    async def _place(self) -> tuple[str, int, str | None]:
        """Where to listen (an address of this machine, a port), and the address for other hosts if it differs."""
        if self._peer_address is None:
            return await self._towards_database(), 0, None
        host, port = self._peer_address
        if is_loopback(f"[{host}]:1" if ":" in host else f"{host}:1"):
            return host if host != "localhost" else LOOPBACK, port, str(self._peer_address)
        return EVERY_SIX if ":" in host else EVERY_FOUR, port, str(self._peer_address)

    async def _towards_database(self) -> str:
        for host, port in self._databases:
            try:
                return await address_towards(host, port)
            except OSError:
                continue  # the driver has reached another server
        return LOOPBACK  # hosts on this machine reach it; a host on another machine gets PeerAddressNeeded


def warn_of_other_wires(cards: Iterable[HostCard]) -> None:
    """Log the hosts with which this one cannot talk, because they have no version of the wire in common.

    Such a host may be dead without having been found dead. A living one is cut off from this host, and the smaller part
    of the hosts gives its shards away.
    """
    for card in cards:
        # A program that has the store for itself for a while talks with no host.
        if card.wire_max and wire_for(card.wire_min, card.wire_max) is None:
            logger.warning(
                "%s has release %s, which talks versions %d to %d of the wire between hosts, and this release talks "
                "%d to %d: the two cannot work together. Upgrade by way of a release in between",
                card.name, card.release, card.wire_min, card.wire_max, WIRE_MIN, WIRE_MAX,
            )  # fmt: skip
