"""A turn: what one actor does with the messages at hand, from start to end.

The one law: a turn decides and does not wait. It is a plain function of the
actor's state, the messages and the time; what it wants done stands in the
`Turn` that it returns, and happens after the commit that holds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from .address import Address
from .store.contract import Stored
from .waiting.reply import Reply


class Receipt(Protocol):
    """The sender of a message, where that is an actor of another host."""

    def give(self) -> None:
        """Say that a commit holds the message."""
        ...


class Envelope(NamedTuple):
    """One message in a mailbox."""

    body: Any
    reply: Reply | None = None  # for a caller that waits: answered after the commit, or with an error
    sender: Any = None  # the activation whose turn sent it, or a Receipt: told once a commit holds the message

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
    """The message by which a reminder reaches its actor, at or after its due time, perhaps twice."""

    name: str
    due_us: int


class Recover:
    """The message that asks an actor, after a restart, to send again whatever may not have arrived."""

    def __repr__(self) -> str:
        return "RECOVER"


RECOVER = Recover()


@dataclass(slots=True)
class Turn:
    """What a turn changes and what it wants done.

    The first group goes into the store, the second happens after the commit.
    The third happens at once: it must be worth nothing, and do no harm, if the
    commit then fails.
    """

    entry: bytes | None = None  # appended to the actor's log
    earlier: Sequence[bytes] = ()  # entries that go before it: the history that a copy begins with
    record: bytes | None = None  # None: as it was
    reset: bool = False  # forget the log before `entry` is appended
    delete: bool = False  # forget the actor; it may be created again
    busy: bool = False  # work is in flight that a restart must pick up
    quiet: bool = False  # nothing will ever be in flight again; the active mark need not wait for the eviction
    reminders_set: list[tuple[str, int]] = field(default_factory=list)  # (name, due_us)
    reminders_cleared: list[tuple[str, int]] = field(default_factory=list)  # (name, due_us)

    messages: list[tuple[Address, Any]] = field(default_factory=list)
    replies: list[tuple[Reply, Any]] = field(default_factory=list)  # a value, or an exception to raise

    early: list[tuple[Address, Any]] = field(default_factory=list)  # messages; to routes only

    @property
    def patient(self) -> bool:
        """Whether nobody waits for its commit: it leaves an entry behind, and nothing else."""
        return not (
            self.messages
            or self.replies
            or self.reminders_set
            or self.reminders_cleared
            or self.record is not None
            or self.reset
            or self.delete
        )

    def writes(self) -> bool:
        """Whether anything of this turn goes into the store, the active mark apart."""
        return (
            self.entry is not None
            or self.record is not None
            or self.delete
            or self.reset
            or bool(self.reminders_set)
            or bool(self.reminders_cleared)
        )


class Actor(Protocol):
    """The inside of an activation. Its state is its own; nobody else touches it."""

    def turn(self, envelopes: Sequence[Envelope], now_us: int) -> Turn:
        """Handle messages, oldest first. An exception drops the activation and everything it did in this turn."""
        ...

    def close(self) -> None:
        """Leave memory: evicted, or dropped. Nothing may be sent any more."""
        ...


class ActorType(Protocol):
    """Makes actors of one type."""

    def activate(self, address: Address, stored: Stored | None) -> Actor:
        """Build the actor from what the store holds; None for one that does not exist yet."""
        ...
