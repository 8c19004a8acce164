"""The contract of a store: its methods, and the promises of each about crashes.

The rule: a commit is whole or absent. The contract does not know workflows; entries and
records are bytes, which only their actor can read.

`actors/hosting/` uses stores through it. `actors/store/memory.py` and `actors/store/sqlite/store.py`
implement it, and `tests/actors/store/test_conformance.py` tests them.

A store keeps of an actor:

* a **record**, small, replaced when it changes (status, name, links);
* a **log** of entries, append-only, at most one per turn;
* **reminders**, by name, each with an absolute due time;
* **facets**, if its type has any: the values by which lists and counts filter it;
* **items**: named values, of which an actor may have more than fit into memory. They are read by name;
* an **active** mark: the actor may have work in flight that must go on after a
  restart. Recovery reads marked actors only.

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
    expires_us: int = 0  # its end of validity; Unix time, microseconds; 0: none. The store does not delete it then


# The name of an item, as UTF-8. An index of PostgreSQL takes no more than 2 704 bytes.
ITEM_NAME_BYTES_MAX = 2048


class Write(Struct, kw_only=True):
    """The changes of one turn. Not frozen, because it is made on the hot path."""

    key: int  # from `new_key` for an actor that the store does not have yet
    address: Address
    shard: int
    at_us: int  # when the turn ran; Unix time, microseconds
    entry: bytes | None = None  # appended to the log
    record: bytes | None = None  # None: unchanged. The first write of an actor must have a record
    active: bool | None = None  # None: unchanged
    reset: bool = False  # delete the log first; the record stays. Reminders are cleared by name
    delete: bool = False  # delete the actor: record, log and mark
    reminders_set: Sequence[tuple[str, int]] = ()  # (name, due_us)
    reminders_cleared: Sequence[tuple[str, int]] = ()  # (name, due_us) as they were set
    facets: Facets | None = None  # None: unchanged
    # The facets before this write, if the caller knows them, so that a store need not read them. With `facets` or
    # `delete`; None: not known.
    facets_before: Facets | None = None
    audit: Sequence[AuditRow] = ()  # kept also when the actor is deleted
    # By name, in the order in which they are applied; None: deleted. A deleted actor has no items any more.
    items: Sequence[tuple[str, Item | None]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Record, log and mark of an actor, for an activation."""

    key: int
    record: bytes
    entries: Sequence[bytes]  # the log, oldest first
    active: bool
    facets: Facets | None = None  # None: its type has no facets, or the store does not know them yet


class Inspection(Struct, frozen=True, array_like=True):
    """The outside of an actor: enough to describe it without an activation."""

    record: bytes
    first: bytes | None  # the oldest entry of the log
    last: bytes | None  # the newest entry; the same bytes as `first` when there is only one
    updated_us: int  # when the newest entry was written; Unix time, microseconds; 0 for an empty log
    stalled: str | None = None  # why its host cannot load it; the other fields may be empty then. Not from a store
    facets: Facets | None = None  # as in `Stored`


class Expiring(NamedTuple):
    """An item that is valid for a limited time."""

    expires_us: int  # Unix time, microseconds
    name: str
    version: int


class FoundItems(NamedTuple):
    """Some items of an actor, and its record, of the same moment."""

    record: bytes
    items: dict[str, Item] = {}  # noqa: RUF012  never changed. By name; absent ones are left out
    damaged: dict[str, str] = {}  # noqa: RUF012  damaged items by name, each with a text about the damage
    expiring: Sequence[Expiring] = ()  # in the order of their times


class Unlisted(NamedTuple):
    """An actor that an earlier release has written, and whose facets the store does not know yet."""

    key: int
    address: Address
    outside: Inspection  # without the log's entries, which may be large


class Store(Protocol):
    """A place where actors outlive their process."""

    @property
    def kind(self) -> str:
        """Its kind, for people: "sqlite"."""
        ...

    @property
    def path(self) -> str | None:
        """Its file; None: it is not a file."""
        ...

    @property
    def cluster(self) -> Cluster | None:
        """The same store, with the contract for hosts that share it; None: one host has it for itself."""
        ...

    @property
    def shards(self) -> int:
        """How many shards the whole store has, including its other parts. The number never changes."""
        ...

    @property
    def intact(self) -> bool:
        """Whether the open store is still at its place, so that commits reach it. Calling this often is cheap."""
        ...

    @property
    def commits_elsewhere(self) -> bool:
        """Whether another process does the commits, so that this process can take turns meanwhile."""
        ...

    async def open(self) -> None:
        """Take the store for this process.

        Raises:
            StoreLocked: Another process has it. Nothing was changed.
            StoreTooNew: A newer release wrote it. Nothing was changed.
            StoreDivided: It is not the expected part. Nothing was changed.
            StoreFailed: It cannot be opened, or is not a store.
        """
        ...

    async def close(self) -> None:
        """Close the store. All commits that have returned stay; closing twice is harmless."""
        ...

    async def enter_apps(self, asked: AppNames) -> Mapping[str, int]:
        """Enter the apps of this host, and return all apps of the store with their numbers, ordered by number.

        Raises:
            StoreFailed: The apps could not be read or entered.
        """
        ...

    @property
    def rings_apart(self) -> bool:
        """Whether each app has shards of its own, so that hosts with other apps can own the shards of those."""
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
        """Reserve a key for an actor that is about to be written for the first time.

        Keys grow with time, so that rows of actors of the same time lie
        together. A key that is never used leaves a gap, which is harmless.
        """
        ...

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        """Make all of `writes` durable, in their order, or none.

        Once this has returned, the writes outlive a crash of the process and
        (at full durability) of the machine. If it raised, no write was made.
        If it never returned, either all or none were made: load to know.

        Args:
            writes: Several may concern the same actor.
            fences: Shard to the epoch at which this host owns it, for each shard of the writes.

        Raises:
            StoreFenced: The epoch of a shard has changed.
            StoreFailed: The write did not work.
        """
        ...

    async def load(self, addresses: Sequence[Address]) -> Sequence[Stored | StoreError | None]:
        """Read actors whole, in the order of `addresses`; None for an actor that does not exist.

        An actor that cannot be read has an error in its place, and the others are read
        nevertheless: StoreDamaged if its rows are damaged, else StoreFailed.

        It sees every commit that has returned. It sees a commit that has not returned
        whole, or does not see it.
        """
        ...

    async def inspect(self, addresses: Sequence[Address]) -> Sequence[Inspection | StoreError | None]:
        """Read the outside of actors, in the order of `addresses`; None and errors as for `load`."""
        ...

    async def items(self, address: Address, names: Sequence[str] = (), *, expiring: int = 0) -> FoundItems | None:
        """Read items of an actor; None for an actor that does not exist. It sees commits as `load` does.

        Args:
            names: The names of the items to read.
            expiring: How many of the items that expire first to list, without their values. Not with `names`.

        Raises:
            StoreDamaged: The record is damaged.
            StoreFailed: The read did not work.
        """
        ...

    async def ids(self, actor_type: str, *, after: str | None, limit: int) -> Sequence[str]:
        """List ids of actors of a type in order (by code point), at most `limit`, from just after `after`."""
        ...

    async def active(self, shards: Collection[int] | None = None) -> Sequence[Address]:
        """List the actors whose active mark is set, in the order of their keys.

        Args:
            shards: The shards whose actors to list; None: all of this part.
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
        """Read the next reminders in order, at most `limit`, from just after `after`.

        If fewer than `limit` are returned, there are no more.

        Args:
            until: The last reminder to return; None: no such bound.
            shards: The shards whose actors' reminders to read; None: all of this part.
        """
        ...

    async def list(
        self, actor_type: str, wanted: ListFilter, *, order: Order, cursor: str | None, limit: int
    ) -> ListPage:
        """List the actors of a type that have facets, at most `limit`, from just after `cursor`.

        Actors of the same time are in the order of their keys. A list sees every
        commit that has returned. An actor that is created, deleted or changed
        between two pages does not move others: an unchanged actor is neither
        listed twice nor left out.

        Args:
            cursor: The cursor of the page before, in the same order; None for the first page.

        Raises:
            CursorInvalid: The cursor is not one of such a list.
            ListsUnfinished: The store does not know the facets of all actors yet.
            StoreFailed: The read did not work.
        """
        ...

    async def count(self, actor_type: str, wanted: ListFilter, *, by: Sequence[str]) -> Counted:
        """Count the actors that a list with the same filter would have.

        A filter by status, name and root is answered from counters, and is exact.
        Any other count stops at `COUNTED_MAX`, and `Counted.more` is set then.

        Args:
            by: The values to group by: "status", "name", "root". If empty, there is one group.

        Raises:
            ListsUnfinished, StoreFailed: As for `list`.
        """
        ...

    async def audit(self, wanted: AuditFilter, *, cursor: str | None, limit: int) -> AuditPage:
        """List the audit, newest first, at most `limit` rows, from just after `cursor`.

        Raises:
            CursorInvalid, StoreFailed: As for `list`.
        """
        ...

    async def thin_audit(self, before_us: int) -> int:
        """Delete all rows of the audit that were written before a time, and return how many.

        If it raised, or never returned, some of them may have been deleted.

        Args:
            before_us: Unix time, microseconds.
        """
        ...

    async def unlisted(self, *, limit: int) -> Sequence[Unlisted]:
        """List actors whose facets the store does not know yet, in the order of their keys.

        Only a store that an earlier release has written has such actors. Until
        `enlist` was called for the last of them, lists and counts are refused.
        """
        ...

    async def enlist(self, found: Sequence[tuple[Unlisted, Facets | None]]) -> None:
        """Write the facets of all actors that `unlisted` returned last; None for an actor whose type has no facets.

        An actor that has got facets by a commit meanwhile keeps them, and a deleted
        actor gets none. Once this has returned, `unlisted` goes on after these actors,
        also after a crash.
        """
        ...
