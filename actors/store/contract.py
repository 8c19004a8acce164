"""The contract of a store: its methods, and what each promises about crashes.

The rule: a commit is whole or absent. The contract knows no workflows; entries and
records are bytes, which only their actor can read.

`actors/hosting/` uses stores through it. `actors/store/memory.py` and `actors/store/sqlite/store.py`
fulfil it, and `tests/actors/store/test_conformance.py` holds them to it.

A store keeps of an actor:

* a **record**, small, replaced when it changes (status, name, links);
* a **log** of entries, append-only, at most one per turn;
* **reminders**, by name, each with an absolute due time;
* **facets**, if its type has any: what lists and counts filter it by;
* **items**: named values, of which an actor may have more than fit into memory. They are read by name;
* an **active** mark: the actor may have work in flight that must go on after a
  restart. Recovery reads marked actors and no others.

Beside its actors it keeps an **audit**: rows that are written with a change and outlive the actor.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from msgspec import Struct

from ..address import Address
from .audit import AuditFilter, AuditPage, AuditRow
from .cluster import Cluster
from .errors import StoreError
from .listing import Counted, Facets, ListFilter, ListPage, Order
from .presence.apps import AppNames


class Reminder(NamedTuple):
    """A durable timer of an actor. Ordered by due time, then by actor, then by name."""

    due_us: int  # Unix time, microseconds
    key: int  # the actor's key in the store
    name: str
    address: Address


class Item(Struct, frozen=True, array_like=True):
    """A named value of an actor."""

    value: bytes
    version: int  # a number that the actor gives it, above 0
    expires_us: int = 0  # until when it counts; Unix time, microseconds; 0: for ever. The store leaves it where it is


# The name of an item, as UTF-8. An index of PostgreSQL takes no more than 2 704 bytes.
ITEM_NAME_BYTES_MAX = 2048


class Write(Struct, kw_only=True):
    """The changes of one turn. Not frozen, because it is made on the hot path."""

    key: int  # from `new_key` for an actor that the store does not have yet
    address: Address
    shard: int
    at_us: int  # when the turn ran; Unix time, microseconds
    entry: bytes | None = None  # appended to the log
    record: bytes | None = None  # None: as it was. The first write of an actor must have one
    active: bool | None = None  # None: as it was
    reset: bool = False  # forget the log first; the record stays. Reminders are cleared by name
    delete: bool = False  # forget the actor: record, log and mark
    reminders_set: Sequence[tuple[str, int]] = ()  # (name, due_us)
    reminders_cleared: Sequence[tuple[str, int]] = ()  # (name, due_us) as they were set
    facets: Facets | None = None  # None: as they were
    # As they were, if the caller knows: then a store need not look. With `facets` or `delete`; None: not known.
    facets_before: Facets | None = None
    audit: Sequence[AuditRow] = ()  # kept also when the actor is deleted
    # By name, in the order in which they count; None: forgotten. An actor that is deleted has none any more.
    items: Sequence[tuple[str, Item | None]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Record, log and mark of an actor, for an activation."""

    key: int
    record: bytes
    entries: Sequence[bytes]  # the log, oldest first
    active: bool
    facets: Facets | None = None  # None: its type has none, or the store does not know them yet


class Inspection(Struct, frozen=True, array_like=True):
    """The outside of an actor: enough to describe it without an activation."""

    record: bytes
    first: bytes | None  # the oldest entry of the log
    last: bytes | None  # the newest; the same bytes as `first` when there is only one
    updated_us: int  # when the newest entry was written; Unix time, microseconds; 0 for an empty log
    stalled: str | None = None  # why its host cannot load it; then the other fields may be empty. Not from a store
    facets: Facets | None = None  # as in `Stored`


class Expiring(NamedTuple):
    """An item that counts for a limited time."""

    expires_us: int  # Unix time, microseconds
    name: str
    version: int


class FoundItems(NamedTuple):
    """Some items of an actor, and its record, of the same moment."""

    record: bytes
    items: dict[str, Item] = {}  # noqa: RUF012  never changed. By name; absent ones are left out
    damaged: dict[str, str] = {}  # noqa: RUF012  items that differ from the ones written, and how
    expiring: Sequence[Expiring] = ()  # in the order of their times


class Unlisted(NamedTuple):
    """An actor that an earlier release has written, and whose facets the store does not know yet."""

    key: int
    address: Address
    outside: Inspection  # without the entries of the log, which may be large


class Store(Protocol):
    """A place where actors outlive their process."""

    @property
    def kind(self) -> str:
        """Its kind, for people: "sqlite"."""
        ...

    @property
    def path(self) -> str | None:
        """The file that it is; None: it is no file."""
        ...

    @property
    def cluster(self) -> Cluster | None:
        """The same store, as the hosts have it who share it; None: one host has it for itself."""
        ...

    @property
    def shards(self) -> int:
        """How many shards the whole store has, with the shards of its other parts. Fixed for its life."""
        ...

    @property
    def intact(self) -> bool:
        """Whether the open store is still where it was opened, so that commits reach it. To ask costs little."""
        ...

    @property
    def commits_elsewhere(self) -> bool:
        """Whether commits are the work of another process, so that this one has its time for turns meanwhile."""
        ...

    async def open(self) -> None:
        """Take the store for this process.

        Raises:
            StoreLocked: Another process has it. Nothing was changed.
            StoreTooNew: A newer release wrote it. Nothing was changed.
            StoreDivided: It is another part than the one asked for. Nothing was changed.
            StoreFailed: It cannot be opened, or is not a store.
        """
        ...

    async def close(self) -> None:
        """Close the store. All commits that have returned stay; to close twice is harmless."""
        ...

    async def enter_apps(self, asked: AppNames) -> Mapping[str, int]:
        """Enter the apps of this host, and return all apps of the store with their numbers, in the order of these.

        Raises:
            StoreFailed: It did not work.
        """
        ...

    @property
    def rings_apart(self) -> bool:
        """Whether each app has shards of its own, so that hosts with other apps can own theirs."""
        ...

    async def claim(self, host: str, *, now_us: int) -> Mapping[int, int]:
        """Make a host the owner of every shard of this part, each under a new, higher epoch.

        Once this has returned, a commit that carries an older epoch of these
        shards is refused, from every host and however late.

        Args:
            now_us: Unix time, microseconds.

        Returns:
            Shard to epoch.
        """
        ...

    def new_key(self) -> int:
        """Reserve the key of an actor that is about to be written for the first time.

        Keys grow with time, so that rows of actors of the same time lie
        together. A key that is never used leaves a gap, which is harmless.
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

    async def load(self, addresses: Sequence[Address]) -> Sequence[Stored | StoreError | None]:
        """Read actors whole, in the order asked; None for one that is not there.

        An actor that cannot be read has an error in its place, and the others are read all
        the same: StoreDamaged if its rows are not what was written, else StoreFailed.

        It sees every commit that has returned. It sees a commit that has not returned
        whole, or does not see it.
        """
        ...

    async def inspect(self, addresses: Sequence[Address]) -> Sequence[Inspection | StoreError | None]:
        """Read the outside of actors, in the order asked; None for one that is not there, errors as for `load`."""
        ...

    async def items(self, address: Address, names: Sequence[str] = (), *, expiring: int = 0) -> FoundItems | None:
        """Read items of an actor; None for an actor that is not there. It sees commits as `load` does.

        Args:
            names: Of the items that are asked for.
            expiring: How many items are listed, without their values: the ones that expire first. Not with `names`.

        Raises:
            StoreDamaged: The record is not what was written.
            StoreFailed: The read did not work.
        """
        ...

    async def ids(self, actor_type: str, *, after: str | None, limit: int) -> Sequence[str]:
        """List ids of actors of a type in their order (by code point), at most `limit`, from just behind `after`."""
        ...

    async def active(self, shards: Collection[int] | None = None) -> Sequence[Address]:
        """List the actors whose active mark is set, in the order of their keys.

        Args:
            shards: Those whose actors are asked for; None: all of this part.
        """
        ...

    async def reminders(
        self,
        *,
        after: Reminder | None,
        limit: int,
        until: Reminder | None = None,
        shards: Collection[int] | None = None,
    ) -> Sequence[Reminder]:
        """Read the next reminders in their order, at most `limit`, from just behind `after`.

        Fewer than `limit` mean that there are no more such.

        Args:
            until: The last that may come; None: there is no such bound.
            shards: Those whose actors' reminders are asked for; None: all of this part.
        """
        ...

    async def list(
        self, actor_type: str, wanted: ListFilter, *, order: Order, cursor: str | None, limit: int
    ) -> ListPage:
        """List the actors of a type that have facets, at most `limit`, from just behind `cursor`.

        Actors of the same time stand in the order of their keys. A list sees every
        commit that has returned. An actor that is created, deleted or changed
        between two pages moves no other: none that stayed as it was comes twice
        or is left out.

        Args:
            cursor: Of the page before, in the same order; None for the first.

        Raises:
            CursorInvalid: It is no cursor of such a list.
            ListsUnfinished: The store does not know the facets of all actors yet.
            StoreFailed: The read did not work.
        """
        ...

    async def count(self, actor_type: str, wanted: ListFilter, *, by: Sequence[str]) -> Counted:
        """Count the actors that such a list would have.

        A filter by status, name and root is answered from counters, and is exact.
        Any other count stops at `COUNTED_MAX`, and then says so.

        Args:
            by: The names of the values to group by, of "status", "name" and "root". Without any there is one group.

        Raises:
            ListsUnfinished, StoreFailed: As for `list`.
        """
        ...

    async def audit(self, wanted: AuditFilter, *, cursor: str | None, limit: int) -> AuditPage:
        """List the audit, newest first, at most `limit` rows, from just behind `cursor`.

        Raises:
            CursorInvalid, StoreFailed: As for `list`.
        """
        ...

    async def thin_audit(self, before_us: int) -> int:
        """Forget all rows of the audit that were written before that time, and return how many.

        If it raised, or never returned, some of them may be gone.

        Args:
            before_us: Unix time, microseconds.
        """
        ...

    async def unlisted(self, *, limit: int) -> Sequence[Unlisted]:
        """List actors whose facets the store does not know yet, in the order of their keys.

        Only a store that an earlier release has written has such actors. Until
        `enlist` has had the last of them, lists and counts are refused.
        """
        ...

    async def enlist(self, found: Sequence[tuple[Unlisted, Facets | None]]) -> None:
        """Take the facets of all actors that `unlisted` has given last; None for an actor whose type has none.

        An actor that has got facets by a commit meanwhile keeps them, and one that
        has been deleted has none. Once this has returned, `unlisted` goes on behind them,
        also after a crash.
        """
        ...
