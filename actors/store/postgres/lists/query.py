"""The SQL of lists: what a filter asks of a row, and the ways in which the rows of a list can be found.

The rule: a way (`Way`) yields rows of actors, and says which conditions of the filter it fulfils by itself. The others
are asked of each row that it yields. A way that yields its rows in the order of the list can stop when the page is
full; any other must be read to its end, and its rows sorted. PostgreSQL chooses no way: each has one index that it can
go along.

Values stand as `?`, and get their numbers at the end. `actors/store/postgres/lists/reading.py` chooses a way.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import count
from typing import Any

from ...cursor import Position
from ...listing import EXAMINED_MAX, ListFilter, Order
from ...sqlite.lists.query import (
    CREATED,
    IN_FLIGHT,
    KINDS,
    PARENT,
    PREFIX,
    UPDATED,
    Clause,
    Way,
    behind_prefix,
)

# What each way yields, beside `at`.
COLUMNS = ("key", "kind", "id", "created_us", "updated_us", "parent", "active")


def numbered(sql: str) -> str:
    """Give the values of a statement their numbers."""
    first, *rest = sql.split("?")
    return "".join([first, *(f"${i}{part}" for i, part in zip(count(1), rest, strict=False))])


def columns(alias: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """A list or a count that is asked for, with the kinds that its filter lets through."""

    actor_type: str
    wanted: ListFilter
    kinds: Sequence[int]
    or_kinds: Sequence[int]  # of the statuses that stand in for idleness
    all_kinds: bool  # they are all that the store has
    order: Order = Order.ID
    behind: Position | None = None

    @property
    def column(self) -> str:
        """The column that the list is ordered by."""
        if self.order is Order.ID:
            return "id"
        return "created_us" if self.order in (Order.CREATED, Order.NEWEST) else "updated_us"

    @property
    def direction(self) -> str:
        return "DESC" if self.order.descending else "ASC"

    def conditions(self) -> dict[str, Clause]:
        """The conditions that not every actor fulfils, by their names."""
        wanted = self.wanted
        # An actor without facets has no kind, and stands in no list.
        found = {KINDS: Clause("d.kind = ANY(?::int[])", (list(self.kinds),))}
        if wanted.parent is not None:
            found[PARENT] = Clause("d.parent = ?", (wanted.parent,))
        if wanted.id_prefix:
            found[PREFIX] = Clause("starts_with(d.id, ?)", (wanted.id_prefix,))
        for name, value in wanted.tags.items():
            found[f"tag {name}"] = Clause(TAGGED, (name, value))
        if ranged := _range("d.created_us", wanted.created_from_us, wanted.created_to_us):
            found[CREATED] = ranged
        if ranged := _range("d.updated_us", wanted.updated_from_us, wanted.updated_to_us):
            found[UPDATED] = ranged
        if wanted.in_flight_since_us is not None:
            found[IN_FLIGHT] = Clause(IDLE, (wanted.in_flight_since_us, list(self.or_kinds)))
        return found

    # Ways in order.

    def in_order(self, kinds: Sequence[int]) -> Way:
        """The actors of these kinds, in the order of the list by time. The ranges of the kinds are merged."""
        column = self.column
        where, values = self._bounds("a", column)
        order = self._by(f"a.{column}", "a.key")
        # With an order and a limit of its own, or PostgreSQL would not merge the arms along the index, but sort them.
        arm = (
            f"(SELECT {columns('a')}, a.{column} AS at FROM actors AS a WHERE a.kind = ?{where}{order} LIMIT {ARM_MAX})"
        )
        sql = f"SELECT * FROM ({' UNION ALL '.join([arm] * len(kinds))}) AS u"
        return Way(
            f"{sql}{self._by('at', 'key')}",
            [each for kind in kinds for each in (kind, *values)],
            frozenset({KINDS, CREATED if column == "created_us" else UPDATED}),
        )

    def children_in_order(self) -> Way:
        """The children of the parent that the filter names, by creation."""
        where, values = self._bounds("a", "created_us")
        sql = f"SELECT {columns('a')}, a.created_us AS at FROM actors AS a WHERE a.parent = ?{where}"
        return Way(
            f"{sql}{self._by('a.created_us', 'a.key')}", [self.wanted.parent, *values], frozenset({PARENT, CREATED})
        )

    def tagged_in_order(self, name: str) -> Way:
        """The actors with a tag that the filter names, by creation."""
        where, values = self._bounds("t", "created_us")
        sql = (
            f"SELECT {columns('a')}, t.created_us AS at FROM tags AS t, {OF_TAG}"
            f" WHERE t.name = ? AND t.value = ?{where}"
        )
        return Way(
            f"{sql}{self._by('t.created_us', 't.key')}",
            [name, self.wanted.tags[name], *values],
            frozenset({f"tag {name}", CREATED}),
        )

    def by_id(self) -> Way:
        """The actors whose ids have the prefix, in the order of their ids."""
        where, values = self._id_bounds()
        if self.behind is not None:
            where, values = f"{where} AND a.id > ?", [*values, self.behind.value]
        sql = f"SELECT {columns('a')}, a.id AS at FROM actors AS a WHERE {where} ORDER BY a.id"
        return Way(sql, values, frozenset({PREFIX}))

    # Ways without an order.

    def sets(self) -> list[Way]:
        """The ways that yield fewer actors than there are, in any order."""
        wanted = self.wanted
        ways = [
            Way(
                f"SELECT {columns('a')} FROM tags AS t, {OF_TAG} WHERE t.name = ? AND t.value = ?",
                [name, value],
                frozenset({f"tag {name}"}),
            )
            for name, value in wanted.tags.items()
        ]
        if wanted.parent is not None:
            ways.append(self._set("a.parent = ?", [wanted.parent], PARENT))
        if wanted.id_prefix:
            ways.append(self._set(*self._id_bounds(), PREFIX))
        if wanted.in_flight_since_us is not None:
            ways.append(self._set("a.active", []))
        ranges = [name for name in (CREATED, UPDATED) if name in self.conditions()]
        if ranges or not self.all_kinds:
            ways += [self.of_kinds(name) for name in ranges or [CREATED]]
        return ways

    def of_kinds(self, name: str = CREATED) -> Way:
        """The actors of the kinds, within the range of one of their times."""
        ranged = self.conditions().get(name)
        where, values = "a.kind = ANY(?::int[])", [list(self.kinds)]
        if ranged is not None:
            where, values = f"{where} AND {ranged.sql.replace('d.', 'a.')}", [*values, *ranged.values]
        return self._set(where, values, KINDS, name)

    def _set(self, where: str, values: Sequence[Any], *fulfils: str) -> Way:
        return Way(f"SELECT {columns('a')} FROM actors AS a WHERE {where}", values, frozenset(fulfils))

    def _by(self, at: str, key: str) -> str:
        return f" ORDER BY {at} {self.direction}, {key} {self.direction}"

    def _bounds(self, alias: str, column: str) -> tuple[str, list[Any]]:
        """Where a way in order begins and ends."""
        wanted = self.wanted
        low, high = wanted.created_from_us, wanted.created_to_us
        if column == "updated_us":
            low, high = wanted.updated_from_us, wanted.updated_to_us
        ranged = _range(f"{alias}.{column}", low, high)
        sql, values = (f" AND {ranged.sql}", [*ranged.values]) if ranged else ("", [])
        if self.behind is not None:
            side = "<" if self.order.descending else ">"
            sql += f" AND ({alias}.{column}, {alias}.key) {side} (?::bigint, ?::bigint)"
            values += self.behind.at
        return sql, values

    def _id_bounds(self) -> tuple[str, list[Any]]:
        prefix = self.wanted.id_prefix
        sql, values = "a.type = ? AND a.id >= ?", [self.actor_type, prefix]
        if (end := behind_prefix(prefix)) is not None:
            sql, values = f"{sql} AND a.id < ?", [*values, end]
        return sql, values


# A statement merges the ranges of so many kinds at most: to plan it costs time for each.
ARMS_MAX = 50
# More rows than any page examines.
ARM_MAX = EXAMINED_MAX + 2

OF_TAG = "LATERAL (SELECT * FROM actors WHERE key = t.key OFFSET 0) AS a"

TAGGED = (
    "EXISTS (SELECT 1 FROM tags AS t"
    " WHERE (t.name, t.value, t.created_us, t.key) = (?::text, ?::text, d.created_us, d.key))"
)

# In flight: no entry in the log since then, or of a kind that stands in for it.
IDLE = (
    "d.active AND (coalesce((SELECT l.at_us FROM log AS l WHERE l.key = d.key ORDER BY l.position DESC LIMIT 1), 0)"
    " < ? OR d.kind = ANY(?::int[]))"
)


def in_kinds(statuses: Set[str], kinds: Sequence[tuple[int, str]]) -> list[int]:
    """The numbers of the kinds with one of these statuses."""
    return [number for number, status in kinds if status in statuses]


def _range(column: str, from_us: int | None, to_us: int | None) -> Clause | None:
    bounds = [(f"{column} >= ?", from_us), (f"{column} < ?", to_us)]
    given = [(sql, value) for sql, value in bounds if value is not None]
    return Clause(" AND ".join(sql for sql, _ in given), [value for _, value in given]) if given else None
