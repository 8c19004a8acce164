"""What a store promises, method by method, about crashes.

The one law: a commit is whole or absent. Nothing in this contract knows
workflows; entries and records are bytes that their actor understands.

What a store keeps of an actor:

* a **record**, small, replaced when it changes (status, name, links);
* a **log** of entries, append-only, at most one per turn;
* **reminders**, by name, each with an absolute due time;
* an **active** mark: the actor may have work in flight that a restart must
  pick up again. Recovery reads the marked ones and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ..address import Address


class Reminder(NamedTuple):
    """A durable timer of an actor. Ordered by due time, then by actor, then by name."""

    due_us: int  # Unix time, microseconds
    key: int  # the actor's key in the store
    name: str
    address: Address


@dataclass(slots=True, kw_only=True)
class Write:
    """What one turn leaves in the store. Mutable only because it is built on the hot path."""

    key: int  # from `new_key` for an actor that the store does not have yet
    address: Address
    shard: int
    at_us: int  # when the turn ran; Unix time, microseconds
    entry: bytes | None = None  # appended to the log
    record: bytes | None = None  # None: as it was. The first write of an actor must have one
    active: bool | None = None  # None: as it was
    reset: bool = False  # forget the log first; the record stays. Reminders are cleared by name
    delete: bool = False  # forget the actor altogether: record, log and mark
    reminders_set: Sequence[tuple[str, int]] = ()  # (name, due_us)
    reminders_cleared: Sequence[tuple[str, int]] = ()  # (name, due_us) as they were set


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """All that a store holds of an actor, for an activation."""

    key: int
    record: bytes
    entries: Sequence[bytes]  # the log, oldest first
    active: bool


class Inspection(NamedTuple):
    """The outside of an actor: enough to describe it without activating it."""

    record: bytes
    first: bytes | None  # the oldest entry of the log
    last: bytes | None  # the newest; the same bytes as `first` when there is only one
    updated_us: int  # when the newest entry was written; Unix time, microseconds; 0 for an empty log


class Store(Protocol):
    """A place where actors survive."""

    @property
    def shards(self) -> int:
        """How many shards this store was created with, those of its other parts included. Fixed for its life."""
        ...

    async def open(self) -> None:
        """Take the store for this process.

        Raises:
            StoreLocked: Another process has it. Nothing was changed.
            StoreTooNew: A newer release wrote it. Nothing was changed.
            StoreDivided: It is another part than the one asked for. Nothing was changed.
            StoreFailed: It cannot be opened or is not a store.
        """
        ...

    async def close(self) -> None:
        """Let go of the store. What was committed stays; closing twice is harmless."""
        ...

    async def claim(self, host: str, *, now_us: int) -> Mapping[int, int]:
        """Own every shard of this part that can be had, each under a new, higher epoch.

        Once this has returned, a commit that carries an older epoch of these
        shards is refused, whoever sends it and however late.

        Returns:
            Shard to epoch.
        """
        ...

    def new_key(self) -> int:
        """Reserve the key of an actor that is about to be written for the first time.

        Keys grow with time, so that rows of actors that live together lie
        together. One that is never used leaves a gap, which is harmless.
        """
        ...

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        """Make all of `writes` durable, in their order, or none.

        Once this has returned, the writes outlive a crash of the process and
        (at full durability) of the machine. If it raised, none of them is
        there. If it never returned, all are there or none is: load to know.

        Args:
            writes: Several may concern the same actor.
            fences: Shard to the epoch this host owns it at, for each shard touched.

        Raises:
            StoreFenced: An epoch is no longer the shard's.
            StoreFailed: The write did not work.
        """
        ...

    async def load(self, addresses: Sequence[Address]) -> list[Stored | None]:
        """Read actors whole, in the order asked; None for one that is not there.

        Sees every commit that has returned; one that has not, whole or not at all.
        """
        ...

    async def inspect(self, addresses: Sequence[Address]) -> list[Inspection | None]:
        """Read the outside of actors, in the order asked; None for one that is not there."""
        ...

    async def ids(self, actor_type: str, *, after: str | None, limit: int) -> list[str]:
        """List ids of actors of a type in their order (by code point), at most `limit`, from just behind `after`."""
        ...

    async def active(self) -> list[Address]:
        """List the actors whose active mark is set, in the order of their keys."""
        ...

    async def reminders(self, *, after: Reminder | None, limit: int) -> list[Reminder]:
        """Read the next reminders in their order, at most `limit`, from just behind `after`."""
        ...
