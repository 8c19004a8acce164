"""Placement: which host owns a shard, and at which epoch.

The one law: nothing is sent to an actor, and nothing of an actor is committed,
without asking this table. With one host the answer is always "here"; the table
is what makes several hosts an addition and not a rewrite (docs/design/several-hosts.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..address import Address, shard_of
from ..errors import NotOwner


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Who owns a shard."""

    host: str
    epoch: int  # grows with every change of owner; the fence of every commit


class Placement:
    """The table shard → ownership, as one host knows it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._shards = 0
        self._owners: dict[int, Ownership] = {}

    def claimed(self, epochs: Mapping[int, int], *, shards: int) -> None:
        """Take note that this host owns these shards.

        Args:
            epochs: Shard to epoch.
            shards: How many the store has, which it knows once it is open.
        """
        assert shards > 0, shards
        assert self._shards in (0, shards), "the number of shards of a store is fixed for its life"
        self._shards = shards
        for shard, epoch in epochs.items():
            assert 0 <= shard < shards, shard
            known = self._owners.get(shard)
            assert known is None or epoch > known.epoch, (shard, epoch, known)
            self._owners[shard] = Ownership(host=self.host, epoch=epoch)

    def lost(self, shard: int, owner: Ownership) -> None:
        """Take note that another host owns a shard."""
        self._owners[shard] = owner

    def locate(self, address: Address) -> int:
        """Resolve an address to its shard.

        Raises:
            NotOwner: The shard is another host's, or nobody's.
        """
        assert self._shards > 0, "nothing was claimed yet"
        shard = shard_of(address.id, self._shards)
        owner = self._owners.get(shard)
        if owner is None or owner.host != self.host:
            raise NotOwner(address, shard=shard, owner=owner.host if owner else None)
        return shard

    def owns(self, address: Address) -> bool:
        """Whether this host owns the shard of an address."""
        owner = self._owners.get(shard_of(address.id, self._shards))
        return owner is not None and owner.host == self.host

    def elsewhere(self, address: Address) -> str | None:
        """Say which other host has an actor; None if it is this one, or nobody."""
        owner = self._owners.get(shard_of(address.id, self._shards))
        return owner.host if owner is not None and owner.host != self.host else None

    def epoch(self, shard: int) -> int:
        """The epoch at which this host owns a shard that it has located before."""
        return self._owners[shard].epoch
