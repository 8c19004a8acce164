"""Membership: which of the hosts of a daemon this one is, and where the others are.

The rule: a daemon has a fixed number of hosts for its life, each a process with a
part of the store in a file of its own. So the owner of a shard follows from the
number of the shard.

`daemon/hosts/processes.py` makes it; `actors/cluster/peers.py` and `actors/hosting/host.py` use it.
"""

from dataclasses import dataclass

from ..store.part import Part, part_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """One host among those of its daemon."""

    part: Part  # of the store; a host has the number of its part
    directory: str  # of the hosts' sockets; only this user may enter it

    @property
    def index(self) -> int:
        """The number of this host, from 0."""
        return self.part.index

    @property
    def others(self) -> list[int]:
        """The numbers of the other hosts."""
        return [index for index in range(self.part.of) if index != self.part.index]

    def owner(self, shard: int) -> int:
        """Say which host owns a shard."""
        return part_of(shard, self.part.of)

    def socket(self, index: int) -> str:
        """The path of the socket at which a host listens to the others."""
        return f"{self.directory}/{index}"


def name_of(index: int) -> str:
    """The name of a host, in the placement table and in logs."""
    return f"host-{index}"
