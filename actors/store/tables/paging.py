"""Finding the actors of a page or of a count: the way to read, how far to read, and where the next page begins.

The rule: the cost of a page is proportional to the actors that it examines, which are at most `EXAMINED_MAX`, for any
filter and any number of actors. Only lists that are known to be short are sorted.

`actors/store/sqlite/lists/reading.py` and `actors/store/postgres/lists/reading.py` run its statements in their
databases, all in one snapshot.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

from ..cursor import Position, cursor_of
from ..listing import COUNTED_MAX, EXAMINED_MAX, Listed, ListFilter, ListPage, Order
from .asking import Asking, Question, Rows
from .query import IN_FLIGHT, KINDS, Clause, ListQuery, Way

# A set of at most this number of actors is read whole and sorted.
SORTED_MAX = 10_000
# In the order of creation, the rows of actors are close together. In another order each row may be on another page, and
# the log of each actor always is: then fewer actors are examined, so that a page takes the same time.
EXAMINED_APART_MAX = EXAMINED_MAX // 4
EXAMINED_IN_FLIGHT_MAX = EXAMINED_MAX // 8


class Asked(NamedTuple):
    """The filter, the order and the size of a page."""

    actor_type: str
    wanted: ListFilter
    order: Order = Order.ID
    behind: Position | None = None


class Found(NamedTuple):
    """The actors of a part of a list, in its order."""

    places: Sequence[tuple[Any, int]]  # the value by which the list is ordered, and the key
    examined_to: tuple[Any, int] | None  # more actors may follow after this place; None: this is the end

    @property
    def keys(self) -> Sequence[int]:
        """The keys of the actors, in the order of the list."""
        return [key for _, key in self.places]


NONE_FOUND = Found((), None)


def find(query: ListQuery, limit: int) -> Asking[Found]:
    """Choose the way to a page, and read it.

    A way in order that fulfils the whole filter is best. If a condition remains to be checked for each row, a set that
    is known to be short is better, because few rows of the way in order may match.
    """
    if not query.kinds:
        return NONE_FOUND
    conditions = query.conditions()
    way = way_in_order(query)
    left = conditions.keys() - way.fulfils
    if left and (short := (yield from _short_set(query))) is not None:
        return (yield from _sorted(query, short, conditions, limit))
    most = examined_max(query.order, left)
    if query.order is Order.ID or KINDS not in way.fulfils:
        return (yield from _in_order(query, way, conditions, limit, most))
    arms = query.arms_max
    batches = [query.kinds[begin : begin + arms] for begin in range(0, len(query.kinds), arms)]
    parts = []
    for kinds in batches:
        way = query.in_order(kinds)
        parts.append((yield from _in_order(query, way, conditions, limit, most // len(batches) + 1)))
    return merged(parts, limit, descending=query.order.descending)


def count(query: ListQuery) -> Asking[tuple[Mapping[int, int], bool]]:
    """Count actors.

    Returns:
        Number of the kind -> number of actors; and whether the count stopped at its limit.
    """
    if not query.kinds:
        return {}, False
    way = yield from _way_to_count(query)
    where, values = left_to_ask(query.conditions(), way)
    rows = yield Question(query.counted(way, where), [*way.values, COUNTED_MAX, *values])
    size = yield from _size(way, COUNTED_MAX + 1)
    return {row[0]: row[1] for row in rows}, size > COUNTED_MAX


def list_page(order: Order, found: Found, listed: Sequence[Listed]) -> ListPage:
    """Make the page from the actors that were found and read."""
    cursor = None if found.examined_to is None else cursor_of(Position(order.value, *found.examined_to))
    return ListPage(listed, cursor)


def examined_max(order: Order, left: Set[str]) -> int:
    """How many actors a page may examine if these conditions must be checked for each."""
    if IN_FLIGHT in left:
        return EXAMINED_IN_FLIGHT_MAX
    return EXAMINED_MAX if order in (Order.CREATED, Order.NEWEST) else EXAMINED_APART_MAX


def way_in_order(query: ListQuery) -> Way:
    """The way in the order of the list that fulfils the most conditions."""
    if query.order is Order.ID:
        return query.by_id()
    if query.column == "created_us":
        for name in query.wanted.tags:
            return query.tagged_in_order(name)
        if query.wanted.parent is not None:
            return query.children_in_order()
    return query.in_order(query.kinds[: query.arms_max])


def left_to_ask(conditions: Mapping[str, Clause], way: Way) -> tuple[str, Sequence[Any]]:
    """The conditions that a way leaves to be checked for each row."""
    left = [condition for name, condition in conditions.items() if name not in way.fulfils]
    return " AND ".join(["true", *(each.sql for each in left)]), [value for each in left for value in each.values]


def merged(parts: Sequence[Found], limit: int, *, descending: bool) -> Found:
    """Merge parts of a list. The merged list ends at the first place up to which one of the parts was examined."""
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


def _short_set(query: ListQuery) -> Asking[Way | None]:
    """The smallest set of at most SORTED_MAX actors; None if there is none."""
    best, size = None, SORTED_MAX + 1
    for way in query.sets():
        found = yield from _size(way, size)
        if found < size:
            best, size = way, found
    return best


def _way_to_count(query: ListQuery) -> Asking[Way]:
    """The smallest set. If all sets are too large, one that leaves no conditions: then the partial count is right."""
    conditions = query.conditions()
    best, size = query.of_kinds(), COUNTED_MAX + 1
    for way in query.sets():
        found = yield from _size(way, COUNTED_MAX + 1)
        if found < size or (found == size and not conditions.keys() - way.fulfils):
            best, size = way, found
    return best


def _size(way: Way, most: int) -> Asking[int]:
    """How many actors a way yields; it stops at `most`."""
    sql = f"SELECT count(*) FROM (SELECT 1 FROM ({way.sql}) AS w LIMIT ?) AS s"  # noqa: S608  values are bound
    ((size,),) = yield Question(sql, [*way.values, most])
    return int(size)


def _sorted(query: ListQuery, way: Way, conditions: Mapping[str, Clause], limit: int) -> Asking[Found]:
    """Read a set to its end, and sort it."""
    where, values = left_to_ask(conditions, way)
    if (behind := query.place_behind()) is not None:
        where, values = f"{where} AND {behind.sql}", [*values, *behind.values]
    rows = yield Question(query.page_sorted(way, where), [*way.values, *values, limit + 1])
    return _page(rows, limit)


def _in_order(query: ListQuery, way: Way, conditions: Mapping[str, Clause], limit: int, most: int) -> Asking[Found]:
    """Read a way in order until the page is full, or `most` actors were examined."""
    where, values = left_to_ask(conditions, way)
    rows = yield Question(query.page_in_order(way, where), [*way.values, most, *values, limit + 1])
    if len(rows) > limit:
        return _page(rows, limit)
    last = yield Question(query.edge(way), [*way.values, most - 1])
    return Found(_places(rows), _place(last[0]) if len(last) == 2 else None)


def _page(rows: Rows, limit: int) -> Found:
    return Found(_places(rows[:limit]), _place(rows[limit - 1]) if len(rows) > limit else None)


def _places(rows: Rows) -> Sequence[tuple[Any, int]]:
    return [_place(row) for row in rows]


def _place(row: Sequence[Any]) -> tuple[Any, int]:
    return row[0], row[1]
