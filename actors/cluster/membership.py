"""Membership: who the hosts of a daemon are, which one this is, and where the others are.

The rule: a membership says which hosts live; it does not say whether they can be reached. With a fixed membership the
owner of a shard follows from the number of the shard; with a leased one it stands in a table of the store.

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
    """The hosts of a daemon, as one of them knows them."""

    @property
    def me(self) -> str:
        """This host's own name in the placement table. It is another one after this host has joined again."""
        ...

    @property
    def part(self) -> Part | None:
        """The part of the store that this host has for itself; None: all hosts share the store."""
        ...

    @property
    def timeline(self) -> str:
        """Which server the store is on, as this host has seen it last; "" if it has seen none, or there is none.

        After a failover it is another one, which may not have all that was committed before. A message of a host that
        has not noticed it is not taken by one that has. The watchers are called when it is seen first.
        """
        ...

    def others(self) -> Mapping[str, Endpoint]:
        """The other hosts that live, by their names in the placement table, and where they listen."""
        ...

    def watch(self, changed: Callable[[], None]) -> None:
        """Have a function called each time that `me` or `others` has changed, at once and in the event loop.

        A host that is dead must be gone from `others` before its shards are taken: the connections to it are closed
        in that call.
        """
        ...

    def reached(self, name: str, there: bool) -> None:
        """Learn that a connection to another host, which it has verified, is there, or is lost."""
        ...

    def refused(self, name: str) -> None:
        """Learn that another host's process is gone: it was reached before, and twice in a row nobody listens there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedMembership:
    """The hosts of a daemon whose number is fixed for its life: each is a process with a part of the store in a file.

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
        """None: each host has a file of its own."""
        return ""

    def others(self) -> Mapping[str, Endpoint]:
        """The other hosts, in the order of their numbers."""
        return {name_of(i): UnixEndpoint(self.socket(i)) for i in range(self.part.of) if i != self.index}

    def watch(self, changed: Callable[[], None]) -> None:
        """Nothing changes: a host that ends is started again under its name."""

    def reached(self, name: str, there: bool) -> None:
        """Of no consequence: a host that cannot be reached is started again."""

    def refused(self, name: str) -> None:
        """Of no consequence."""

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
    """Enter into the placement table which shards the other hosts own, if they own them for the life of the daemon."""
    if not isinstance(membership, FixedMembership):
        return
    for shard in range(shards):
        if (owner := membership.owner(shard)) != membership.index:
            placement.lost(shard, Ownership(host=name_of(owner), epoch=0))


def name_of(index: int) -> str:
    """The name of a host of a fixed number, in the placement table and in logs."""
    return f"host-{index}"


def name_of_id(host: int) -> str:
    """The name of a host that has joined a store under an id of 64 bits, in the placement table and in logs."""
    return TcpEndpoint(host, "").name
