"""Placement: which host owns a shard, and at which epoch.

The rule: no actor comes into memory, and no change of an actor is committed,
without a look at this table. With one host the answer is always "here"; with
several it names the owner (docs/design/several-hosts.md).

`actors/hosting/mailroom.py` looks owners up before it delivers, `actors/hosting/committer.py` takes epochs from it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..address import AT, FIRST_RING, Address, ring_of, shard_of
from ..errors import HostNotRunning, NotOwner, RingUnknown
from ..store.contract import Reminder


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """The owner of a shard."""

    host: str
    epoch: int  # grows with every change of owner; the fence of every commit


class Placement:
    """The table of shards and their owners, as one host knows it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._shards = 0
        self._owners: dict[int, Ownership] = {}
        self._freed: dict[int, int] = {}  # the last epochs of shards that have no owner
        self._rings: dict[str, int] = {FIRST_RING: 0}  # ring -> the first of its shards

    def claimed(self, epochs: Mapping[int, int], *, shards: int) -> None:
        """Enter shards as owned by this host.

        Args:
            epochs: Shard to epoch.
            shards: How many shards the store has, which is known once it is open.
        """
        self.sized(shards)
        for shard, epoch in epochs.items():
            assert shard >= 0, shard
            known = self._owners.get(shard)
            assert known is None or epoch > known.epoch, (shard, epoch, known)
            self._owners[shard] = Ownership(host=self.host, epoch=epoch)

    def sized(self, shards: int, rings: Mapping[str, int] | None = None) -> None:
        """Enter the number of shards of a ring of the store, where this host owns none of them yet.

        Args:
            rings: All rings that this host can reach, with their numbers, as for `enter_ring`; None: unchanged.
        """
        assert shards > 0, shards
        assert self._shards in (0, shards), "the number of shards of a store is fixed for its life"
        self._shards = shards
        if rings is not None:
            self._rings.clear()
            for ring, number in rings.items():
                self.enter_ring(ring, number)

    @property
    def owned(self) -> list[int]:
        """The shards that this host owns."""
        return [shard for shard, owner in self._owners.items() if owner.host == self.host]

    def lost(self, shard: int, owner: Ownership) -> None:
        """Enter a shard as owned by another host."""
        self._owners[shard] = owner

    def moved(self, shard: int, owner: Ownership | None) -> bool:
        """Enter that a shard of another host has another owner or none; return whether the table has changed.

        An owner whose epoch is not above the last known one changes nothing: hosts notify each other of moves, and read
        them from the store too.
        """
        known = self._owners.get(shard)
        if owner is None:
            if known is None:
                return False
            self._freed[shard] = known.epoch
            del self._owners[shard]
            return True
        if owner.epoch <= self.known_epoch(shard):
            return False
        self.lost(shard, owner)
        return True

    def abandoned(self) -> None:
        """Forget all owners, including this host, and their epochs: they are read from the store anew."""
        self._owners.clear()
        self._freed.clear()

    def owner(self, shard: int) -> str | None:
        """The host that owns a shard; None if this host knows no owner."""
        owner = self._owners.get(shard)
        return owner.host if owner is not None else None

    def known_epoch(self, shard: int) -> int:
        """The epoch of the last owner of a shard that this host knows; 0: it knows none."""
        owner = self._owners.get(shard)
        return owner.epoch if owner is not None else self._freed.get(shard, 0)

    def enter_ring(self, ring: str, number: int) -> bool:
        """Enter a ring, and return whether it is new.

        Args:
            number: The number of the ring among the rings with shards of their own; rings with the same number have
                the same shards.
        """
        assert self._shards > 0
        news = ring not in self._rings
        self._rings[ring] = number * self._shards
        return news

    @property
    def rings(self) -> Collection[str]:
        """The rings that are known."""
        return self._rings.keys()

    def knows(self, actor_type: str) -> bool:
        """Whether the ring of a type is known, so that its actors have shards."""
        return (FIRST_RING if AT not in actor_type else ring_of(actor_type)) in self._rings

    def reaches(self, address: Address) -> bool:
        """Whether the ring of an address is known."""
        return ring_of(address.type) in self._rings

    def shard_of(self, address: Address) -> int:
        """The shard of an address, on any host.

        Raises:
            RingUnknown: Its ring is not known.
        """
        shard = shard_of(address.id, self._shards)
        if AT not in address.type and FIRST_RING in self._rings:
            return shard
        ring = ring_of(address.type)
        first = self._rings.get(ring)
        if first is None:
            raise RingUnknown(ring)
        return first + shard

    def shard_of_reminder(self, reminder: Reminder) -> int:
        """The shard of a reminder's actor, on any host."""
        return self.shard_of(reminder.address)

    def locate(self, address: Address) -> int:
        """Resolve an address to its shard.

        Raises:
            HostNotRunning: Nothing was claimed yet.
            RingUnknown: No host has its ring.
            NotOwner: Another host owns the shard, or no host does.
        """
        if self._shards == 0:
            raise HostNotRunning
        shard = self.shard_of(address)
        owner = self._owners.get(shard)
        if owner is None or owner.host != self.host:
            raise NotOwner(
                address,
                shard=shard,
                owner=owner.host if owner else None,
                epoch=owner.epoch if owner else 0,
            )
        return shard

    def owns(self, address: Address) -> bool:
        """Whether this host owns the shard of an address."""
        if not self.knows(address.type):
            return False
        owner = self._owners.get(self.shard_of(address))
        return owner is not None and owner.host == self.host

    def elsewhere(self, address: Address) -> str | None:
        """The other host that owns an actor; None if this host does, or no host.

        Raises:
            RingUnknown: No host has its ring.
        """
        owner = self._owners.get(self.shard_of(address))
        return owner.host if owner is not None and owner.host != self.host else None

    def is_newer(self, shard: int, epoch: int) -> bool:
        """Whether a shard is known to have an owner at a higher epoch."""
        return self.known_epoch(shard) > epoch

    def epoch(self, shard: int) -> int:
        """The epoch at which this host owns a shard; the shard must come from `locate`."""
        return self._owners[shard].epoch
