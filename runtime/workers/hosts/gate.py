"""The gate: it announces the streams that end at this host to the other hosts, and takes the items that they pass on.

The rule: the list of all streams is sent to the other hosts each time that a stream begins or ends, and over each new
connection to one of them. An item for a stream that has ended is refused, so that its host gives it to another.

`runtime/workers/hosts/sharing.py` has one, where there are other hosts. The other end is `entries.py`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from ....actors.cluster.peers import AppPeers
from ....actors.instruments import Chance
from ..dispatcher import Dispatcher
from ..items import PassedItem, Worker
from ..stream import Stream, StreamRoom, TurnGiver
from .shares import shares
from .wire import CHANGED, ITEMS, STREAMS, StreamCard, StreamList


class WorkerGate:
    """The streams of one host.

    Args:
        chance: Makes the ids of streams.
    """

    def __init__(self, dispatcher: Dispatcher, peers: AppPeers, chance: Chance) -> None:
        self._dispatcher = dispatcher
        self._peers = peers
        self._chance = chance
        self._streams: dict[str, Stream] = {}  # by id
        self._number = 0  # of the list
        self._leaving = False
        peers.answer(STREAMS, self._streams_for)
        peers.answer_async(ITEMS, self._receive)
        peers.listen(self._connection_changed)
        peers.watch(self._hosts_changed)
        self._hosts_changed()

    @asynccontextmanager
    async def connect(self, worker: Worker) -> AsyncIterator[Stream]:
        """Connect a worker, for all hosts; otherwise as `Dispatcher.connect`.

        Raises:
            HostStopping: The engine stops, and gives no more jobs.
        """
        async with self._dispatcher.connect(worker, self._share(own=True)) as stream:
            stream.id = self._chance(8).hex()
            self._streams[stream.id] = stream
            self._tell_all()
            try:
                yield stream
            finally:
                del self._streams[stream.id]
                stream.passed.keep(())
                self._tell_all()

    def giver_of(self, instance_id: str) -> TurnGiver | None:
        """As `Stream.giver_of`, for the streams of this host."""
        found = (stream.giver_of(instance_id) for stream in self._streams.values() if not stream.says_tokens)
        return next((giver for giver in found if giver is not None), None)

    def still_gives(self, giver: TurnGiver) -> bool:
        """Whether the process that has dispatched a turn is known to run, even if it cannot be reached yet."""
        return any(stream.passed.is_live(giver.host, giver.lease) for stream in self._streams.values())

    def leave(self) -> None:
        """Have no host give more jobs to the streams, which end soon. Their jobs may still be answered."""
        self._leaving = True
        self._hosts_changed()

    def _share(self, *, own: bool) -> StreamRoom:
        if self._leaving:
            return StreamRoom(0, 0)
        mine, others = shares(self._dispatcher.room.whole, 1 + len(self._peers.names))
        return mine if own else others

    def _hosts_changed(self) -> None:
        """Divide the streams and the limits again, because hosts have come or left."""
        for stream in self._streams.values():
            stream.room = self._share(own=True)
            stream.passed.keep(self._peers.names)
        self._dispatcher.share_with(1 + len(self._peers.names))
        self._tell_all()

    def _streams_for(self, host: str) -> StreamList:
        share = self._share(own=False)
        cards = [
            StreamCard(stream.id, stream.worker.peer, stream.worker.agent, stream.worker.stateful, *share)
            for stream in self._streams.values()
        ]
        return StreamList(self._number, cards)

    def _tell_all(self) -> None:
        self._number += 1
        for name in self._peers.names:
            self._tell(name)

    def _connection_changed(self, host: str) -> None:
        outbound = self._peers.find(host)
        if outbound is None or not outbound.connected:
            for stream in self._streams.values():
                stream.passed.cut(host)
        self._tell(host)

    def _tell(self, host: str) -> None:
        """Send a host the list of all streams, if it can be reached; otherwise the next connection does it."""
        self._peers.tell(host, CHANGED, self._peers.membership.me, self._streams_for(host))

    async def _receive(self, host: str, stream_id: str, lease: str, number: int, items: Sequence[PassedItem]) -> bool:
        stream = self._streams.get(stream_id)
        if stream is None:
            return False
        stream.passed.receive(host, lease, number, items)
        await stream.passed.wait_for_room()
        return True
