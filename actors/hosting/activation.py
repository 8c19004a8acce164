"""Activations: the actors that are in memory now, and which of them may leave memory.

The rule: an activation leaves only when no message waits for it, no turn of it is
uncommitted, no message of it is unacknowledged, and its active mark is true.

All other modules of `actors/hosting/` use it.
"""

from collections import OrderedDict
from collections.abc import Iterator

from ..address import Address
from ..errors import MailboxFull
from ..store.contract import Inspection, Write
from ..store.listing import Facets
from ..turn import Actor, Envelope


class Activation:
    """An actor in memory. An object with a list, not a task: there may be a hundred thousand."""

    # The limit for an outside in memory. A longer outside is read from the store when a caller needs it.
    OUTSIDE_BYTES_MAX = 2048

    __slots__ = (
        "_first",
        "_last",
        "_outside_facets",
        "_record",
        "_updated_us",
        "active",
        "actor",
        "address",
        "busy",
        "dropped",
        "facets",
        "failures",
        "key",
        "mailbox",
        "passing",
        "predecessor",
        "quiet",
        "runnable",
        "shard",
        "stalled",
        "unacknowledged",
        "uncommitted",
        "unmark",
    )

    def __init__(self, address: Address, shard: int) -> None:
        self.address = address
        self.shard = shard
        self.key: int | None = None  # None: the store does not have it yet
        self.actor: Actor | None = None  # None: being loaded
        # The outside as last committed. Kept in parts: a commit changes some of them, and few callers need the whole.
        self._record: bytes | None = None  # None: the outside is not known here
        self._first: bytes | None = None
        self._last: bytes | None = None
        self._updated_us = 0
        self._outside_facets: Facets | None = None
        self.facets: Facets | None = None  # as in the store, or as after the commit under way
        self.mailbox: list[Envelope] = []
        self.runnable = False  # is in the queue for a turn
        self.uncommitted = 0  # turns taken whose commit is not over
        self.unacknowledged = 0  # messages sent to other actors that their commit does not hold yet
        self.active = False  # the active mark, as in the store, or as after the commit under way
        self.busy = False  # the last turn said that work is in flight
        self.quiet = False  # the last turn said that no work will be in flight again
        self.passing = False  # the last turn said that the actor is deleted once no work is in flight
        self.unmark = False  # the commit that was to take the active mark away has failed; the next turn does it
        self.dropped = False  # a commit or a turn failed; commits and turns that end later are void
        self.failures = 0  # how often in a row its load or its turn failed
        self.predecessor: Activation | None = None  # the activation that it replaces after a failure
        self.stalled: str | None = None  # why it cannot be loaded; messages without a reply stay in its mailbox

    @property
    def idle(self) -> bool:
        """Whether it may leave memory, apart from its active mark."""
        return (
            self.actor is not None
            and not self.mailbox
            and not self.runnable
            and self.uncommitted == 0
            and self.unacknowledged == 0
        )

    @property
    def in_flight(self) -> bool:
        """Whether work would have to go on after a restart."""
        return self.busy or self.unacknowledged > 0

    @property
    def outside(self) -> Inspection | None:
        """The outside as last committed; None: only the store has it."""
        if self._record is None:
            return None
        return Inspection(self._record, self._first, self._last, self._updated_us, None, self._outside_facets)

    def forget_outside(self) -> None:
        """Leave the outside to the store."""
        self._record = self._first = self._last = None

    @property
    def awaits_predecessor(self) -> bool:
        """Whether a commit of the replaced activation is under way, so that the store may still change."""
        return self.predecessor is not None and self.predecessor.uncommitted > 0

    def accept(self, envelope: Envelope, *, messages_max: int) -> None:
        """Put a message into the mailbox.

        Raises:
            MailboxFull: Only for a message with a reply. Messages of actors are
                bounded by the requests that cause them, and a message without
                a reply would be lost if it were refused. If the actor cannot be
                loaded, messages without a reply stay in the mailbox; a purge is
                accepted nevertheless.
        """
        if envelope.reply is not None and len(self.mailbox) >= messages_max and self._is_full(messages_max):
            raise MailboxFull(self.address, messages_max=messages_max)
        self.mailbox.append(envelope)

    def _is_full(self, messages_max: int) -> bool:
        return self.stalled is None or sum(each.reply is not None for each in self.mailbox) >= messages_max

    def take(self) -> list[Envelope]:
        """Empty the mailbox. If the actor cannot be loaded, messages without a reply stay in it."""
        if self.stalled is not None:
            asked = [envelope for envelope in self.mailbox if envelope.reply is not None]
            self.mailbox = [envelope for envelope in self.mailbox if envelope.reply is None]
            return asked
        envelopes, self.mailbox = self.mailbox, []
        return envelopes

    def committed(self, write: Write, *, creates: bool) -> None:
        """Bring the outside up to date with a commit.

        Args:
            creates: The store did not have the actor before.
        """
        record = self._record
        if creates:
            record = self._record = b""
            self._outside_facets = None
        if record is None:
            return
        if write.delete:
            self.forget_outside()
            return
        if creates or write.reset:
            self._first = self._last = None
            self._updated_us = 0
        if write.record is not None:
            record = self._record = write.record
        if write.facets is not None:
            self._outside_facets = write.facets
        if (entry := write.entry) is not None:
            if self._first is None:
                self._first = entry
            self._last = entry
            self._updated_us = write.at_us
        if len(record) + len(self._first or b"") + len(self._last or b"") > self.OUTSIDE_BYTES_MAX:
            self.forget_outside()


class Activations:
    """The activations of a host, least recently used first."""

    # A search for activations that may leave gives up after this many that may
    # not, so that a host whose actors are all busy does not walk its table.
    MISSES_MAX = 16

    def __init__(self, activations_max: int) -> None:
        assert activations_max >= 0, activations_max
        self.activations_max = activations_max
        self._table: OrderedDict[Address, Activation] = OrderedDict()

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[Activation]:
        return iter(list(self._table.values()))

    def of_type(self, actor_type: str) -> int:
        """Count the activations of a type. It looks at all activations."""
        return sum(address.type == actor_type for address in self._table)

    def get(self, address: Address) -> Activation | None:
        """Find an activation, and count it as used."""
        activation = self._table.get(address)
        if activation is not None:
            self._table.move_to_end(address)
        return activation

    def peek(self, address: Address) -> Activation | None:
        """Find an activation without counting it as used."""
        return self._table.get(address)

    def add(self, activation: Activation) -> None:
        """Add an activation whose actor has no activation yet."""
        assert activation.address not in self._table, activation.address
        self._table[activation.address] = activation

    def remove(self, activation: Activation) -> None:
        """Remove an activation, if the table has it."""
        if self._table.get(activation.address) is activation:
            del self._table[activation.address]

    def surplus(self) -> Iterator[Activation]:
        """Yield activations that may leave because there are too many, least recently used first."""
        misses = 0
        while len(self._table) > self.activations_max and misses < self.MISSES_MAX:
            address, activation = next(iter(self._table.items()))
            if activation.idle:
                yield activation
            if address in self._table:
                # An activation that stays is looked at again only after all the others.
                self._table.move_to_end(address)
                misses += 1
