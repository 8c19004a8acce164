"""The second contract of a store that several hosts share: who lives, and who owns which shard.

The rule: a host is a row. While the row is there the host lives; another host that deletes it has killed the host, and
no commit of it happens afterwards. Its id is random, and new each time that it joins. No clock takes part: a host adds
one to its beat, and others watch the number.

`actors/cluster/leased.py` decides with it, and `actors/store/presence/heart.py` beats. `actors/store/memory_cluster.py`
and `actors/store/postgres/` fulfil it; `tests/actors/store/test_cluster_conformance.py` holds them to it.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from .presence.apps import AppNames
from .presence.beats import Heart
from .presence.figures import CommitDoubts, ServerFigures
from .presence.flights import FlightBook

# The newest format of records and entries that this release reads, and writes if it may. Hosts of two releases may
# share a store, so a format is read one release before it is written, and hosts write what all of them read
# (docs/design/upgrades.md).
#
#   1: the first one
#   2: keeps the values of state stores (`runtime/state/`): an actor of a type that releases of format 1 do not know
FORMAT_MAX = 2
FORMAT_OF_STATE = 2


class HostState(IntEnum):
    """The state of a host, as its row has it."""

    SERVING = 0
    LEAVING = 1  # it gives its shards, and takes none


class HostCard(NamedTuple):
    """The facts that a host gives of itself when it joins."""

    name: str  # of its machine; for people
    address: str  # where other hosts reach it: "10.0.0.7:50123"
    place: str  # which process on which machine (`actors/store/presence/place.py`)
    release: str
    wire_min: int  # the versions of the wire that it knows
    wire_max: int
    format_max: int = FORMAT_MAX  # the newest format of a store that it reads
    apps: Sequence[str] = ()  # the ids of its apps; none: the first app of the store


class HostRow(NamedTuple):
    """A host that lives."""

    host: int
    state: HostState
    card: HostCard


class ShardRow(NamedTuple):
    """A shard, and who owns it."""

    shard: int
    # None: nobody since it was made, or since its owner left in order. One that is not among the living is dead for
    # good.
    host: int | None
    epoch: int  # grows by one with each change of owner


class Cluster(FlightBook, Protocol):
    """A store that several hosts share. It fulfils `Store` too.

    It is opened first, and then joined. A method raises `StoreFailed` if it did nothing, and `StoreUncertain` if nobody
    can know; every method may be called again after that. Methods that change something carry the fence of this host,
    and raise `StoreTakenOver` once its row is gone.

    A host has a *life* from each `join` or `resume` to the end of its row. A call that was begun in one life fails in
    the next.
    """

    @property
    def servers(self) -> Sequence[tuple[str, int]]:
        """Hosts and ports of the servers that have the store, as this host was told of them."""
        ...

    @property
    def patience_s(self) -> float:
        """How long a commit waits for a server that is away."""
        ...

    @property
    def shards(self) -> int:
        """How many shards each app has. Those of the app with number n are the n-th so many."""
        ...

    async def enter_apps(self, asked: AppNames) -> Mapping[str, int]:
        """As of a store."""
        ...

    @property
    def host(self) -> int:
        """The id of this host since it joined last."""
        ...

    @property
    def alive(self) -> bool:
        """False once anything has found that this life is over: the row is gone, or the server is another one."""
        ...

    @property
    def heart(self) -> Heart:
        """The beat of this life. The host that has joined runs it."""
        ...

    @property
    def format(self) -> int:
        """The format in which this host may write: all that live, and all that join, read it."""
        ...

    async def raise_format(self, to: int) -> int:
        """Make a newer format the one in which hosts write, if all that live read it; return what holds then."""
        ...

    async def join(self, card: HostCard, named: Callable[[int], None] = lambda host: None) -> int:
        """Enter this host, under a new id, which is returned. A row of the same place and address is deleted.

        Args:
            named: Called with the id before any other host can see it; again, if another try has another one.

        Raises:
            StoreTooNew: Hosts write a format that this one does not read.
        """
        ...

    async def resume(self) -> bool:
        """Begin another life under the same id, on a server that has taken the place of the one before.

        Returns:
            Whether this host's row is there; if not, this host is dead.
        """
        ...

    async def leave(self) -> None:
        """Delete this host's row and its notes. Nothing is committed by it afterwards, and its shards are nobody's.

        The store does so too when it is closed.
        """
        ...

    async def set_state(self, state: HostState) -> None:
        """Tell the others that this host leaves."""
        ...

    async def hosts(self) -> Sequence[HostRow]:
        """Read all hosts that live."""
        ...

    async def owners(self) -> Sequence[ShardRow]:
        """Read the owners of all shards, in the order of their numbers.

        It sees all that this host has done, and all doubts are settled before.
        """
        ...

    async def kill(self, host: int, beat: int) -> bool:
        """Delete the row of another host, if its beat is still the given one.

        Waits for a commit of it that is under way. False: it has beaten, or another host has killed it.
        """
        ...

    async def take(self, seen: Sequence[tuple[int, int]]) -> Mapping[int, int]:
        """Become the owner of shards that no living host owns, or that are this host's already.

        Args:
            seen: Shards, and their epochs as they were read. A shard whose epoch is another by now is left out.

        Returns:
            Shard -> new epoch, of the shards that are this host's now. Commits for them are accepted from here on.
        """
        ...

    def adopt(self, epochs: Mapping[int, int]) -> None:
        """Accept commits for shards that another host has given to this one, at these epochs."""
        ...

    async def give(self, shard: int, to: int, epoch: int) -> int | None:
        """Make another host the owner of a shard of this one.

        The caller has seen to it that no commit for the shard is under way, and sends none afterwards.

        Returns:
            The new epoch; None if the shard is not this host's at that epoch, or there is no such host.

        Raises:
            StoreUncertain, StoreFailed: The row tells, once it can be read.
        """
        ...

    async def set_cut(self, peer: int, *, cut: bool) -> None:
        """Tell the others that this host cannot, or can again, reach another one that lives."""
        ...

    async def cuts(self) -> Sequence[tuple[int, int]]:
        """Read which host cannot reach which."""
        ...

    async def secret(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Read what all hosts of the store know by a name; the first that asks makes it."""
        ...

    async def replace_secret(self, name: str, value: bytes) -> None:
        """Put another value in the place of a secret. A host does not need to have joined for that."""
        ...

    @property
    def doubts(self) -> CommitDoubts:
        """The outcomes of commits whose connection broke."""
        ...

    async def figures(self) -> ServerFigures | None:
        """Ask the server; None: it does not answer."""
        ...
