"""The SQL of lists: what a filter asks of a row, and the ways in which the rows of a list can be found.

The rule: a way (`Way`) yields keys of actors, and says which conditions of the filter it fulfils by itself. The others
are asked of each row that it yields. A way that yields its keys in the order of the list can stop when the page is
full; any other must be read to its end, and its keys sorted.

`actors/store/sqlite/lists/reading.py` chooses a way.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...cursor import Position
from ...listing import ListFilter, Order

# The conditions of a filter.
KINDS, PARENT, PREFIX, CREATED, UPDATED, IN_FLIGHT = "kinds", "parent", "prefix", "created", "updated", "in flight"


class Clause(NamedTuple):
    """A condition of a filter, as it is asked of a row of `facets` under the name f."""

    sql: str
    values: Sequence[Any]


ALL = Clause("1", ())


class Way(NamedTuple):
    """A way to find actors."""

    sql: str  # yields `key`, and `at` if it is in order
    values: Sequence[Any]
    fulfils: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A list or a count that is asked for, with the kinds that its filter lets through."""

    actor_type: str
    wanted: ListFilter
    kinds: Sequence[int]
    all_kinds: bool  # they are all that the store has
    order: Order = Order.ID
    behind: Position | None = None

    @property
    def column(self) -> str:
        """The column of `facets` that the list is ordered by."""
        return "created_us" if self.order in (Order.CREATED, Order.NEWEST) else "updated_us"

    @property
    def direction(self) -> str:
        return "DESC" if self.order.descending else "ASC"

    def conditions(self) -> dict[str, Clause]:
        """The conditions that not every actor with facets fulfils, by their names."""
        wanted = self.wanted
        found: dict[str, Clause] = {}
        if not self.all_kinds:
            found[KINDS] = self._of_kinds()
        if wanted.parent is not None:
            found[PARENT] = Clause("f.parent = ?", (wanted.parent,))
        if wanted.id_prefix:
            sql = "EXISTS (SELECT 1 FROM actors AS a WHERE a.key = f.key AND substr(a.id, 1, ?) = ?)"
            found[PREFIX] = Clause(sql, (len(wanted.id_prefix), wanted.id_prefix))
        for name, value in wanted.tags.items():
            found[f"tag {name}"] = Clause(TAGGED, (name, value))
        if ranged := _range("f.created_us", wanted.created_from_us, wanted.created_to_us):
            found[CREATED] = ranged
        if ranged := _range("f.updated_us", wanted.updated_from_us, wanted.updated_to_us):
            found[UPDATED] = ranged
        if wanted.in_flight_since_us is not None:
            found[IN_FLIGHT] = _in_flight(wanted.in_flight_since_us, wanted.or_statuses)
        return found

    # Ways in order.

    def in_order(self, kinds: Sequence[int]) -> Way:
        """The actors of these kinds, in the order of the list by time. The indexes of the kinds are merged."""
        column = self.column
        where, values = self._bounds(column)
        arms = [f"SELECT key, {column} AS at FROM facets WHERE kind = {kind}{where}" for kind in kinds]  # noqa: S608  values are bound
        sql = f"{' UNION ALL '.join(arms)} ORDER BY at {self.direction}, key {self.direction}"
        return Way(sql, [*values] * len(arms), frozenset({KINDS, CREATED if column == "created_us" else UPDATED}))

    def children_in_order(self) -> Way:
        """The children of the parent that the filter names, by creation."""
        where, values = self._bounds("created_us")
        sql = f"SELECT key, created_us AS at FROM facets WHERE parent = ?{where}{self._by('created_us')}"  # noqa: S608  values are bound
        return Way(sql, [self.wanted.parent, *values], frozenset({PARENT, CREATED}))

    def tagged_in_order(self, name: str) -> Way:
        """The actors with a tag that the filter names, by creation."""
        where, values = self._bounds("created_us")
        sql = f"SELECT key, created_us AS at FROM tags WHERE name = ? AND value = ?{where}{self._by('created_us')}"  # noqa: S608  values are bound
        return Way(sql, [name, self.wanted.tags[name], *values], frozenset({f"tag {name}", CREATED}))

    def by_id(self) -> Way:
        """The actors whose ids have the prefix, in the order of their ids."""
        where, values = self._id_bounds()
        if self.behind is not None:
            where, values = f"{where} AND id > ?", [*values, self.behind.value]
        return Way(f"SELECT key, id AS at FROM actors WHERE {where} ORDER BY id", values, frozenset({PREFIX}))  # noqa: S608  values are bound

    # Ways without an order.

    def sets(self) -> list[Way]:
        """The ways that yield fewer actors than there are, in any order."""
        wanted = self.wanted
        ways = [
            Way("SELECT key FROM tags WHERE name = ? AND value = ?", [name, value], frozenset({f"tag {name}"}))
            for name, value in wanted.tags.items()
        ]
        if wanted.parent is not None:
            ways.append(Way("SELECT key FROM facets WHERE parent = ?", [wanted.parent], frozenset({PARENT})))
        if wanted.id_prefix:
            where, values = self._id_bounds()
            ways.append(Way(f"SELECT key FROM actors WHERE {where}", values, frozenset({PREFIX})))  # noqa: S608  values are bound
        if wanted.in_flight_since_us is not None:
            ways.append(Way("SELECT key FROM active", [], frozenset()))
        ranges = [name for name in (CREATED, UPDATED) if name in self.conditions()]
        if ranges or not self.all_kinds:
            ways += [self.of_kinds(name) for name in ranges or [CREATED]]
        return ways

    def of_kinds(self, name: str = CREATED) -> Way:
        """The actors of the kinds, within the range of one of their times."""
        kinds, ranged = self._of_kinds(), self.conditions().get(name, ALL)
        sql = f"SELECT f.key FROM facets AS f INDEXED BY facets_{name} WHERE {kinds.sql} AND {ranged.sql}"  # noqa: S608
        return Way(sql, ranged.values, frozenset({KINDS, name}))

    def _of_kinds(self) -> Clause:
        return Clause(f"f.kind IN ({', '.join(map(str, self.kinds))})", ())

    def _by(self, column: str) -> str:
        return f" ORDER BY {column} {self.direction}, key {self.direction}"

    def _bounds(self, column: str) -> tuple[str, list[Any]]:
        """Where a way in order begins and ends."""
        wanted = self.wanted
        low, high = wanted.created_from_us, wanted.created_to_us
        if column == "updated_us":
            low, high = wanted.updated_from_us, wanted.updated_to_us
        ranged = _range(column, low, high)
        sql, values = (f" AND {ranged.sql}", [*ranged.values]) if ranged else ("", [])
        if self.behind is not None:
            # Not `(at, key) < (?, ?)` alone: SQLite would not seek by it in every index.
            side = "<" if self.order.descending else ">"
            at, key = self.behind.at
            sql += f" AND {column} {side}= ? AND ({column} {side} ? OR key {side} ?)"
            values += [at, at, key]
        return sql, values

    def _id_bounds(self) -> tuple[str, list[Any]]:
        prefix = self.wanted.id_prefix
        sql, values = "type = ? AND id >= ?", [self.actor_type, prefix]
        if (end := behind_prefix(prefix)) is not None:
            sql, values = f"{sql} AND id < ?", [*values, end]
        return sql, values


# A statement merges the indexes of so many kinds at most; SQLite allows 500.
ARMS_MAX = 100

TAGGED = "EXISTS (SELECT 1 FROM tags AS t WHERE (name, value, t.created_us, t.key) = (?, ?, f.created_us, f.key))"

MARKED = "EXISTS (SELECT 1 FROM active WHERE active.key = f.key)"

# No entry in the log since then.
IDLE = "coalesce((SELECT at_us FROM log WHERE position = (SELECT max(position) FROM log WHERE log.key = f.key)), 0) < ?"


def _in_flight(since_us: int, or_statuses: Set[str]) -> Clause:
    if not or_statuses:
        return Clause(f"{MARKED} AND {IDLE}", [since_us])
    marks = ", ".join("?" * len(or_statuses))
    kinds = f"SELECT kind FROM kinds WHERE status IN ({marks})"  # noqa: S608  values are bound
    return Clause(f"{MARKED} AND (f.kind IN ({kinds}) OR {IDLE})", [*or_statuses, since_us])


def behind_prefix(prefix: str) -> str | None:
    """The first text, by code point, behind all that begin with a prefix; None if there is none."""
    begin = prefix.rstrip(chr(0x10FFFF))
    if not begin:
        return None
    last = ord(begin[-1]) + 1
    return begin[:-1] + chr(0xE000 if 0xD800 <= last < 0xE000 else last)  # surrogates have no form in UTF-8


def _range(column: str, from_us: int | None, to_us: int | None) -> Clause | None:
    bounds = [(f"{column} >= ?", from_us), (f"{column} < ?", to_us)]
    given = [(sql, value) for sql, value in bounds if value is not None]
    return Clause(" AND ".join(sql for sql, _ in given), [value for _, value in given]) if given else None
