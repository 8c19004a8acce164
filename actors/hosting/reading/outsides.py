"""The outsides of actors of all hosts, as last committed, and their watchers.

The rule: the owner of an actor answers from memory, unless it may have lost the shard. Another host sends the request
to the owner; if the owner does not answer and all hosts share one store, it reads the store itself. A watch follows its
actor when the shard moves; the watcher inspects the actor again, because commits may have been missed.

`actors/hosting/host.py` reads and watches actors with it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from ...address import Address
from ...cluster.keeper import ShardSource
from ...cluster.outbound import INSPECT, ITEMS, READ
from ...cluster.peers import Peers
from ...cluster.placement import Placement
from ...errors import HostLost, HostSilent, HostUnreachable
from ...store.contract import FoundItems, Inspection, Store, Stored
from ...store.errors import StoreError
from ...waiting.watch import Watch, Watches
from ..mailroom import Mailroom
from .inspector import Inspector


class Outsides:
    """Reads and watches actors.

    Args:
        watches: The watches of this host's actors.
        source: The membership of hosts that share the store; None: a host has its part of the store for itself.
    """

    def __init__(
        self,
        store: Store,
        mailroom: Mailroom,
        placement: Placement,
        inspector: Inspector,
        watches: Watches,
        *,
        source: ShardSource | None = None,
    ) -> None:
        self._store = store
        self._mailroom = mailroom
        self._placement = placement
        self._inspector = inspector
        self._watches = watches
        self._source = source
        self._following: dict[_Following, None] = {}  # of callers on this host, where shards come and go; in order

    def answer(self, peers: Peers) -> None:
        """Let other hosts read the actors of this one."""
        peers.answer_async(INSPECT, self.inspect_for_other)
        peers.answer_async(READ, self.read_for_other)
        peers.answer_async(ITEMS, self._store.items)

    async def inspect(self, address: Address) -> Inspection | None:
        """See `Host.inspect`."""
        activation = self._mailroom.activations.peek(address)
        if activation is not None and (outside := activation.outside) is not None and self._may_answer:
            return outside
        if activation is not None and activation.stalled is not None:
            return await self._inspector.inspect_stalled(address, activation.stalled)
        if (owner := self._mailroom.elsewhere(address)) is not None:
            if self._source is None:
                return await owner.inspect(address)
            try:
                return await owner.inspect(address)
            except (HostUnreachable, HostLost, HostSilent):
                return await self._inspector.inspect(address)
        if self._source is None:
            self._placement.locate(address)
        return await self._inspector.inspect(address)

    async def inspect_for_other(self, address: Address) -> Inspection | None:
        """Read an outside for another host. The request is not passed on, so no host gets it twice."""
        activation = self._mailroom.activations.peek(address)
        if activation is not None and (outside := activation.outside) is not None and self._may_answer:
            return outside
        if activation is not None and activation.stalled is not None:
            return await self._inspector.inspect_stalled(address, activation.stalled)
        return await self._inspector.inspect(address)

    async def read(self, address: Address) -> Stored | None:
        """See `Host.read`."""
        if self._source is None:
            if (owner := self._mailroom.elsewhere(address)) is not None:
                return await owner.read(address)
            self._placement.locate(address)
        return await self.read_for_other(address)

    async def read_for_other(self, address: Address) -> Stored | None:
        """Read the record and the log of an actor from this host's store."""
        (stored,) = await self._store.load([address])
        if isinstance(stored, StoreError):
            raise stored
        return stored

    async def items(self, address: Address, names: Sequence[str]) -> FoundItems | None:
        """See `Host.items`."""
        if self._source is None:
            if (owner := self._mailroom.elsewhere(address)) is not None:
                found: FoundItems | None = await owner.call(ITEMS, address, names)
                return found
            self._placement.locate(address)
        return await self._store.items(address, names)

    @property
    def _may_answer(self) -> bool:
        """Whether outsides in memory are valid now."""
        return self._source is None or self._source.may_answer

    def watch(self, address: Address) -> AbstractContextManager[Watch]:
        """See `Host.watch`."""
        if self._source is None and self._mailroom.elsewhere(address) is None:
            return _Watching(self._watches, address)
        return self._follow_while(address)

    @contextmanager
    def _follow_while(self, address: Address) -> Iterator[Watch]:
        following = _Following(address, Watch())
        self._follow(following)
        if self._source is not None:
            self._following[following] = None
        try:
            yield following.watch
        finally:
            self._following.pop(following, None)
            following.end()

    def lose(self, shards: Collection[int] | None) -> None:
        """Watch the actors of these shards (None: all) at their present owners; the watchers inspect them again."""
        for following in list(self._following):
            if shards is None or self._placement.shard_of(following.address) in shards:
                following.end()
                self._follow(following)
                following.watch.lose()
        # The watches of other hosts, which notice the change themselves if they live.
        for address, watches in list(self._watches.items()):
            if shards is None or self._placement.shard_of(address) in shards:
                for watch in watches:
                    watch.lose()

    def _follow(self, following: "_Following") -> None:
        """Watch an actor for a caller at the host that owns the actor now."""
        address, watch = following.address, following.watch
        if (owner := self._mailroom.elsewhere(address)) is not None:
            following.end = owner.follow(address, watch)
        else:
            self._watches.add(address, watch)
            following.end = partial(self._watches.remove, address, watch)


class _Watching:
    """A watch of an actor whose shard never moves. A class, because a generator takes twice as long."""

    __slots__ = ("_address", "_watch", "_watches")

    def __init__(self, watches: Watches, address: Address) -> None:
        self._watches = watches
        self._address = address
        self._watch = Watch()

    def __enter__(self) -> Watch:
        self._watches.add(self._address, self._watch)
        return self._watch

    def __exit__(self, *error: object) -> None:
        self._watches.remove(self._address, self._watch)


class _Following:
    """A watch of a caller on this host, and the scope whose end stops it."""

    __slots__ = ("address", "end", "watch")

    def __init__(self, address: Address, watch: Watch) -> None:
        self.address = address
        self.watch = watch
        self.end: Callable[[], None] = _nothing


def _nothing() -> None:
    """Do nothing: the end of a watch that has not begun."""
