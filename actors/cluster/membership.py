"""Membership: which of the hosts of a daemon this one is, and where the others are.

A daemon has a fixed number of hosts for its life, each a process with a part
of the store in a file of its own, so who owns a shard follows from its number.
"""

from dataclasses import dataclass

from ..store.part import Part, part_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """One host among those of its daemon."""

    part: Part  # of the store; hosts have the numbers of their parts
    directory: str  # of the hosts' sockets; nobody but this user may enter it

    @property
    def index(self) -> int:
        return self.part.index

    @property
    def others(self) -> list[int]:
        return [index for index in range(self.part.of) if index != self.part.index]

    def owner(self, shard: int) -> int:
        """Say which host owns a shard."""
        return part_of(shard, self.part.of)

    def socket(self, index: int) -> str:
        """The path of the socket at which a host listens to the others."""
        return f"{self.directory}/{index}"


def name_of(index: int) -> str:
    """What a host is called, in the placement table and in logs."""
    return f"host-{index}"
