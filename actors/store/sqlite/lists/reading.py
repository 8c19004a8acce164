"""Reading lists and counts from a store's SQLite file.

The rule: a page costs what it examines, and it examines `EXAMINED_MAX` actors at most, whatever is asked for and
however many actors there are. Nothing is sorted but what is known to be short.

All functions run on a thread of their own, so that a load of an actor does not wait for a list;
`actors/store/sqlite/store.py` sends them there.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from ...cursor import Position, cursor_of
from ...listing import COUNTED_MAX, EXAMINED_MAX, Listed, ListFilter, ListPage, Order, place
from ..checksums import Damaged, Unsealed, is_damage, unseal_record
from ..rows import rows_of
from .changes import facets_in
from .kinds import Kinds
from .query import ARMS_MAX, IN_FLIGHT, KINDS, Clause, Query, Way

# A set of so many actors is read whole and sorted.
SORTED_MAX = 10_000
# By creation, the rows of actors lie together. In another order each may be on a page of its own, and the log of an
# actor always is: then fewer are examined for the same time.
EXAMINED_APART_MAX = EXAMINED_MAX // 4
EXAMINED_IN_FLIGHT_MAX = EXAMINED_MAX // 8


class Asked(NamedTuple):
    """What is asked for."""

    actor_type: str
    wanted: ListFilter
    order: Order = Order.ID
    behind: Position | None = None


class Found(NamedTuple):
    """The actors of a part of a list, in its order."""

    places: Sequence[tuple[Any, int]]  # what the list is ordered by, and the key
    examined_to: tuple[Any, int] | None  # more may follow behind this one; None: this is the end


def read_page(asked: Asked, limit: int, kinds: Kinds, unsealed: Unsealed, connection: sqlite3.Connection) -> ListPage:
    """Read a page of a list; see `Store.list`."""
    with snapshot(connection):
        query = _query(asked, kinds)
        if not query.kinds:
            return ListPage((), None)
        found = _find(query, limit, connection)
        listed = _listed(query, [key for _, key in found.places], kinds, unsealed, connection)
    if found.examined_to is None:
        return ListPage(listed, None)
    return ListPage(listed, cursor_of(Position(query.order.value, *found.examined_to)))


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Let all reads of the block see the same commits, from here on."""
    connection.execute("BEGIN")
    with connection:
        connection.execute("SELECT 1 FROM meta LIMIT 1").fetchall()  # BEGIN alone begins no snapshot
        yield


def _query(asked: Asked, kinds: Kinds) -> Query:
    """Look up the kinds. Inside a snapshot, which then has no kind that is not known here."""
    total = len(kinds)
    matching = kinds.matching(asked.actor_type, asked.wanted)
    return Query(
        actor_type=asked.actor_type,
        wanted=asked.wanted,
        kinds=tuple(matching),
        all_kinds=len(matching) == total,
        order=asked.order,
        behind=asked.behind,
    )


def _batches(kinds: Sequence[int]) -> Sequence[Sequence[int]]:
    return [kinds[begin : begin + ARMS_MAX] for begin in range(0, len(kinds), ARMS_MAX)]


def _find(query: Query, limit: int, connection: sqlite3.Connection) -> Found:
    """Choose the way to a page, and go it.

    A way in order that fulfils the whole filter is best. Where something is left to ask of each row, a set that is
    known to be short is better: few of the rows of the way in order may be wanted.
    """
    conditions = query.conditions()
    way = _way_in_order(query)
    if conditions.keys() - way.fulfils and (short := _short_set(query, connection)) is not None:
        return _sorted(query, short, conditions, limit, connection)
    examined_max = _examined_max(query, conditions.keys() - way.fulfils)
    if query.order is Order.ID or KINDS not in way.fulfils:
        return _in_order(way, conditions, limit, examined_max, connection)
    ways = [query.in_order(kinds) for kinds in _batches(query.kinds)]
    parts = [_in_order(way, conditions, limit, examined_max // len(ways) + 1, connection) for way in ways]
    return _merged(parts, limit, descending=query.order.descending)


def _examined_max(query: Query, left: Set[str]) -> int:
    """How many actors a page may examine, of which these conditions must be asked."""
    if IN_FLIGHT in left:
        return EXAMINED_IN_FLIGHT_MAX
    return EXAMINED_MAX if query.order in (Order.CREATED, Order.NEWEST) else EXAMINED_APART_MAX


def _way_in_order(query: Query) -> Way:
    if query.order is Order.ID:
        return query.by_id()
    if query.column == "created_us":
        for name in query.wanted.tags:
            return query.tagged_in_order(name)
        if query.wanted.parent is not None:
            return query.children_in_order()
    return query.in_order(query.kinds[:ARMS_MAX])


def _short_set(query: Query, connection: sqlite3.Connection) -> Way | None:
    """The smallest set that is no larger than SORTED_MAX."""
    best, size = None, SORTED_MAX + 1
    for way in query.sets():
        found = _size(way, size, connection)
        if found < size:
            best, size = way, found
    return best


def _size(way: Way, most: int, connection: sqlite3.Connection) -> int:
    """How many actors a way yields; it stops at `most`."""
    sql = f"SELECT count(*) FROM (SELECT 1 FROM ({way.sql}) LIMIT ?)"  # noqa: S608  values are bound
    size: int = connection.execute(sql, [*way.values, most]).fetchone()[0]
    return size


def _sorted(
    query: Query, way: Way, conditions: Mapping[str, Clause], limit: int, connection: sqlite3.Connection
) -> Found:
    """Read a set to its end, and sort it."""
    rest, values = _where(conditions, way)
    direction, key = query.direction, "f.key"
    if query.order is Order.ID:
        column, key = "a.id", "0"
        join = " CROSS JOIN actors AS a ON a.key = f.key"
    else:
        column, join = f"f.{query.column}", ""
    behind = ""
    if query.behind is not None:
        behind = f" AND ({column}, {key}) {'<' if query.order.descending else '>'} (?, ?)"
        values = [*values, *query.behind.at]
    rows = connection.execute(
        f"SELECT {column} AS at, f.key FROM ({way.sql}) AS d CROSS JOIN facets AS f ON f.key = d.key{join}"  # noqa: S608
        f" WHERE {rest}{behind} ORDER BY at {direction}, f.key {direction} LIMIT ?",
        [*way.values, *values, limit + 1],
    ).fetchall()
    return _page(rows, limit)


def _in_order(
    way: Way, conditions: Mapping[str, Clause], limit: int, examined_max: int, connection: sqlite3.Connection
) -> Found:
    """Go along a way in order until the page is full, or `examined_max` actors have been examined."""
    rest, values = _where(conditions, way)
    # No ORDER BY outside: with CROSS JOIN, SQLite takes the rows of the way as they come, and stops at the limit.
    sql = (
        f"SELECT d.at, d.key FROM ({way.sql} LIMIT ?) AS d CROSS JOIN facets AS f ON f.key = d.key"  # noqa: S608
        f" WHERE {rest} LIMIT ?"
    )
    rows = connection.execute(sql, [*way.values, examined_max, *values, limit + 1]).fetchall()
    if len(rows) > limit:
        return _page(rows, limit)
    last = connection.execute(
        f"SELECT at, key FROM ({way.sql} LIMIT 2 OFFSET ?)",  # noqa: S608
        [*way.values, examined_max - 1],
    ).fetchall()
    return Found(rows, last[0] if len(last) == 2 else None)


def _page(rows: Sequence[tuple[Any, int]], limit: int) -> Found:
    return Found(rows[:limit], rows[limit - 1] if len(rows) > limit else None)


def _where(conditions: Mapping[str, Clause], way: Way) -> tuple[str, Sequence[Any]]:
    """The conditions that a way leaves to be asked of each row."""
    left = [condition for name, condition in conditions.items() if name not in way.fulfils]
    return " AND ".join(["1", *(each.sql for each in left)]), [value for each in left for value in each.values]


def _merged(parts: Sequence[Found], limit: int, *, descending: bool) -> Found:
    """Merge parts of a list. Nothing behind the first place up to which one of them was examined is known yet."""
    if len(parts) == 1:
        return parts[0]
    ends = [part.examined_to for part in parts if part.examined_to is not None]
    end = (max if descending else min)(ends, default=None)
    places = sorted((place for part in parts for place in part.places), reverse=descending)
    if end is not None:
        places = [each for each in places if (each >= end if descending else each <= end)]
    if len(places) > limit:
        return Found(places[:limit], places[limit - 1])
    return Found(places, end)


def _listed(
    query: Query, keys: Sequence[int], kinds: Kinds, unsealed: Unsealed, connection: sqlite3.Connection
) -> Sequence[Listed]:
    """Read what a list shows of actors, in their order."""
    found: dict[int, Listed] = {}
    for sql, values in rows_of(f"{ROWS} (VALUES ", 1, keys, ")"):
        for key, id_, record, kind, *facets in _readable(sql, values, connection):
            if (seen := facets_in(kinds, kind, *facets)) is None:
                continue
            position = place(query.order, key, id_, seen)
            try:
                sound = unseal_record(key, query.actor_type, id_, record, unsealed)
            except Damaged:
                sound = b""
            found[key] = Listed(id_, seen, sound, position)
    return [found[key] for key in keys if key in found]


def _readable(sql: str, keys: Sequence[Any], connection: sqlite3.Connection) -> Sequence[tuple[Any, ...]]:
    """Read the rows of these keys; if SQLite cannot, those that it can."""
    try:
        return connection.execute(sql, keys).fetchall()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
    rows: list[tuple[Any, ...]] = []
    for key in keys:
        with suppress(sqlite3.Error):
            rows += connection.execute(f"{ROWS} (?)", (key,)).fetchall()
    return rows


ROWS = (
    # A record that is no blob any more is none that was written.
    "SELECT a.key, a.id, CAST(a.record AS BLOB), f.kind, f.created_us, f.updated_us, f.ended_us, f.parent, f.tags"
    " FROM facets AS f CROSS JOIN actors AS a ON a.key = f.key WHERE f.key IN"
)


# Counts.


def read_counts(asked: Asked, kinds: Kinds, connection: sqlite3.Connection) -> tuple[Mapping[int, int], bool]:
    """Count what counters do not know; see `Store.count`.

    Returns:
        How many actors there are of each kind, and whether the count stopped at its limit.
    """
    with snapshot(connection):
        query = _query(asked, kinds)
        if not query.kinds:
            return {}, False
        way = _way_to_count(query, connection)
        rest, values = _where(query.conditions(), way)
        found = connection.execute(
            "SELECT kind, count(*) FROM (SELECT f.kind"  # noqa: S608  values are bound
            f" FROM (SELECT key FROM ({way.sql}) LIMIT ?) AS d CROSS JOIN facets AS f ON f.key = d.key WHERE {rest})"
            " GROUP BY kind",
            [*way.values, COUNTED_MAX, *values],
        ).fetchall()
        return dict(found), _size(way, COUNTED_MAX + 1, connection) > COUNTED_MAX


def _way_to_count(query: Query, connection: sqlite3.Connection) -> Way:
    """The smallest set. Of sets that are too large, one that leaves nothing to ask: what it has counted is right."""
    conditions = query.conditions()
    best, size = query.of_kinds(), COUNTED_MAX + 1
    for way in query.sets():
        found = _size(way, COUNTED_MAX + 1, connection)
        if found < size or (found == size and not conditions.keys() - way.fulfils):
            best, size = way, found
    return best
