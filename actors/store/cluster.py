"""The second contract of a store that several hosts share: the living hosts, and the owners of the shards.

The rule: a host is a row. While the row exists, the host lives; another host that deletes the row kills the host, which
cannot commit afterwards. A host's id is random, and new each time that it joins. No clock takes part: a host adds one
to its number of beats, and other hosts watch the number.

`actors/cluster/leased.py` decides with it, and `actors/store/presence/heart.py` beats. `actors/store/memory_cluster.py`
and `actors/store/postgres/` implement it; `tests/actors/store/test_cluster_conformance.py` tests them.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from .presence.apps import AppNames
from .presence.beats import Heart
from .presence.figures import CommitDoubts, ServerFigures
from .presence.flights import FlightBook

# The newest format of records and entries that this release reads, and writes if all hosts read it. Hosts of two
# releases may share a store, so a format is read one release before it is written (docs/design/upgrades.md).
#
#   1: the first format
#   2: keeps the values of state stores (`runtime/state/`): an actor of a type that releases of format 1 do not know
FORMAT_MAX = 2
FORMAT_OF_STATE = 2


class HostState(IntEnum):
    """The state of a host, as in its row."""

    SERVING = 0
    LEAVING = 1  # it gives its shards away, and takes none


class HostCard(NamedTuple):
    """The facts that a host reports of itself when it joins."""

    name: str  # the name of its machine; for people
    address: str  # where other hosts reach it: "10.0.0.7:50123"
    place: str  # its process and its machine (`actors/store/presence/place.py`)
    release: str
    wire_min: int  # the versions of the wire that it knows
    wire_max: int
    format_max: int = FORMAT_MAX  # the newest format of a store that it reads
    apps: Sequence[str] = ()  # the ids of its apps; empty: the first app of the store


class HostRow(NamedTuple):
    """A living host."""

    host: int
    state: HostState
    card: HostCard


class ShardRow(NamedTuple):
    """A shard and its owner."""

    shard: int
    # None: the shard has no owner since it was made, or since its owner left in order. A host without a row is dead for
    # good.
    host: int | None
    epoch: int  # grows by one with each change of owner


class Cluster(FlightBook, Protocol):
    """A store that several hosts share. It implements `Store` too.

    It is opened first, and then joined. A method raises `StoreFailed` if it did nothing, and `StoreUncertain` if its
    outcome is unknown; every method may be called again after that. Methods that change rows carry the fence of this
    host, and raise `StoreTakenOver` once its row was deleted.

    A host has a *life* from each `join` or `resume` to the end of its row. A call that was begun in one life fails in
    the next.
    """

    @property
    def servers(self) -> Sequence[tuple[str, int]]:
        """Hosts and ports of the servers that have the store, as configured for this host."""
        ...

    @property
    def patience_s(self) -> float:
        """How long a commit waits for an unreachable server; seconds."""
        ...

    @property
    def shards(self) -> int:
        """How many shards each app has. The app with number n has the shards from n times this number on."""
        ...

    async def enter_apps(self, asked: AppNames) -> Mapping[str, int]:
        """As `Store.enter_apps`."""
        ...

    @property
    def host(self) -> int:
        """The id of this host since it last joined."""
        ...

    @property
    def alive(self) -> bool:
        """False once a call has found that this life is over: the row was deleted, or the server has changed."""
        ...

    @property
    def heart(self) -> Heart:
        """The heart of this life, which beats. The host that has joined runs it."""
        ...

    @property
    def format(self) -> int:
        """The format in which this host may write: all hosts that live or join read it."""
        ...

    async def raise_format(self, to: int) -> int:
        """Let hosts write a newer format, if all living hosts read it; return the format that they write then."""
        ...

    async def join(self, card: HostCard, named: Callable[[int], None] = lambda host: None) -> int:
        """Enter this host under a new id, and return the id. A row of the same place and address is deleted.

        Args:
            named: Called with the id before any other host can see it; again, if another try has another id.

        Raises:
            StoreTooNew: Hosts write a format that this host does not read.
        """
        ...

    async def resume(self) -> bool:
        """Begin another life under the same id, on a server that has replaced the one before.

        Returns:
            Whether this host's row exists; if not, this host is dead.
        """
        ...

    async def leave(self) -> None:
        """Delete this host's row and its notes. The host cannot commit afterwards, and its shards are unowned.

        The store does the same when it is closed.
        """
        ...

    async def set_state(self, state: HostState) -> None:
        """Write the state of this host, so that the others see that it leaves."""
        ...

    async def hosts(self) -> Sequence[HostRow]:
        """Read all living hosts."""
        ...

    async def owners(self) -> Sequence[ShardRow]:
        """Read the owners of all shards, in the order of their numbers.

        It sees all changes of this host; commits in doubt are settled first.
        """
        ...

    async def kill(self, host: int, beat: int) -> bool:
        """Delete the row of another host, if its beat is still the given one.

        Waits for a commit of that host that is under way. False: it has beaten, or another host has killed it.
        """
        ...

    async def take(self, seen: Sequence[tuple[int, int]]) -> Mapping[int, int]:
        """Become the owner of shards that no living host owns, or that this host owns already.

        Args:
            seen: Shards, and their epochs as they were read. A shard whose epoch has changed since is left out.

        Returns:
            Shard -> new epoch, of the shards that this host owns now. Commits for them are accepted from now on.
        """
        ...

    def adopt(self, epochs: Mapping[int, int]) -> None:
        """Accept commits for shards that another host has given to this one, at these epochs."""
        ...

    async def give(self, shard: int, to: int, epoch: int) -> int | None:
        """Make another host the owner of a shard of this one.

        The caller makes sure that no commit for the shard is under way, and sends none afterwards.

        Returns:
            The new epoch; None if this host does not own the shard at that epoch, or there is no such host.

        Raises:
            StoreUncertain, StoreFailed: The row shows the outcome, once it can be read.
        """
        ...

    async def set_cut(self, peer: int, *, cut: bool) -> None:
        """Record that this host cannot reach another living host, or can reach it again."""
        ...

    async def cuts(self) -> Sequence[tuple[int, int]]:
        """Read the pairs of hosts of which the first cannot reach the second."""
        ...

    async def secret(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Read a secret of all hosts of the store by its name; the first call makes it."""
        ...

    async def replace_secret(self, name: str, value: bytes) -> None:
        """Replace the value of a secret. The host need not have joined."""
        ...

    @property
    def doubts(self) -> CommitDoubts:
        """Counts of commits whose connection broke, by outcome."""
        ...

    async def figures(self) -> ServerFigures | None:
        """Read figures of the server; None: it does not answer."""
        ...
