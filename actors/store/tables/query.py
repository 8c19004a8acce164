"""The query of a list: the conditions of a filter, and the ways in which its rows can be found.

The rule: a way (`Way`) yields rows of actors, and names the conditions of the filter that it fulfils by itself. The
other conditions are checked for each of its rows. A way that yields its rows in the order of the list can stop when the
page is full; any other must be read to its end, and its rows sorted. The database has no choice: each way can use one
index only.

Values are written as question marks. `actors/store/tables/paging.py` chooses a way; each store has its SQL
(`actors/store/sqlite/lists/query.py`, `actors/store/postgres/lists/query.py`).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ..cursor import Position
from ..listing import ListFilter, Order

# The conditions of a filter.
KINDS, PARENT, PREFIX, CREATED, UPDATED, IN_FLIGHT = "kinds", "parent", "prefix", "created", "updated", "in flight"


class Clause(NamedTuple):
    """A condition of a filter on a row of actors."""

    sql: str
    values: Sequence[Any]


class Way(NamedTuple):
    """A way to find actors."""

    sql: str  # yields `key`, and `at` if it is in order
    values: Sequence[Any]
    fulfils: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery(ABC):
    """A list or a count, with the kinds that match its filter.

    A subclass has the SQL of one store.
    """

    arms_max: ClassVar[int]  # the most kinds whose ranges a statement merges
    row: ClassVar[str]  # the name of the row to which conditions apply

    actor_type: str
    wanted: ListFilter
    kinds: Sequence[int]
    all_kinds: bool  # whether these are all kinds of the store
    order: Order = Order.ID
    behind: Position | None = None

    @property
    def column(self) -> str:
        """The column of times by which the list is ordered."""
        return "created_us" if self.order in (Order.CREATED, Order.NEWEST) else "updated_us"

    @property
    def direction(self) -> str:
        """The direction of the order, in SQL."""
        return "DESC" if self.order.descending else "ASC"

    @property
    def side(self) -> str:
        """The SQL operator for the side of the cursor on which a page is."""
        return "<" if self.order.descending else ">"

    def conditions(self) -> dict[str, Clause]:
        """The conditions that have to be checked, by name."""
        wanted, row = self.wanted, self.row
        found: dict[str, Clause] = {}
        if (kinds := self.of_these_kinds()) is not None:
            found[KINDS] = kinds
        if wanted.parent is not None:
            found[PARENT] = Clause(f"{row}.parent = ?", (wanted.parent,))
        if wanted.id_prefix:
            found[PREFIX] = self.has_prefix()
        for name, value in wanted.tags.items():
            found[f"tag {name}"] = self.has_tag(name, value)
        for name, column in TIMES.items():
            if ranged := self.ranged(f"{row}.", column):
                found[name] = ranged
        if wanted.in_flight_since_us is not None:
            found[IN_FLIGHT] = self.in_flight(wanted.in_flight_since_us)
        return found

    def sets(self) -> list[Way]:
        """The ways that yield a part of the actors, in any order."""
        wanted = self.wanted
        ways = [self.tagged(name, value) for name, value in wanted.tags.items()]
        if wanted.parent is not None:
            ways.append(self.children())
        if wanted.id_prefix:
            ways.append(self.with_prefix())
        if wanted.in_flight_since_us is not None:
            ways.append(self.marked())
        ranges = [name for name in (CREATED, UPDATED) if name in self.conditions()]
        if ranges or not self.all_kinds:
            ways += [self.of_kinds(name) for name in ranges or [CREATED]]
        return ways

    def ranged(self, of: str, column: str) -> Clause | None:
        """The condition on a range of times in the filter; None if it has none.

        Args:
            of: A text before the column: empty, or the name of a row and a dot.
        """
        wanted = self.wanted
        from_us, to_us = wanted.created_from_us, wanted.created_to_us
        if column == "updated_us":
            from_us, to_us = wanted.updated_from_us, wanted.updated_to_us
        bounds = [(f"{of}{column} >= ?", from_us), (f"{of}{column} < ?", to_us)]
        given = [(sql, value) for sql, value in bounds if value is not None]
        return Clause(" AND ".join(sql for sql, _ in given), [value for _, value in given]) if given else None

    def bounds(self, of: str, column: str) -> tuple[str, list[Any]]:
        """The begin and the end of a way in the order of a time: conditions, each after an AND, and their values."""
        ranged = self.ranged(of, column)
        sql, values = (f" AND {ranged.sql}", [*ranged.values]) if ranged else ("", [])
        if self.behind is not None:
            begin = self.behind_place(f"{of}{column}", f"{of}key", self.behind)
            sql, values = f"{sql} AND {begin.sql}", [*values, *begin.values]
        return sql, values

    def id_bounds(self, of: str) -> tuple[str, list[Any]]:
        """The begin and the end of the ids with the prefix: conditions and their values."""
        prefix = self.wanted.id_prefix
        sql, values = f"{of}type = ? AND {of}id >= ?", [self.actor_type, prefix]
        if (end := behind_prefix(prefix)) is not None:
            sql, values = f"{sql} AND {of}id < ?", [*values, end]
        return sql, values

    def id_bounds_in_order(self, of: str) -> tuple[str, list[Any]]:
        """The same for a page, which begins after its cursor."""
        sql, values = self.id_bounds(of)
        if self.behind is not None:
            sql, values = f"{sql} AND {of}id > ?", [*values, self.behind.value]
        return sql, values

    # Conditions.

    @abstractmethod
    def of_these_kinds(self) -> Clause | None:
        """Make the condition that the actor has one of the kinds; None if that need not be checked."""

    @abstractmethod
    def has_prefix(self) -> Clause:
        """Make the condition that the id begins with the prefix of the filter."""
        ...

    @abstractmethod
    def has_tag(self, name: str, value: str) -> Clause:
        """Make the condition that the actor has a tag of this name and value."""
        ...

    @abstractmethod
    def in_flight(self, since_us: int) -> Clause:
        """Make the condition that the actor has work in flight and took no turn since a time (Unix time, microseconds),
        or has one of the statuses that count as stuck.
        """
        ...

    @abstractmethod
    def behind_place(self, at: str, key: str, behind: Position) -> Clause:
        """Make the condition that (`at`, `key`) is after a place of the list, in a form that can use an index."""

    # Ways in order.

    @abstractmethod
    def in_order(self, kinds: Sequence[int]) -> Way:
        """The actors of these kinds, in the order of the list by time, merged from the ranges of the kinds."""

    @abstractmethod
    def children_in_order(self) -> Way:
        """The children of the parent in the filter, by creation."""

    @abstractmethod
    def tagged_in_order(self, name: str) -> Way:
        """The actors with a tag in the filter, by creation."""

    @abstractmethod
    def by_id(self) -> Way:
        """The actors whose ids have the prefix, in the order of their ids."""

    # Ways without an order.

    @abstractmethod
    def tagged(self, name: str, value: str) -> Way:
        """The way over all actors with a tag of this name and value."""
        ...

    @abstractmethod
    def children(self) -> Way:
        """The way over all children of the parent in the filter."""
        ...

    @abstractmethod
    def with_prefix(self) -> Way:
        """The way over all actors whose ids begin with the prefix of the filter."""
        ...

    @abstractmethod
    def marked(self) -> Way:
        """The actors with the active mark."""

    @abstractmethod
    def of_kinds(self, name: str = CREATED) -> Way:
        """The actors of the kinds, within the range of one of their times."""

    # Statements. `where` is a condition on each row of the way.

    @abstractmethod
    def page_in_order(self, way: Way, where: str) -> str:
        """Place and key of rows of a way in order. Values: the way's, how many to examine, the condition's, a limit."""

    @abstractmethod
    def edge(self, way: Way) -> str:
        """Place and key of two rows of a way in order. Values: the way's, the number of rows before them."""

    @abstractmethod
    def page_sorted(self, way: Way, where: str) -> str:
        """Place and key of rows of any way, in order. Values: the way's, the condition's, a limit."""

    @abstractmethod
    def place_behind(self) -> Clause | None:
        """The condition that a row of `page_sorted` comes after the cursor; None without a cursor."""

    @abstractmethod
    def counted(self, way: Way, where: str) -> str:
        """Numbers of kinds, and the number of rows of each. Values: the way's, a limit, the condition's."""


TIMES = {CREATED: "created_us", UPDATED: "updated_us"}


def behind_prefix(prefix: str) -> str | None:
    """The first text, by code point, after all texts with a prefix; None if there is none."""
    begin = prefix.rstrip(chr(0x10FFFF))
    if not begin:
        return None
    last = ord(begin[-1]) + 1
    return begin[:-1] + chr(0xE000 if 0xD800 <= last < 0xE000 else last)  # surrogates have no form in UTF-8
