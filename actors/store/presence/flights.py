"""Flights: notes in a shared store of the work under way on a host, for the next owners of its shards.

The rule: a host notes only its own work, under its own id and the epoch of the shard, and its notes stay when it is
killed. A host that takes a shard from it reads them; a host that leaves in order deletes its own.

`actors/hosting/shards/flights.py` writes them, and `actors/hosting/shards/inquest.py` finds the suspects in them.
The stores that hosts share keep them (`actors/store/cluster.py`).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from ...address import Address

# The actor, and its activity; "" stands for its turn.
FlightKey: TypeAlias = tuple[Address, str]

NO_SHARD = -1  # the shard in the note that is a host's sign of life
SIGN_OF_LIFE = Address("", "")


class FlightNote(NamedTuple):
    """An attempt that is under way on a host, or is suspected of having ended an earlier host.

    In the note of the actor SIGN_OF_LIFE, `begun_s` is the time of the host's last sign of life.
    """

    host: int  # the host that has written the note
    address: Address
    what: str  # its activity; "": its turn
    shard: int
    epoch: int
    begun_s: float | None  # by a clock of the host; None: it is not under way
    # The suspicion, as `actors/hosting/quarantine.py` counts it; 0 ends: none.
    ends: int = 0
    early: int = 0
    alone: int = 0
    took_s: float = 0.0
    tried: bool = False

    @property
    def key(self) -> FlightKey:
        """The key of the note among the notes of its host."""
        return self.address, self.what


class FlightBook(Protocol):
    """The notes of all hosts of a store. The methods raise the errors of `Cluster`'s methods."""

    @property
    def host(self) -> int:
        """The id of this host since it last joined."""
        ...

    async def note(self, put: Sequence[FlightNote], gone: Sequence[FlightKey] = ()) -> None:
        """Write notes of this host, replacing those with the same keys, and strike others of its own.

        Once this has returned, they outlive a crash of this host and of the server. Carries the fence.

        Args:
            put: Notes with different keys.
            gone: Keys of the notes to strike; none is a key in `put`.
        """
        ...

    async def flights(self) -> Sequence[FlightNote]:
        """Read the notes of all hosts, dead ones included, ordered by host and key."""
        ...

    async def strike(self, epochs: Mapping[int, int]) -> None:
        """Strike all notes of shards from before an epoch, and signs of life of dead hosts. Carries the fence.

        Args:
            epochs: Shard -> the epoch at which this host owns it.
        """
        ...
