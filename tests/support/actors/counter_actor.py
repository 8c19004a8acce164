"""An actor for tests of the actor layer: it counts, and carries out the test's orders."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from perdure.actors.address import Address
from perdure.actors.cluster.vocabulary import Vocabulary, WireWord
from perdure.actors.store.audit import AuditRow
from perdure.actors.store.contract import Inspection, Stored
from perdure.actors.store.listing import Facets
from perdure.actors.turn import Envelope, Recover, ReminderDue, SetAside, Turn


class Add(NamedTuple):
    amount: int


class Read(NamedTuple):
    pass


class Remind(NamedTuple):
    name: str
    due_us: int


class Unremind(NamedTuple):
    name: str
    due_us: int


class Tell(NamedTuple):
    """Send something to another address."""

    address: Address
    body: Any
    early: bool = False


class Break(NamedTuple):
    """Raise an exception in the turn."""


class Show(NamedTuple):
    """Be in lists, with a status, and in the audit if there is an author."""

    status: str
    created_us: int | None = None  # None: now
    updated_us: int | None = None
    author: str | None = None


class Forget(NamedTuple):
    """Delete the actor."""


class BeQuiet(NamedTuple):
    """Have nothing in flight from now on, and write nothing."""


class Work(NamedTuple):
    """Be busy, or not."""

    busy: bool


def counter_vocabulary() -> Vocabulary:
    """The messages between hosts of counters: all of the above except Tell."""
    kinds = (Add, Read, Remind, Unremind, Break, Show, Forget, BeQuiet, Work)
    return Vocabulary([WireWord(kind.__name__, kind) for kind in kinds])


class Counter:
    """Its record is the sum; each turn that adds appends the amounts to the log. One that is set aside only counts."""

    was_stalled = False
    log_fields: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, world: "CounterType", address: Address, stored: Stored | None) -> None:
        self.world = world
        self.address = address
        self.total = int(stored.record) if stored is not None else None
        self.busy = False

    def turn(self, envelopes: Sequence[Envelope], now_us: int) -> Turn:
        turn = Turn()
        self.world.turns.append((self.address, [envelope.body for envelope in envelopes]))
        for envelope in envelopes:
            answer = self._handle(envelope.body, turn, now_us)
            if envelope.reply is not None:
                turn.replies.append((envelope.reply, answer))
        turn.busy = self.busy
        return turn

    def close(self) -> None:
        self.world.closed.append(self.address)

    def _handle(  # noqa: PLR0912  one branch a message
        self, body: Any, turn: Turn, now_us: int
    ) -> Any:
        match body:
            case Add(amount):
                self.total = (self.total or 0) + amount
                turn.record = str(self.total).encode()
                turn.entry = (turn.entry or b"") + f"+{amount}".encode()
            case Show(status, created_us, updated_us, author):
                turn.record = str(self.total or 0).encode()
                begun_us = now_us if created_us is None else created_us
                turn.facets = Facets("Counter", status, begun_us, now_us if updated_us is None else updated_us)
                turn.audit = [] if author is None else [AuditRow("show", author, b"")]
            case Remind(name, due_us):
                turn.reminders_set.append((name, due_us))
                turn.record = str(self.total or 0).encode()
            case Unremind(name, due_us):
                turn.reminders_cleared.append((name, due_us))
            case ReminderDue(name, due_us):
                turn.reminders_cleared.append((name, due_us))
                self.world.reminded.append((self.address.id, name, due_us, now_us))
            case Tell(address, message, early):
                (turn.early if early else turn.messages).append((address, message))
            case Break():
                if self.world.broken:
                    raise RuntimeError("broken on purpose")
            case Forget():
                self.total = None
                turn.delete = True
            case Work(busy):
                self.busy = busy
                turn.record = str(self.total or 0).encode()
            case BeQuiet():
                self.busy = False
                turn.quiet = True
            case SetAside(reason):
                self.world.set_aside.append((self.address.id, reason))
            case Recover():
                self.world.recovered.append(self.address.id)
            case Read():
                pass
        return self.total


class CounterType:
    """Makes counters, and records their events."""

    def __init__(self) -> None:
        self.turns: list[tuple[Address, list[Any]]] = []
        self.activated: list[str] = []
        self.closed: list[Address] = []
        self.reminded: list[tuple[str, str, int, int]] = []  # id, name, due, when
        self.recovered: list[str] = []
        self.set_aside: list[tuple[str, str]] = []
        self.broken = True
        self.unreadable: set[str] = set()

    def purges(self, body: Any) -> bool:
        return isinstance(body, Forget)

    def purge_audit(self, address: Address, body: Any, now_us: int) -> Sequence[AuditRow]:
        return ()

    def facets(self, outside: Inspection) -> Facets | None:
        """Facets of a counter that an earlier release has written: odd or even."""
        total = int(outside.record)
        return Facets("Counter", "odd" if total % 2 else "even", total, outside.updated_us)

    def activate(self, address: Address, stored: Stored | None) -> Counter:
        if address.id in self.unreadable:
            raise ValueError("unreadable on purpose")
        self.activated.append(address.id)
        return Counter(self, address, stored)


def counter(name: str) -> Address:
    return Address("counter", name)
