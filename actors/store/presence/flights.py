"""Flights: the work under way on a host that shares its store, as it is noted there for the host that comes after it.

The rule: a host notes only its own work, under its own id and the epoch of the shard, and its notes stay when it is
killed. Who takes a shard from it reads them; who leaves in order takes its own away.

`actors/hosting/shards/flights.py` writes them, and `actors/hosting/shards/inquest.py` says what follows from them.
The stores that hosts share keep them (`actors/store/cluster.py`).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from ...address import Address

# The actor, and its activity; "": its turn.
FlightKey: TypeAlias = tuple[Address, str]

NO_SHARD = -1  # of the note that is a host's sign of life
SIGN_OF_LIFE = Address("", "")


class FlightNote(NamedTuple):
    """One thing that is under way on a host, or is suspected of having ended one before it.

    The note of the actor SIGN_OF_LIFE has in `begun_s` when its host last showed that it lives.
    """

    host: int  # which has noted it
    address: Address
    what: str  # its activity; "": its turn
    shard: int
    epoch: int
    begun_s: float | None  # by a clock of the host; None: it is not under way
    # What it is suspected of, as `actors/hosting/quarantine.py` counts; 0 ends: of nothing.
    ends: int = 0
    early: int = 0
    alone: int = 0
    took_s: float = 0.0
    tried: bool = False

    @property
    def key(self) -> FlightKey:
        """Which one it is, of those of its host."""
        return self.address, self.what


class FlightBook(Protocol):
    """The notes of all hosts of a store. A method raises as those of `Cluster` do."""

    @property
    def host(self) -> int:
        """The id of this host since it joined last."""
        ...

    async def note(self, put: Sequence[FlightNote], gone: Sequence[FlightKey] = ()) -> None:
        """Write notes of this host, in the place of those with the same keys, and strike others of its own.

        Once this has returned, they outlive a crash of this host and of the server. Carries the fence.

        Args:
            put: No two of them have one key.
            gone: Keys; none is a key in `put`.
        """
        ...

    async def flights(self) -> Sequence[FlightNote]:
        """Read the notes of all hosts, also of hosts that are gone, by host and key."""
        ...

    async def strike(self, epochs: Mapping[int, int]) -> None:
        """Strike all notes of shards from before an epoch, and signs of life of hosts that are gone. Carries the fence.

        Args:
            epochs: Shard -> the epoch at which it is this host's.
        """
        ...
