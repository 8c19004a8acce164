"""The side of a host that other hosts see: the effects of their messages here, and the fate of messages to them.

The rule: all of it happens at once, in the event loop of the host.

`actors/hosting/border.py` is one; `actors/cluster/inbound.py` and `actors/cluster/outbound.py` call it.
"""

from typing import Any, NamedTuple, Protocol

from ..address import Address
from ..turn import Envelope


class Moved(NamedTuple):
    """Another host does not own a shard, and says who does as far as it knows."""

    shard: int
    owner: str | None
    epoch: int


class Origin(NamedTuple):
    """The shard of the actor that sends a message, and the epoch at which its host owns it."""

    shard: int
    epoch: int


class HostSide(Protocol):
    """One host, as its connections to the others use it."""

    def receive(self, address: Address, envelope: Envelope, *, new: bool = False) -> None:
        """Take a message of another host: put it into the actor's mailbox, or refuse the envelope.

        A message for an actor of a shard that this host does not own is refused with `NotOwner`, and never passed on:
        its sender sends it to the owner.
        """
        ...

    def acknowledge(self, sender: Any) -> None:
        """Learn that a commit of another host holds a message.

        Args:
            sender: Of its envelope.
        """
        ...

    def committed(self, body: Any) -> None:
        """Learn that a commit of this host holds a message without a reply that another host has sent."""
        ...

    def returned(self, address: Address, envelope: Envelope, *, new: bool, moved: Moved | None) -> None:
        """Take back a message of this host with which nothing was done, to deliver it to the actor's present owner.

        Args:
            new: The address was just made up.
            moved: The answer of the other host; None: it is gone, and the message is without a reply.
        """
        ...

    def origin(self, sender: Any) -> Origin | None:
        """Where a message without a reply comes from; None: no actor has sent it.

        Args:
            sender: Of its envelope.
        """
        ...

    def is_late(self, origin: Origin) -> bool:
        """Whether a message comes from a host that has lost the shard of its sender since."""
        ...
