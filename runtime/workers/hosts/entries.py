"""Entries: the workers of other hosts, as streams of this host's dispatcher.

The rule: an entry exists as long as its gate, the host at which the stream ends, lists the stream. Jobs are given to it
as to a stream of this host. The items are written here and passed on in deliveries, one after the other, and each
delivery is repeated until the gate has answered it. A gate that cannot be reached keeps its jobs for KEPT_S, or until
it is known to have exited; then they go to other workers.

`runtime/workers/hosts/sharing.py` has one, where there are other hosts. The other end is `gate.py`.
"""

import logging
from collections.abc import Callable, Iterator, Sequence

import anyio

from ....actors.cluster.outbound import Outbound
from ....actors.cluster.peers import AppPeers
from ....actors.errors import FrameTooLong, HostLost, HostSilent, HostUnreachable, PerdureError
from ....actors.instruments import Chance
from ....actors.waiting.task_keeper import TaskKeeper
from ..dispatcher import Dispatcher
from ..items import ItemWriter, PassedItem, Worker, WorkflowItem, WorkItem
from ..stream import Stream, StreamRoom
from .shares import nearest
from .wire import CHANGED, ITEMS, STREAMS, StreamCard, StreamList

logger = logging.getLogger(__name__)

KEPT_S = 2.0  # a host that has ended is started again, or found dead, in about this time
AGAIN_S = 0.1  # before something is sent again
# The bytes of one delivery, unless a single item has more.
ITEMS_MAX, BYTES_MAX = 32, 1024 * 1024


class _Entry:
    """One stream of a gate."""

    def __init__(self, gate: str, stream: Stream, lease: str) -> None:
        self.gate = gate
        self.stream = stream
        self.lease = lease
        self.scope = anyio.CancelScope()  # of the task that passes its items on


class WorkerEntries(TaskKeeper):
    """The streams that end at other hosts.

    Args:
        writer: Makes the writer of items, when the first one is to be passed on; None: this host cannot write items,
            and uses no workers of other hosts.
        chance: Names entries.
    """

    def __init__(
        self, dispatcher: Dispatcher, peers: AppPeers, *, writer: Callable[[], ItemWriter | None], chance: Chance
    ) -> None:
        self._dispatcher = dispatcher
        self._peers = peers
        self._make_writer = writer
        self._writer: ItemWriter | None = None
        self._chance = chance
        self._lists: dict[str, int] = {}  # gates that can be reached -> the number of their last list
        self._entries: dict[str, _Entry] = {}  # by the id of the stream
        peers.answer(CHANGED, self._changed)
        peers.listen(self._connection_changed)
        peers.watch(self._hosts_changed)

    # Gates come and go.

    def _connection_changed(self, gate: str) -> None:
        if self._tasks is None:
            return
        if self._reached(gate) is not None:
            self._tasks.start_soon(self._ask, gate)
            return
        self._lists.pop(gate, None)
        for entry in self._of(gate):
            entry.stream.parked = True
        self._tasks.start_soon(self._give_up, gate)

    def _hosts_changed(self) -> None:
        for entry in list(self._entries.values()):
            if self._peers.find(entry.gate) is None:
                self._end(entry)
        for gate in [gate for gate in self._lists if self._peers.find(gate) is None]:
            del self._lists[gate]

    async def _ask(self, gate: str) -> None:
        """Ask a gate for its streams, until it answers or is away."""
        while (outbound := self._reached(gate)) is not None:
            try:
                found: StreamList = await self._peers.call(outbound, STREAMS, self._peers.membership.me)
            except (HostUnreachable, HostLost, HostSilent):
                await anyio.sleep(AGAIN_S)
            except PerdureError as error:
                logger.warning("%s does not announce its workers, and gets no jobs for them: %s", gate, error)
                return
            else:
                if self._reached(gate) is outbound:
                    self._lists.setdefault(gate, -1)
                    self._changed(gate, found)
                    return

    async def _give_up(self, gate: str) -> None:
        """Give the jobs of a gate to others if it is not connected again in time."""
        await anyio.sleep(KEPT_S)
        if gate not in self._lists:
            for entry in self._of(gate):
                self._end(entry)

    def _changed(self, gate: str, told: StreamList) -> None:
        """Take in the list of a gate's streams. One before the answer to `_ask` is ignored: the answer says the
        same."""
        if self._tasks is None or told.number < self._lists.get(gate, told.number + 1):
            return
        self._lists[gate] = told.number
        wanted = nearest(self._peers.membership.me, [card.id for card in told.cards])
        cards = {card.id: card for card in told.cards if card.id in wanted}
        for entry in self._of(gate):
            if entry.stream.id not in cards:
                self._end(entry)
        for card in cards.values():
            room = StreamRoom(card.activities, card.turns)
            if (known := self._entries.get(card.id)) is not None:
                known.stream.room, known.stream.parked = room, False
            else:
                self._begin(gate, card, room)
        self._dispatcher.pump()

    def _reached(self, gate: str) -> Outbound | None:
        """The connection to a gate, if there is one now."""
        outbound = self._peers.find(gate)
        return outbound if outbound is not None and outbound.connected else None

    def _of(self, gate: str) -> Sequence[_Entry]:
        return [entry for entry in self._entries.values() if entry.gate == gate]

    def _begin(self, gate: str, card: StreamCard, room: StreamRoom) -> None:
        assert self._tasks is not None
        self._writer = self._writer or self._make_writer()
        if self._writer is None:
            return
        stream = self._dispatcher.new_stream(Worker(card.peer, card.agent, card.stateful), room, gate)
        stream.id = card.id
        entry = self._entries[card.id] = _Entry(gate, stream, self._chance(4).hex())
        self._dispatcher.add(stream)
        self._tasks.start_soon(self._pass_on, entry, self._writer)

    def _end(self, entry: _Entry) -> None:
        """End an entry, unless it has ended: its host may be found dead at the moment when a delivery fails."""
        if self._entries.get(entry.stream.id) is not entry:
            return
        del self._entries[entry.stream.id]
        entry.scope.cancel()
        self._dispatcher.remove(entry.stream)

    # Items go to gates.

    async def _pass_on(self, entry: _Entry, writer: ItemWriter) -> None:
        """Pass the items of a stream on for as long as it exists."""
        number = 0
        with entry.scope:
            while items := await entry.stream.take(ITEMS_MAX):
                for delivery in _deliveries(items, writer, stateful=entry.stream.worker.stateful):
                    number += 1
                    if not await self._deliver(entry, number, delivery):
                        self._end(entry)
                        return

    async def _deliver(self, entry: _Entry, number: int, items: Sequence[PassedItem]) -> bool:
        """Pass items on, repeatedly until the gate has answered; return whether the stream exists."""
        while True:
            outbound = self._peers.find(entry.gate)
            if outbound is None:
                return False
            try:
                there: bool = await self._peers.call(
                    outbound, ITEMS, self._peers.membership.me, entry.stream.id, entry.lease, number, items
                )
            except HostSilent:
                # The gate may have received them nevertheless. Its streams are used again once it answers.
                assert self._tasks is not None
                self._lists.pop(entry.gate, None)
                self._tasks.start_soon(self._ask, entry.gate)
                return False
            except (HostUnreachable, HostLost):
                await anyio.sleep(AGAIN_S)
            except FrameTooLong as error:
                logger.error("work for %s cannot be passed on to %s: %s", entry.stream.worker.peer, entry.gate, error)
                return True
            else:
                return there


def _deliveries(items: Sequence[WorkItem], writer: ItemWriter, *, stateful: bool) -> Iterator[Sequence[PassedItem]]:
    """Write items, in as many deliveries as their bytes need."""
    written: list[PassedItem] = []
    size = 0
    for item in items:
        data = writer.write(item, stateful=stateful)
        if written and size + len(data) > BYTES_MAX:
            yield written
            written, size = [], 0
        size += len(data)
        if isinstance(item, WorkflowItem):
            written.append(PassedItem(item.instance_id, None, "", item.token, data))
        else:
            written.append(PassedItem(item.instance_id, item.task_id, item.name, item.token, data))
    yield written
