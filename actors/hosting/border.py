"""The border of a host: it delivers messages of other hosts, and acknowledges or redelivers messages to them.

The rule: a message for an actor of a shard that another host owns is refused with `NotOwner`, and its sender sends it
to the owner.

`actors/hosting/host.py` makes it for `Peers.running`.
"""

from typing import Any

from ..address import Address
from ..cluster.placement import Placement
from ..cluster.side import Moved, Origin
from ..errors import PerdureError
from ..turn import Envelope
from .activation import Activation
from .mailroom import Mailroom
from .release import Release
from .shards.hosted import HostedShards


class Border:
    """This host, as its connections to the others use it: a `HostSide`.

    A message for an actor of a shard that another host owns is refused with `NotOwner`, and its sender sends it there.
    """

    def __init__(
        self, mailroom: Mailroom, release: Release, placement: Placement, shards: HostedShards | None = None
    ) -> None:
        self._mailroom = mailroom
        self._release = release
        self._placement = placement
        self._shards = shards

    def receive(self, address: Address, envelope: Envelope, *, new: bool = False) -> None:
        """Take a message of another host."""
        self._mailroom.receive(address, envelope, new=new)

    def acknowledge(self, sender: Any) -> None:
        """Acknowledge a message to its sender here: a commit of another host holds it."""
        self._release.acknowledge(sender)

    def returned(self, address: Address, envelope: Envelope, *, new: bool, moved: Moved | None) -> None:
        """Deliver a message again that another host has returned without doing anything."""
        try:
            if self._shards is not None and moved is not None:
                self._shards.gate.take_back(address, envelope, moved, new=new)
                return
            self._mailroom.ask(address, envelope, new=new)
        except PerdureError as error:
            envelope.refuse(error)

    def origin(self, sender: Any) -> Origin | None:
        """The shard of an activation, and its epoch."""
        if not isinstance(sender, Activation):
            return None
        return Origin(sender.shard, self._placement.known_epoch(sender.shard))

    def is_late(self, origin: Origin) -> bool:
        """Whether another host is known to own the shard at a higher epoch."""
        return self._placement.is_newer(*origin)
