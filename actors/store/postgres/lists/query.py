"""The SQL of lists on PostgreSQL: each way reads one index of `actors` or `tags` in order, and yields rows of actors.

The rule: a statement leaves the planner no choice. Each can use one index only, even if its plan was made while the
tables were empty.

Values are written as `?`, and get their numbers at the end. `actors/store/tables/query.py` defines ways, and
`actors/store/tables/paging.py` chooses one; `actors/store/postgres/lists/reading.py` runs the statements.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar

from ...cursor import Position
from ...listing import EXAMINED_MAX, Order
from ...tables.query import CREATED, KINDS, PARENT, PREFIX, TIMES, UPDATED, Clause, ListQuery, Way

# The columns that each way yields, beside `at`.
COLUMNS = ("key", "kind", "id", "created_us", "updated_us", "parent", "active")


def numbered(sql: str) -> str:
    """Number the values of a statement: `$1`, `$2`, ..."""
    first, *rest = sql.split("?")
    return "".join([first, *(f"${i}{part}" for i, part in zip(count(1), rest, strict=False))])


def columns(alias: str) -> str:
    """The columns that a way selects from the table with this alias."""
    return ", ".join(f"{alias}.{name}" for name in COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresQuery(ListQuery):
    """A list or a count in a database. Conditions apply to a row of a way, which has the name d."""

    arms_max: ClassVar[int] = 50  # each arm costs time in planning
    row: ClassVar[str] = "d"

    or_kinds: Sequence[int]  # of the statuses that replace the condition on the log

    # Conditions.

    def of_these_kinds(self) -> Clause | None:
        # An actor without facets has no kind, and is in no list.
        return Clause("d.kind = ANY(?::int[])", (list(self.kinds),))

    def has_prefix(self) -> Clause:
        """Make the condition that the id begins with the prefix of the filter."""
        return Clause("starts_with(d.id, ?)", (self.wanted.id_prefix,))

    def has_tag(self, name: str, value: str) -> Clause:
        """Make the condition that the actor has a tag of this name and value."""
        return Clause(TAGGED, (name, value))

    def in_flight(self, since_us: int) -> Clause:
        return Clause(IDLE, (since_us, list(self.or_kinds)))

    def behind_place(self, at: str, key: str, behind: Position) -> Clause:
        return Clause(f"({at}, {key}) {self.side} (?::bigint, ?::bigint)", behind.at)

    # Ways in order.

    def in_order(self, kinds: Sequence[int]) -> Way:
        column = self.column
        where, values = self.bounds("a.", column)
        order = self._by(f"a.{column}", "a.key")
        # Each arm has an order and a limit, otherwise PostgreSQL would sort the arms instead of merging index scans.
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
        where, values = self.bounds("a.", "created_us")
        sql = f"SELECT {columns('a')}, a.created_us AS at FROM actors AS a WHERE a.parent = ?{where}"
        return Way(
            f"{sql}{self._by('a.created_us', 'a.key')}", [self.wanted.parent, *values], frozenset({PARENT, CREATED})
        )

    def tagged_in_order(self, name: str) -> Way:
        where, values = self.bounds("t.", "created_us")
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
        where, values = self.id_bounds_in_order("a.")
        sql = f"SELECT {columns('a')}, a.id AS at FROM actors AS a WHERE {where} ORDER BY a.id"
        return Way(sql, values, frozenset({PREFIX}))

    # Ways without an order.

    def tagged(self, name: str, value: str) -> Way:
        return Way(
            f"SELECT {columns('a')} FROM tags AS t, {OF_TAG} WHERE t.name = ? AND t.value = ?",
            [name, value],
            frozenset({f"tag {name}"}),
        )

    def children(self) -> Way:
        return self._set("a.parent = ?", [self.wanted.parent], PARENT)

    def with_prefix(self) -> Way:
        return self._set(*self.id_bounds("a."), PREFIX)

    def marked(self) -> Way:
        return self._set("a.active", [])

    def of_kinds(self, name: str = CREATED) -> Way:
        ranged = self.ranged("a.", TIMES[name])
        where, values = "a.kind = ANY(?::int[])", [list(self.kinds)]
        if ranged is not None:
            where, values = f"{where} AND {ranged.sql}", [*values, *ranged.values]
        return self._set(where, values, KINDS, name)

    # Statements.

    def page_in_order(self, way: Way, where: str) -> str:
        return f"SELECT d.at, d.key FROM ({way.sql} LIMIT ?) AS d WHERE {where}{self._by('d.at', 'd.key')} LIMIT ?"

    def edge(self, way: Way) -> str:
        return f"SELECT d.at, d.key FROM ({way.sql} LIMIT 2 OFFSET ?) AS d{self._by('d.at', 'd.key')}"

    def page_sorted(self, way: Way, where: str) -> str:
        return (
            f"SELECT {self._at} AS at, d.key FROM ({way.sql}) AS d WHERE {where}{self._by(self._at, 'd.key')} LIMIT ?"
        )

    def place_behind(self) -> Clause | None:
        if self.behind is None:
            return None
        if self.order is Order.ID:
            return Clause("d.id > ?", [self.behind.value])
        return self.behind_place(self._at, "d.key", self.behind)

    def counted(self, way: Way, where: str) -> str:
        return f"SELECT d.kind, count(*) FROM ({way.sql} LIMIT ?) AS d WHERE {where} GROUP BY d.kind"

    @property
    def _at(self) -> str:
        return "d.id" if self.order is Order.ID else f"d.{self.column}"

    def _set(self, where: str, values: Sequence[Any], *fulfils: str) -> Way:
        return Way(f"SELECT {columns('a')} FROM actors AS a WHERE {where}", values, frozenset(fulfils))

    def _by(self, at: str, key: str) -> str:
        return f" ORDER BY {at} {self.direction}, {key} {self.direction}"


# More rows than any page examines.
ARM_MAX = EXAMINED_MAX + 2

OF_TAG = "LATERAL (SELECT * FROM actors WHERE key = t.key OFFSET 0) AS a"

TAGGED = (
    "EXISTS (SELECT 1 FROM tags AS t"
    " WHERE (t.name, t.value, t.created_us, t.key) = (?::text, ?::text, d.created_us, d.key))"
)

# In flight: no entry in the log since a time, or one of the kinds that replace this condition.
IDLE = (
    "d.active AND (coalesce((SELECT l.at_us FROM log AS l WHERE l.key = d.key ORDER BY l.position DESC LIMIT 1), 0)"
    " < ? OR d.kind = ANY(?::int[]))"
)


def in_kinds(statuses: Set[str], kinds: Sequence[tuple[int, str]]) -> list[int]:
    """The numbers of the kinds with one of these statuses."""
    return [number for number, status in kinds if status in statuses]
