"""Lists and counts of actors: the filter, and the answer of a store.

The rule: a write that changes facets, by which lists are filtered, contains them as values (`Write.facets`). A store
never reads facets from a record, which only the actor's type understands.

`actors/store/contract.py` has the methods; the type of an actor makes its facets. `matches` defines the meaning of a
filter; the store in memory uses it, and a store that searches an index must agree with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from msgspec import Struct

from .cursor import Position

# The most actors that a page examines. The page may then be short, or empty, and its cursor goes on after them.
EXAMINED_MAX = 20_000
# A count that is not answered by counters stops at this number of actors.
COUNTED_MAX = 100_000


class Facets(Struct, frozen=True, array_like=True):
    """The values of an actor that lists and counts use. Times are Unix time in microseconds."""

    name: str
    status: str  # a word of the actor's type
    created_us: int
    updated_us: int  # the last change that counts for the type, not the last turn
    ended_us: int | None = None
    parent: str | None = None  # an id of the same type; None: a root
    tags: tuple[tuple[str, str], ...] = ()  # by key, each key once


class Order(Enum):
    """The order of a list."""

    CREATED = "created"
    NEWEST = "-created"
    UPDATED = "updated"
    LATEST = "-updated"
    ID = "id"  # by code point

    @property
    def descending(self) -> bool:
        """Whether the list begins with the largest value."""
        return self.value.startswith("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """The conditions for an actor to be in a list. All must hold; an empty filter holds for every actor."""

    statuses: frozenset[str] | None = None  # one of these
    not_statuses: frozenset[str] = frozenset()  # none of these
    names: frozenset[str] | None = None
    not_names: frozenset[str] = frozenset()
    id_prefix: str = ""
    parent: str | None = None
    root: bool | None = None  # True: without a parent; False: with one
    created_from_us: int | None = None  # included
    created_to_us: int | None = None  # excluded
    updated_from_us: int | None = None
    updated_to_us: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    # Has work in flight (the active mark), and no entry in its log since then; the type finds out what it waits for.
    in_flight_since_us: int | None = None
    or_statuses: frozenset[str] = frozenset()  # with the mark, one of these replaces the condition on the log


class Listed(NamedTuple):
    """An actor in a list."""

    id: str
    facets: Facets
    record: bytes  # empty if it is damaged
    position: Position  # its place in the list


class ListPage(NamedTuple):
    """A part of a list."""

    listed: Sequence[Listed]  # may be fewer than the limit, or none, although more follow
    cursor: str | None  # opaque: for the next page; None: this is the end


class Grouped(NamedTuple):
    """How many actors share the values of a group."""

    values: tuple[str | bool, ...]  # in the order of `by`
    total: int


class Counted(NamedTuple):
    """The answer to a count."""

    groups: Sequence[Grouped]
    more: bool = False  # the count stopped at its limit: there may be more actors


def place(order: Order, key: int, id_: str, facets: Facets) -> Position:
    """The place of an actor in a list.

    Args:
        key: The actor's key in its store, which orders actors of the same time.
    """
    if order is Order.ID:
        return Position(order.value, id_, 0)
    by_creation = order in (Order.CREATED, Order.NEWEST)
    return Position(order.value, facets.created_us if by_creation else facets.updated_us, key)


def matches(wanted: ListFilter, id_: str, facets: Facets, *, idle_since_us: int | None) -> bool:
    """Whether an actor is in a list.

    Args:
        idle_since_us: When the newest entry of its log was written, 0 for an empty log; None without the active mark.
    """
    return fits(wanted, id_, facets) and (
        wanted.in_flight_since_us is None
        or (
            idle_since_us is not None
            and (idle_since_us < wanted.in_flight_since_us or facets.status in wanted.or_statuses)
        )
    )


def fits(wanted: ListFilter, id_: str, facets: Facets) -> bool:
    """Whether all conditions on an actor's facets and id hold: all but `in_flight_since_us`."""
    return (
        matches_kind(wanted, facets.status, facets.name, root=facets.parent is None)
        and id_.startswith(wanted.id_prefix)
        and (wanted.parent is None or facets.parent == wanted.parent)
        and _within(facets.created_us, wanted.created_from_us, wanted.created_to_us)
        and _within(facets.updated_us, wanted.updated_from_us, wanted.updated_to_us)
        and wanted.tags.items() <= dict(facets.tags).items()
    )


def matches_kind(wanted: ListFilter, status: str, name: str, *, root: bool) -> bool:
    """Whether the conditions on status, name and root hold, for which there are counters."""
    return (
        (wanted.statuses is None or status in wanted.statuses)
        and status not in wanted.not_statuses
        and (wanted.names is None or name in wanted.names)
        and name not in wanted.not_names
        and (wanted.root is None or wanted.root is root)
    )


def asks_kinds_only(wanted: ListFilter) -> bool:
    """Whether a filter has conditions on status, name and root only."""
    rest = replace(wanted, statuses=None, not_statuses=_NONE, names=None, not_names=_NONE, root=None)
    return rest == ListFilter()


def grouped(counts: Iterable[tuple[str, str, bool, int]], by: Sequence[str], *, more: bool = False) -> Counted:
    """Add counts up.

    Args:
        counts: Status, name, root and number of actors.
        by: The names of the values to group by: "status", "name", "root".
    """
    groups: dict[tuple[str | bool, ...], int] = {} if by else {(): 0}
    for status, name, root, count in counts:
        of: dict[str, str | bool] = {"status": status, "name": name, "root": root}
        values = tuple(of[each] for each in by)
        groups[values] = groups.get(values, 0) + count
    return Counted([Grouped(values, count) for values, count in sorted(groups.items()) if count or not by], more)


def _within(at_us: int, from_us: int | None, to_us: int | None) -> bool:
    return (from_us is None or at_us >= from_us) and (to_us is None or at_us < to_us)


_NONE: frozenset[str] = frozenset()
