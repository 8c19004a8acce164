"""A turn: one actor handles the messages that wait for it, from start to end.

The rule: a turn never awaits. It is a plain function of the actor's state, the
messages and the time. It returns a `Turn`, and the effects in it (replies,
messages, reminders) happen after the commit that holds the turn.

`runtime/instance/actor.py` and other actors implement `Actor`; `actors/hosting/turn_loop.py` takes their turns.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from ..journal.line import Note
from .address import Address
from .store.audit import AuditRow
from .store.contract import Inspection, Item, Stored
from .store.listing import Facets
from .waiting.reply import Reply


class Receipt(Protocol):
    """The sender of a message from another host."""

    def give(self) -> None:
        """Say that a commit holds the message."""
        ...

    def refuse(self, error: BaseException) -> None:
        """Report an error. `NotOwner` means that nothing was done with the message: it is sent to the owner then."""
        ...


class Envelope(Struct, frozen=True):
    """One message in a mailbox."""

    body: Any
    reply: Reply | None = None  # for a caller that waits: filled after the commit, or with an error
    sender: Any = None  # the activation whose turn sent it, or a Receipt: notified once a commit holds the message

    def refuse(self, error: BaseException) -> bool:
        """Answer the caller with an error, if it has no answer yet.

        Returns:
            Whether there is a caller; False for a message without a reply.
        """
        if self.reply is None:
            return False
        if not self.reply.done():
            self.reply.fail(error)
        return True


class ReminderDue(NamedTuple):
    """The message of a reminder to its actor. It comes at or after the due time, and may come twice."""

    name: str
    due_us: int


class Recover:
    """The first message to an actor that had work in flight before a restart: send again messages that may be lost."""

    def __repr__(self) -> str:
        return "RECOVER"


RECOVER = Recover()


class SetAside(NamedTuple):
    """The message to an actor that is set aside: begin no work from now on, also after a restart.

    It is the first message in the mailbox, and may come twice. Other messages are kept.
    """

    reason: str
    until_restart: bool = False  # a Recover takes it back
    requested: bool = False  # by the person who started the process, and not by the host


class Turn(Struct):
    """The changes and the effects of a turn.

    The fields of the first group go into the store. The fields of the
    second are effects, and happen after the commit. The messages of the third are
    sent before the commit, and must do no harm if the commit then fails.
    The notes become lines of the log after the commit; they are no effects, and do not hurry the commit.

    A Struct, like every object that is made for each turn: a dataclass takes three times as long to make
    (docs/performance.md).
    """

    entry: bytes | None = None  # appended to the actor's log
    earlier: Sequence[bytes] = ()  # entries appended before `entry`: the history with which a copy begins
    record: bytes | None = None  # None: unchanged
    reset: bool = False  # delete the log before `entry` is appended
    delete: bool = False  # delete the actor; it may be created again
    busy: bool = False  # work in flight has to go on after a restart
    quiet: bool = False  # no work will ever be in flight again; the active mark need not wait for the eviction
    passing: bool = False  # it is quiet, and the actor is deleted once it has nothing in flight
    reminders_set: list[tuple[str, int]] = []  # (name, due_us)
    reminders_cleared: list[tuple[str, int]] = []  # (name, due_us)
    facets: Facets | None = None  # of the actor in lists from now on; None: unchanged. Only with a record
    audit: Sequence[AuditRow] = ()  # rows for the audit, which is kept when the actor is deleted
    items: Sequence[tuple[str, Item | None]] = ()  # in the order in which they are applied; None: deleted
    reminders_from_us: int | None = None  # the time from which `due_us` was computed; None: the time of the turn

    messages: list[tuple[Address, Any]] = []
    # How many of the messages a later turn has removed while the commit of this turn was under way.
    called_off: int = 0
    replies: list[tuple[Reply, Any]] = []  # a value, or an exception to raise

    early: list[tuple[Address, Any]] = []  # messages to routes, not to actors

    notes: Sequence[Note] = ()  # a tuple that is replaced: nearly all turns have no notes

    @property
    def patient(self) -> bool:
        """Whether the commit may wait for other turns: the turn appends an entry and has no other effect."""
        return not (
            self.messages
            or self.replies
            or self.reminders_set
            or self.reminders_cleared
            or self.record is not None
            or self.items
            or self.reset
            or self.delete
        )

    def writes(self) -> bool:
        """Whether the turn changes anything in the store, apart from the active mark."""
        return (
            self.entry is not None
            or self.record is not None
            or self.delete
            or self.reset
            or bool(self.reminders_set)
            or bool(self.reminders_cleared)
            or bool(self.audit)
            or bool(self.items)
        )


class Actor(Protocol):
    """The inside of an activation. No other code reads or changes its state."""

    @property
    def was_stalled(self) -> bool:
        """Whether its turns broke before this process began, so that it gets one attempt and not several."""
        ...

    @property
    def log_fields(self) -> Mapping[str, Any]:
        """The fields of the actor in lines of the log, beside its id."""
        ...

    def turn(self, envelopes: Sequence[Envelope], now_us: int) -> Turn:
        """Handle messages, oldest first. An exception drops the activation and all changes of this turn."""
        ...

    def close(self) -> None:
        """Leave memory, because the activation is evicted or dropped. Nothing may be sent from here on."""
        ...


class ActorType(Protocol):
    """Makes actors of one type."""

    def purges(self, body: Any) -> bool:
        """Whether a message deletes the actor in any state: the only message that an unreadable actor takes."""
        ...

    def purge_audit(self, address: Address, body: Any, now_us: int) -> Sequence[AuditRow]:
        """The rows for the audit of a purge of an actor that cannot be read.

        Args:
            body: A message for which `purges` is true.
            now_us: Unix time, microseconds.
        """
        ...

    def activate(self, address: Address, stored: Stored | None) -> Actor:
        """Build an actor.

        Args:
            stored: Its record and log; None for an actor that does not exist yet.
        """
        ...

    def facets(self, outside: Inspection) -> Facets | None:
        """The facets of an actor that an earlier release has written; None if the type is in no list.

        It must not raise: of an unreadable record it returns the facets that are known.

        Args:
            outside: The record, and when the newest entry was written, without the entries.
        """
        ...
