"""The side of a host that its connections use: it takes messages of other hosts, and the outcome of messages to them.

The rule: all methods act at once, in the event loop of the host.

`actors/hosting/border.py` implements it; `actors/cluster/inbound.py` and `actors/cluster/outbound.py` call it.
"""

from typing import Any, NamedTuple, Protocol

from ..address import Address
from ..turn import Envelope


class Moved(NamedTuple):
    """The answer of a host that does not own a shard: the owner, as far as it knows."""

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
        """Take note that a commit of another host holds a message.

        Args:
            sender: The sender in its envelope.
        """
        ...

    def returned(self, address: Address, envelope: Envelope, *, new: bool, moved: Moved | None) -> None:
        """Take back a message of this host that was not processed, to deliver it to the actor's present owner.

        Args:
            new: The address was just made up.
            moved: The answer of the other host; None: that host is dead or has left, and the message has no reply.
        """
        ...

    def origin(self, sender: Any) -> Origin | None:
        """The origin of a message without a reply; None: no actor has sent it.

        Args:
            sender: The sender in its envelope.
        """
        ...

    def is_late(self, origin: Origin) -> bool:
        """Whether a message comes from a host that has lost the shard of its sender since."""
        ...
