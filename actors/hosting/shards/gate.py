"""The gate: which messages may go to their actor now, and which wait, where shards come and go.

The rule: a message goes to an actor of this host if its shard is open here, and to the owner of its shard if that is a
reachable other host. Otherwise it waits, and so do all later messages for the same shard. A message of another host is
never sent on: if the shard is not here, the message goes back.

`actors/hosting/mailroom.py` asks the gate; `actors/hosting/shards/hosted.py` opens and closes shards in it.
A host whose shards never move has no gate.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import anyio

from ....journal.journal import Journal
from ....journal.vocabulary import LIMIT_REACHED
from ...address import Address
from ...cluster.peers import Peers
from ...cluster.placement import Ownership, Placement
from ...cluster.side import Moved
from ...errors import HostAwaited, NotOwner, PerdureError, WaitingRoomFull
from ...turn import RECOVER, Envelope, ReminderDue, SetAside
from ...waiting.signal import Signal
from ..activation import Activation
from .waiting_room import WaitingMessage, WaitingRoom


class Deliver(Protocol):
    """The function that delivers a message; see `Mailroom.ask`."""

    def __call__(self, address: Address, envelope: Envelope, *, new: bool) -> None: ...


class ShardGate:
    """The states of this host's shards, and the messages that wait.

    Args:
        placement: The owners of the shards.
        peers: The other hosts.
        deliver: Delivers a message, or asks this gate again.
        journal: Logs that too many messages wait.
        room: Holds the messages that wait.
    """

    # How often a waiting message is tried, if no event lets it go: while a connection is being made.
    TRY_EVERY_S = 0.05

    def __init__(
        self,
        placement: Placement,
        peers: Peers,
        deliver: Deliver,
        journal: Journal,
        *,
        room: WaitingRoom | None = None,
    ) -> None:
        self._placement = placement
        self._peers = peers
        self._deliver = deliver
        self._journal = journal.at(__name__)
        self.told: Callable[[int], None] = lambda shard: None  # called if a host reports another owner
        self.room = room if room is not None else WaitingRoom()
        self.opening: dict[int, int] = {}  # shard -> epoch
        self.closed: set[int] = set()
        self.unsettled = False  # whether a message for an actor that is in memory may have to wait
        self._filled = Signal()

    def settle(self) -> None:
        """Bring `unsettled` up to date. Called after each change of the shards that open or are closed."""
        self.unsettled = bool(self.opening or self.closed or self.room.shards)

    def is_open(self, address: Address) -> bool:
        """Whether an actor's shard is this host's, and open."""
        shard = self._placement.shard_of(address)
        return self._placement.owns(address) and shard not in self.opening and shard not in self.closed

    def check(self, address: Address) -> None:
        """Check that a message of another host may come in.

        Raises:
            NotOwner: A third host owns its shard.
        """
        if self._placement.elsewhere(address) is not None:
            self._placement.locate(address)

    def holds(self, address: Address, envelope: Envelope, *, new: bool = False) -> bool:
        """Let a message wait, if it must wait; return whether it waits.

        Raises:
            WaitingRoomFull: Too many messages wait for its shard. Only for a message with a reply.
        """
        shard = self._placement.shard_of(address)
        if not self.room.has(shard) and self._may_go(shard, envelope):
            return False
        self._put(shard, address, envelope, new=new)
        return True

    def take_back(self, address: Address, envelope: Envelope, moved: Moved, *, new: bool) -> None:
        """Deliver a message again that another host has returned, because its shard has another owner.

        If this host did not know that owner, the message goes to it. Otherwise one of the two hosts does not know the
        present owner yet, and the message waits until it does.

        Raises:
            MailboxFull, NotOwner: It was not delivered.
        """
        placement, shard = self._placement, moved.shard
        knows = placement.owner(shard)
        if knows == placement.host or (knows == moved.owner and placement.known_epoch(shard) == moved.epoch):
            self._deliver(address, envelope, new=new)
        elif moved.owner != placement.host and self._learn(moved):
            self._deliver(address, envelope, new=new)
            self.told(shard)  # after this message: messages that were sent after it come back too
        else:
            self._put(shard, address, envelope, new=new)

    def let_go(self, shard: int, before: Sequence[tuple[Address, Envelope]] = ()) -> None:
        """Deliver the messages that wait for a shard and may go now.

        Args:
            before: Messages that come before it.
        """
        waiting = self.room.take(shard)
        for address, envelope in before:
            self.send_on(address, envelope)
        for address, envelope, new, since_s in waiting:
            if self.room.has(shard) or not self._may_go(shard, envelope):
                self.room.put_back(shard, WaitingMessage(address, envelope, new, since_s))
            else:
                self.send_on(address, envelope, new=new)
        self.settle()

    def send_on(self, address: Address, envelope: Envelope, *, new: bool = False) -> None:
        """Deliver a message whose shard has moved; a message of another host goes back to that host.

        Messages that the new owner finds in the store are dropped, and so are messages that actors send again.
        """
        if envelope.body is RECOVER or isinstance(envelope.body, ReminderDue | SetAside):
            if self.is_open(address):
                self._deliver(address, envelope, new=new)
            return
        if isinstance(envelope.sender, Activation) and envelope.sender.dropped:
            return
        try:
            if is_remote(envelope):
                self.check(address)
            self._deliver(address, envelope, new=new)
        except PerdureError as error:
            envelope.refuse(error)

    def dismiss(self, error: PerdureError) -> None:
        """Refuse all waiting messages."""
        for shard in self.room.shards:
            for waiting in self.room.take(shard):
                waiting.envelope.refuse(error)
        self.settle()

    def send_back(self) -> None:
        """Send the waiting messages of other hosts back to them: this host ends."""
        for shard in self.room.shards:
            waiting = self.room.take(shard)
            for each in waiting:
                if is_remote(each.envelope):
                    error = NotOwner(each.address, shard=shard, owner=None, epoch=self._placement.known_epoch(shard))
                    if not each.envelope.refuse(error):
                        each.envelope.sender.refuse(error)
                else:
                    self.room.put_back(shard, each)

    async def run(self) -> None:
        """Try waiting messages again and again, and refuse callers that have waited for too long, until cancelled."""
        while True:
            await self._filled.wait()
            while self.room.shards:
                await anyio.sleep(self.TRY_EVERY_S)
                for shard in self.room.shards:
                    self.let_go(shard)
                for address, envelope, _, _ in self.room.take_late(anyio.current_time()):
                    owner = self._placement.elsewhere(address)
                    envelope.refuse(HostAwaited(owner, waited_s=WaitingRoom.WAIT_S))
                self.settle()

    def _learn(self, moved: Moved) -> bool:
        """Enter the owner that another host names for a shard; return whether the owner is new to this host."""
        if moved.owner is not None:
            return self._placement.moved(moved.shard, Ownership(host=moved.owner, epoch=moved.epoch))
        known = moved.epoch < self._placement.known_epoch(moved.shard)
        return not known and self._placement.moved(moved.shard, None)

    def _put(self, shard: int, address: Address, envelope: Envelope, *, new: bool) -> None:
        try:
            self.room.put(shard, WaitingMessage(address, envelope, new, anyio.current_time()))
        except WaitingRoomFull as error:
            self._journal.write(
                LIMIT_REACHED,
                instance_id=address.id,
                limit="waiting_messages_max",
                maximum=error.messages_max,
                what=str(error),
                then="Callers are refused",
            )
            raise
        self.unsettled = True
        self._filled.set()

    def _may_go(self, shard: int, envelope: Envelope) -> bool:
        """Whether a message for a shard may leave this gate now, to an actor here or to another host."""
        owner = self._placement.owner(shard)
        if owner is None:
            return False
        if owner == self._placement.host:
            return shard not in self.opening and shard not in self.closed
        if is_remote(envelope):
            return True  # the message goes back
        outbound = self._peers.find(owner)
        # The connection object keeps an actor's messages, also before it is connected.
        return outbound is not None and (outbound.connected or envelope.reply is None)


def is_remote(envelope: Envelope) -> bool:
    """Whether another host has sent a message."""
    if envelope.reply is not None:
        return envelope.reply.remote
    return envelope.sender is not None and not isinstance(envelope.sender, Activation)
