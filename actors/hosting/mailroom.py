"""The mailroom: which actors are in memory, which messages wait for them, and which may take a turn.

The rule: an actor comes into memory only if the placement table says that this host
owns its shard, and a reminder is delivered only if this host owns the shard when it is due.
Where shards come and go, a gate first decides whether a message may go to its actor (`actors/hosting/shards/gate.py`).

`actors/hosting/host.py` delivers the messages of callers here, `actors/hosting/release.py` the messages of
actors, the reminder loop its reminders and `actors/cluster/inbound.py` the messages of other hosts.
`actors/hosting/turn_loop.py` takes turns from `runnable`.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from ...journal.journal import Journal
from ...journal.vocabulary import APP_UNKNOWN, LIMIT_REACHED, REMINDER_NOT_OURS
from ..address import Address, ring_of
from ..cluster.outbound import Outbound
from ..cluster.peers import Peers
from ..cluster.placement import Placement
from ..errors import HostBroken, HostStopping, MailboxFull, NotOwner, PerdureError, RingUnknown
from ..store.contract import Reminder, Store
from ..store.errors import StoreHangs
from ..turn import RECOVER, ActorType, Envelope, ReminderDue
from ..waiting.ownership import turn_over, users_turn
from ..waiting.signal import Signal
from ..waiting.taskless import no_current_task
from .activation import Activation, Activations
from .loader import Loader
from .unreadable import Unreadable


class MailGate(Protocol):
    """Says which messages may come in, where shards come and go; `actors/hosting/shards/gate.py` implements it."""

    closed: set[int]  # shards of this host whose actors take no turns
    unsettled: bool  # whether a message for an actor that is in memory may have to wait

    def holds(self, address: Address, envelope: Envelope, *, new: bool = False) -> bool:
        """Let a message wait, if it must wait; return whether it waits."""
        ...

    def check(self, address: Address) -> None:
        """Check that a message of another host may come in."""
        ...


class TurnNotes(Protocol):
    """Says which turns have to be noted before they are taken; `actors/hosting/shards/flights.py` implements it."""

    @property
    def watching(self) -> bool:
        """Whether any turn has to be noted."""
        ...

    def holds(self, address: Address) -> bool:
        """Whether the turn of an actor has to wait until it is noted; `Mailroom.resume` then lets it be taken."""
        ...


class Mailroom:
    """The activations of a host, and the queue for turns.

    Args:
        activations_max: How many activations to keep in memory.
        mailbox_messages_max: How many messages may wait for one actor before callers are refused.
        peers: The other hosts of the daemon, if there are any.
        not_loaded: Called with each activation that could not be loaded, and the error.
        journal: Logs mailboxes that are full.
    """

    def __init__(
        self,
        store: Store,
        types: Mapping[str, ActorType],
        placement: Placement,
        *,
        activations_max: int,
        mailbox_messages_max: int,
        peers: Peers | None = None,
        not_loaded: Callable[[Activation, PerdureError], None],
        journal: Journal,
    ) -> None:
        self._types = types
        self._placement = placement
        self._peers = peers
        self._journal = journal.at(__name__)
        self._mailbox_messages_max = mailbox_messages_max
        self.activations = Activations(activations_max)
        self.loader = Loader(store, types, loaded=self._loaded, failed=not_loaded, journal=journal)
        self.runnable: deque[Activation] = deque()  # the queue for turns
        self.work = Signal()  # raised when the queue grows
        self.unrecovered: dict[Address, None] = {}  # had work in flight when the last host ended; in order
        # Messages of this host's actors for a ring that is not known: they wait, and their senders stay in flight.
        self._strays: list[tuple[Address, Envelope]] = []
        self.suspended: dict[Address, None] = {}  # take no turn yet (`actors/hosting/probation.py`)
        self.condemned: dict[Address, Envelope] = {}  # are to be set aside, by this message
        self.stopping = False  # callers are refused
        self.ended_by: BaseException | None = None  # the error that ended the host, if an error did
        self.gate: MailGate | None = None  # only where shards come and go
        self.notes: TurnNotes | None = None  # only where shards come and go
        self.hanging = False  # a commit does not end: callers are refused until it ends

    def admit(self) -> None:
        """Check that callers may send requests.

        Raises:
            HostStopping, HostBroken, StoreHangs: Requests are refused.
        """
        if self.stopping:
            raise self.refusal()
        if self.hanging:
            raise StoreHangs

    def refusal(self) -> HostStopping:
        """Make the error that callers get once the host takes no more requests."""
        return HostBroken(self.ended_by) if self.ended_by is not None else HostStopping()

    def depths(self) -> tuple[int, int]:
        """Count the messages that wait for actors: all messages, and those of the longest mailbox."""
        found = [len(activation.mailbox) for activation in self.activations]
        return sum(found), max(found, default=0)

    def receive(self, address: Address, envelope: Envelope, *, new: bool = False) -> None:
        """Take a message from another host of the daemon. Errors go to its reply or to its sender.

        A message for a shard of another host is not passed on: its sender is notified that the shard has moved.

        Args:
            new: As for `Host.ask`.
        """
        try:
            # Checked first: a host that is stopping may have given its shards away, and callers go to the new owner.
            if self.gate is not None:
                self.gate.check(address)
            else:
                self._placement.locate(address)
            shard = self._placement.locate(address)
            if envelope.reply is not None:
                if self.stopping and self.gate is not None:
                    # Another host owns the shard soon, even if this host could not give it in time; the caller waits.
                    raise NotOwner(address, shard=shard, owner=None, epoch=self._placement.epoch(shard))
                self.admit()
            self.ask(address, envelope, new=new)
        except PerdureError as error:
            if not envelope.refuse(error) and envelope.sender is not None:
                envelope.sender.refuse(error)

    def ask(self, address: Address, envelope: Envelope, *, new: bool) -> None:
        """Deliver a message to an actor of this host or of another one.

        Args:
            new: As for `Host.ask`.

        Raises:
            MailboxFull, NotOwner: The message was not delivered.
        """
        if not new:
            self.deliver(address, envelope)
        elif not self._placement.knows(address.type):
            self._stray(address, envelope)
        elif self.gate is not None and self.gate.holds(address, envelope, new=True):
            return
        elif (owner := self.elsewhere(address)) is not None:
            owner.deliver(address, envelope, new=True)
        else:
            self._begin(address)
            self.deliver(address, envelope)

    def elsewhere(self, address: Address) -> Outbound | None:
        """The connection to the host that owns an actor; None if this host does, or no host."""
        if self._peers is None or (owner := self._placement.elsewhere(address)) is None:
            return None
        return self._peers.find(owner)

    def deliver(self, address: Address, envelope: Envelope) -> None:
        """Put a message into an actor's mailbox, or send it to the host that owns the actor.

        Raises:
            MailboxFull, NotOwner: The message was not delivered.
            RingUnknown: The same; only for a message with a reply.
        """
        activation = self.activations.get(address)
        if activation is None and not self._placement.knows(address.type):
            self._stray(address, envelope)
            return
        # The shard of an actor in memory is here: unless a shard is unsettled, no message needs to wait.
        if self.gate is not None and (activation is None or self.gate.unsettled) and self.gate.holds(address, envelope):
            return
        if activation is None:
            if (owner := self.elsewhere(address)) is not None:
                owner.deliver(address, envelope)
                return
            activation = self.activate(address)
        try:
            activation.accept(envelope, messages_max=self._mailbox_messages_max)
        except MailboxFull as error:
            self._journal.write(
                LIMIT_REACHED,
                instance_id=address.id,
                limit="mailbox_messages_max",
                maximum=self._mailbox_messages_max,
                what=str(error),
                then="Callers are refused",
            )
            raise
        if activation.actor is not None and not activation.runnable:
            self._make_runnable(activation)

    def fire(self, reminder: Reminder) -> None:
        """Deliver a reminder that is due.

        The reminder of an actor that this host does not own is dropped: it is
        still in the store, and the owner of the shard fires it.
        """
        address = reminder.address
        if self._placement.owns(address):
            self.deliver(address, Envelope(ReminderDue(reminder.name, reminder.due_us)))
        else:
            self._journal.write(REMINDER_NOT_OURS, instance_id=address.id, reminder=reminder.name)

    def activate(self, address: Address) -> Activation:
        """Begin to bring an actor into memory.

        Raises:
            NotOwner: This host does not own its shard.
        """
        activation = Activation(address, self._placement.locate(address))
        if self.condemned and (envelope := self.condemned.get(address)) is not None:
            # The first message, so that no work begins in the same turn.
            activation.mailbox.append(envelope)
        if address in self.unrecovered:
            del self.unrecovered[address]
            activation.mailbox.append(Envelope(RECOVER))
        self.activations.add(activation)
        self.loader.add(activation)
        return activation

    def _stray(self, address: Address, envelope: Envelope) -> None:
        """Let a message wait for a host that has the app of its actor. A caller is refused.

        Raises:
            RingUnknown: The message has a reply.
        """
        if envelope.reply is not None:
            raise RingUnknown(ring_of(address.type))
        if not self._strays:
            self._journal.write(APP_UNKNOWN, instance_id=address.id, app=ring_of(address.type))
        self._strays.append((address, envelope))

    def call_strays(self) -> None:
        """Deliver the messages that waited for a ring that was not known. Messages whose sender was dropped are
        dropped too.
        """
        strays, self._strays = self._strays, []
        for address, envelope in strays:
            if not (isinstance(envelope.sender, Activation) and envelope.sender.dropped):
                self.deliver(address, envelope)

    def has(self, address: Address) -> bool:
        """Whether an actor is in memory, or will be as soon as this host has recovered."""
        return address in self.unrecovered or self.activations.peek(address) is not None

    def let(self, address: Address) -> None:
        """Let an actor take turns again."""
        self.suspended.pop(address, None)
        self.resume(address)

    def resume(self, address: Address) -> bool:
        """Let an actor take a turn, if a message waits for it; return whether a message does."""
        activation = self.activations.peek(address)
        if activation is not None and activation.actor is not None and activation.mailbox and not activation.runnable:
            self._make_runnable(activation)
        return activation is not None and activation.runnable

    def rest(self, shard: int) -> None:
        """Let the actors of a shard take no more turns; the gate holds messages for them back."""
        kept = [activation for activation in self.runnable if activation.shard != shard]
        for activation in self.runnable:
            activation.runnable = activation.shard != shard
        self.runnable.clear()
        self.runnable.extend(kept)

    def go_on(self, shard: int) -> None:
        """Let the actors of a shard take turns again."""
        for activation in self.activations:
            if activation.shard == shard:
                self.let(activation.address)

    def drop(self, gone: Callable[[Activation], bool]) -> Sequence[tuple[Address, Envelope]]:
        """Remove actors in any state, and return the messages that waited for each of them, in order."""
        left: list[tuple[Address, Envelope]] = []
        with no_current_task():
            for activation in filter(gone, self.activations):
                activation.dropped = True
                left += [(activation.address, envelope) for envelope in activation.mailbox]
                activation.mailbox.clear()
                self.remove(activation)
        return left

    def stall(self, activation: Activation, reason: str) -> None:
        """Keep an actor that cannot be loaded in memory, where it answers that it is stalled."""
        activation.stalled = reason
        address = activation.address
        activation.actor = Unreadable(
            address,
            reason,
            exists=activation.key is not None,
            active=activation.active,
            purges=partial(self._purges, address),
            audit=partial(self._types[address.type].purge_audit, address),
        )
        activation.busy = activation.active
        self._make_runnable(activation)

    def is_purged(self, activation: Activation) -> bool:
        """Whether a message that purges an actor waits for it."""
        return any(self._purges(activation.address, envelope.body) for envelope in activation.mailbox)

    def _purges(self, address: Address, body: Any) -> bool:
        actor_type = self._types.get(address.type)  # a message of another host may name an unknown type
        return actor_type is not None and actor_type.purges(body)

    def reload(self, activation: Activation) -> None:
        """Replace the activation of an actor that could not be loaded and was purged by a fresh one."""
        self.activations.remove(activation)
        if activation.mailbox:
            self.activate(activation.address).mailbox.extend(activation.mailbox)
            activation.mailbox.clear()

    def remove(self, activation: Activation) -> None:
        """Let an actor leave memory. To be called outside of any task: the actor's code may run."""
        self.activations.remove(activation)
        if activation.actor is not None:
            token = users_turn()
            activation.actor.close()
            turn_over(token)

    def _begin(self, address: Address) -> None:
        """Bring an actor into memory that the store does not have."""
        activation = Activation(address, self._placement.locate(address))
        activation.actor = self._types[address.type].activate(address, None)
        self.activations.add(activation)

    def _make_runnable(self, activation: Activation) -> None:
        if self.suspended and activation.address in self.suspended:
            return
        if self.gate is not None and activation.shard in self.gate.closed:
            return
        if activation.stalled is not None and all(envelope.reply is None for envelope in activation.mailbox):
            return
        if self.notes is not None and self.notes.watching and self.notes.holds(activation.address):
            return
        activation.runnable = True
        self.runnable.append(activation)
        self.work.set()

    def _loaded(self, activation: Activation) -> None:
        if activation.mailbox:
            self._make_runnable(activation)
