"""The SQL of lists in SQLite: each way reads one index of `facets`, `tags` or `actors` in order, and yields keys.

The rule: no statement sorts the rows of a way, and none reads a table for values that an index has.

`actors/store/tables/query.py` defines ways, and `actors/store/tables/paging.py` chooses one;
`actors/store/sqlite/lists/reading.py` runs the statements.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ...cursor import Position
from ...listing import Order
from ...tables.query import CREATED, KINDS, PARENT, PREFIX, TIMES, UPDATED, Clause, ListQuery, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteQuery(ListQuery):
    """A list or a count in a file. Conditions apply to a row of `facets`, which has the name f."""

    arms_max: ClassVar[int] = 100  # SQLite allows 500
    row: ClassVar[str] = "f"

    # Conditions.

    def of_these_kinds(self) -> Clause | None:
        return None if self.all_kinds else self._of_kinds()

    def has_prefix(self) -> Clause:
        """Make the condition that the id begins with the prefix of the filter."""
        prefix = self.wanted.id_prefix
        sql = "EXISTS (SELECT 1 FROM actors AS a WHERE a.key = f.key AND substr(a.id, 1, ?) = ?)"
        return Clause(sql, (len(prefix), prefix))

    def has_tag(self, name: str, value: str) -> Clause:
        """Make the condition that the actor has a tag of this name and value."""
        return Clause(TAGGED, (name, value))

    def in_flight(self, since_us: int) -> Clause:
        or_statuses = self.wanted.or_statuses
        if not or_statuses:
            return Clause(f"{MARKED} AND {IDLE}", [since_us])
        marks = ", ".join("?" * len(or_statuses))
        kinds = f"SELECT kind FROM kinds WHERE status IN ({marks})"  # noqa: S608  values are bound
        return Clause(f"{MARKED} AND (f.kind IN ({kinds}) OR {IDLE})", [*or_statuses, since_us])

    def behind_place(self, at: str, key: str, behind: Position) -> Clause:
        # Not `(at, key) < (?, ?)` alone: SQLite would not use it to seek in every index.
        side = self.side
        return Clause(f"{at} {side}= ? AND ({at} {side} ? OR {key} {side} ?)", [behind.value, *behind.at])

    # Ways in order.

    def in_order(self, kinds: Sequence[int]) -> Way:
        column = self.column
        where, values = self.bounds("", column)
        arms = [f"SELECT key, {column} AS at FROM facets WHERE kind = {kind}{where}" for kind in kinds]  # noqa: S608  values are bound
        sql = f"{' UNION ALL '.join(arms)} ORDER BY at {self.direction}, key {self.direction}"
        return Way(sql, [*values] * len(arms), frozenset({KINDS, CREATED if column == "created_us" else UPDATED}))

    def children_in_order(self) -> Way:
        where, values = self.bounds("", "created_us")
        sql = f"SELECT key, created_us AS at FROM facets WHERE parent = ?{where}{self._by('created_us')}"  # noqa: S608  values are bound
        return Way(sql, [self.wanted.parent, *values], frozenset({PARENT, CREATED}))

    def tagged_in_order(self, name: str) -> Way:
        where, values = self.bounds("", "created_us")
        sql = f"SELECT key, created_us AS at FROM tags WHERE name = ? AND value = ?{where}{self._by('created_us')}"  # noqa: S608  values are bound
        return Way(sql, [name, self.wanted.tags[name], *values], frozenset({f"tag {name}", CREATED}))

    def by_id(self) -> Way:
        where, values = self.id_bounds_in_order("")
        return Way(f"SELECT key, id AS at FROM actors WHERE {where} ORDER BY id", values, frozenset({PREFIX}))  # noqa: S608  values are bound

    # Ways without an order.

    def tagged(self, name: str, value: str) -> Way:
        return Way("SELECT key FROM tags WHERE name = ? AND value = ?", [name, value], frozenset({f"tag {name}"}))

    def children(self) -> Way:
        return Way("SELECT key FROM facets WHERE parent = ?", [self.wanted.parent], frozenset({PARENT}))

    def with_prefix(self) -> Way:
        where, values = self.id_bounds("")
        return Way(f"SELECT key FROM actors WHERE {where}", values, frozenset({PREFIX}))  # noqa: S608  values are bound

    def marked(self) -> Way:
        return Way("SELECT key FROM active", [], frozenset())

    def of_kinds(self, name: str = CREATED) -> Way:
        kinds, ranged = self._of_kinds(), self.ranged("f.", TIMES[name])
        where, values = (f"{kinds.sql} AND {ranged.sql}", ranged.values) if ranged else (kinds.sql, ())
        sql = f"SELECT f.key FROM facets AS f INDEXED BY facets_{name} WHERE {where}"  # noqa: S608
        return Way(sql, values, frozenset({KINDS, name}))

    # Statements.

    def page_in_order(self, way: Way, where: str) -> str:
        # No outer ORDER BY: with CROSS JOIN, SQLite takes the rows in the order of the way, and stops at the limit.
        return f"SELECT d.at, d.key FROM ({way.sql} LIMIT ?) AS d {FACETS_OF} WHERE {where} LIMIT ?"  # noqa: S608

    def edge(self, way: Way) -> str:
        return f"SELECT at, key FROM ({way.sql} LIMIT 2 OFFSET ?)"  # noqa: S608

    def page_sorted(self, way: Way, where: str) -> str:
        join = " CROSS JOIN actors AS a ON a.key = f.key" if self.order is Order.ID else ""
        return (
            f"SELECT {self._at} AS at, f.key FROM ({way.sql}) AS d {FACETS_OF}{join}"  # noqa: S608
            f" WHERE {where} ORDER BY at {self.direction}, f.key {self.direction} LIMIT ?"
        )

    def place_behind(self) -> Clause | None:
        if self.behind is None:
            return None
        key = "0" if self.order is Order.ID else "f.key"
        return Clause(f"({self._at}, {key}) {self.side} (?, ?)", self.behind.at)

    def counted(self, way: Way, where: str) -> str:
        return (
            "SELECT kind, count(*) FROM (SELECT f.kind"  # noqa: S608  values are bound
            f" FROM (SELECT key FROM ({way.sql}) LIMIT ?) AS d {FACETS_OF} WHERE {where}) GROUP BY kind"
        )

    @property
    def _at(self) -> str:
        return "a.id" if self.order is Order.ID else f"f.{self.column}"

    def _of_kinds(self) -> Clause:
        return Clause(f"f.kind IN ({', '.join(map(str, self.kinds))})", ())

    def _by(self, column: str) -> str:
        return f" ORDER BY {column} {self.direction}, key {self.direction}"


FACETS_OF = "CROSS JOIN facets AS f ON f.key = d.key"

TAGGED = "EXISTS (SELECT 1 FROM tags AS t WHERE (name, value, t.created_us, t.key) = (?, ?, f.created_us, f.key))"

MARKED = "EXISTS (SELECT 1 FROM active WHERE active.key = f.key)"

# No entry in the log since a time.
IDLE = "coalesce((SELECT at_us FROM log WHERE position = (SELECT max(position) FROM log WHERE log.key = f.key)), 0) < ?"
