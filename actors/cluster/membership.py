"""Membership: the hosts of a daemon, the name of this host, and the endpoints of the others.

The rule: a membership says which hosts live; it does not say whether they can be reached. With a fixed membership the
owner of a shard follows from the number of the shard; with a leased one it is in a table of the store.

`actors/cluster/peers.py` keeps a connection to each host that it names, and `actors/hosting/host.py` begins with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ..store.part import Part, part_of
from .placement import Ownership, Placement
from .transport.endpoint import Endpoint, TcpEndpoint, UnixEndpoint
from .transport.unix import UnixTransport


class Membership(Protocol):
    """The hosts of a daemon, as one host knows them."""

    @property
    def me(self) -> str:
        """This host's own name in the placement table. The name changes when this host joins again."""
        ...

    @property
    def part(self) -> Part | None:
        """The part of the store that this host has for itself; None: all hosts share the store."""
        ...

    @property
    def timeline(self) -> str:
        """The server of the store, as this host has seen it last; "" if it has seen no server, or there is none.

        After a failover there is another server, which may lack commits. A host that has noticed the failover refuses
        messages of a host that has not. The watchers are called when a new server is seen.
        """
        ...

    def others(self) -> Mapping[str, Endpoint]:
        """Name in the placement table -> endpoint of the other living hosts."""
        ...

    def watch(self, changed: Callable[[], None]) -> None:
        """Call a function each time that `me` or `others` has changed, at once and in the event loop.

        A dead host must be removed from `others` before its shards are taken: the call closes the connections to it.
        """
        ...

    def reached(self, name: str, there: bool) -> None:
        """Take note that a verified connection to another host was made (`there`) or lost."""
        ...

    def refused(self, name: str) -> None:
        """Take note that another host's process has ended: its endpoint, reached before, refuses twice in a row."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedMembership:
    """The hosts of a daemon with a fixed number of hosts: each is a process with a part of the store in a file.

    `daemon/hosts/host_processes.py` makes one for each process.
    """

    part: Part  # of the store; a host has the number of its part
    directory: str  # of the hosts' sockets; only this user may enter it

    @property
    def index(self) -> int:
        """The number of this host, from 0."""
        return self.part.index

    @property
    def me(self) -> str:
        """This host's own name."""
        return name_of(self.index)

    @property
    def timeline(self) -> str:
        """Empty: each host has a file of its own, and no server."""
        return ""

    def others(self) -> Mapping[str, Endpoint]:
        """The other hosts, in the order of their numbers."""
        return {name_of(i): UnixEndpoint(self.socket(i)) for i in range(self.part.of) if i != self.index}

    def watch(self, changed: Callable[[], None]) -> None:
        """Do nothing: the hosts never change, because a host that ends is started again under its name."""

    def reached(self, name: str, there: bool) -> None:
        """Do nothing: a host that cannot be reached is started again."""

    def refused(self, name: str) -> None:
        """Do nothing: a host that has ended is started again."""

    def owner(self, shard: int) -> int:
        """Say which host owns a shard."""
        return part_of(shard, self.part.of)

    def socket(self, index: int) -> str:
        """The path of the socket at which a host listens to the others."""
        return f"{self.directory}/{index}"

    def transport(self) -> UnixTransport:
        """Make the transport of this host."""
        return UnixTransport(self.socket(self.index))


def place_peers(placement: Placement, membership: Membership, shards: int) -> None:
    """Enter the other hosts' shards into the placement table, if their owners are fixed for the life of the daemon."""
    if not isinstance(membership, FixedMembership):
        return
    for shard in range(shards):
        if (owner := membership.owner(shard)) != membership.index:
            placement.lost(shard, Ownership(host=name_of(owner), epoch=0))


def name_of(index: int) -> str:
    """The name of a host of a fixed membership, in the placement table and in logs."""
    return f"host-{index}"


def name_of_id(host: int) -> str:
    """The name of a host that has joined a store under an id of 64 bits, in the placement table and in logs."""
    return TcpEndpoint(host, "").name
