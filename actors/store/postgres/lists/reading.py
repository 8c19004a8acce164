"""Reading lists, counts and the audit from a store on PostgreSQL.

The rule: a page costs what it examines, and it examines `EXAMINED_MAX` actors at most, whatever is asked for and
however many actors there are. Nothing is sorted but what is known to be short. All that a page is made of is read from
one snapshot.

`actors/store/postgres/store.py` has a session of its own for it, so that a load of an actor does not wait for a list.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from ...audit import ORDER, Audited, AuditFilter, AuditPage
from ...cursor import Position, cursor_of
from ...listing import COUNTED_MAX, EXAMINED_MAX, Listed, ListPage, Order, matches_kind, place
from ...sqlite.checksums import Damaged, unseal_record
from ...sqlite.lists.auditing import unseal_audit
from ...sqlite.lists.query import IN_FLIGHT, KINDS, Clause, Way
from ...sqlite.lists.reading import Asked, Found
from ..driver import DatabaseSession, Row, Statement, pairs_of
from ..kinds import KindNumbers
from ..reading import ALL_SEALED, facets_in
from ..statements import BEGIN_READING, END_READING
from ..statements import KINDS as READ_KINDS
from .query import ARMS_MAX, ListQuery, in_kinds, numbered

# A set of so many actors is read whole and sorted.
SORTED_MAX = 10_000
# By creation, the rows of actors lie together. In another order each may be on a page of its own, and the log of an
# actor always is: then fewer are examined for the same time.
EXAMINED_APART_MAX = EXAMINED_MAX // 4
EXAMINED_IN_FLIGHT_MAX = EXAMINED_MAX // 8


NONE_LISTED: Sequence[Listed] = ()


async def read_page(asked: Asked, limit: int, kinds: KindNumbers, session: DatabaseSession) -> ListPage:
    """Read a page of a list; see `Store.list`."""
    await session.run(BEGIN_READING)
    query = await _query(asked, kinds, session)
    found, listed = Found((), None), NONE_LISTED
    if query.kinds:
        found = await _find(query, limit, session)
        listed = await _listed(query, [key for _, key in found.places], kinds, session)
    await session.run(END_READING)
    if found.examined_to is None:
        return ListPage(listed, None)
    return ListPage(listed, cursor_of(Position(query.order.value, *found.examined_to)))


async def _query(asked: Asked, kinds: KindNumbers, session: DatabaseSession) -> ListQuery:
    """Look up the kinds, also those that another host has brought."""
    kinds.learn(await session.run(READ_KINDS))
    matching = [
        number
        for number, kind in kinds.all.items()
        if kind.type == asked.actor_type and matches_kind(asked.wanted, kind.status, kind.name, root=kind.root)
    ]
    return ListQuery(
        actor_type=asked.actor_type,
        wanted=asked.wanted,
        kinds=matching,
        or_kinds=in_kinds(asked.wanted.or_statuses, [(number, kind.status) for number, kind in kinds.all.items()]),
        all_kinds=len(matching) == len(kinds.all),
        order=asked.order,
        behind=asked.behind,
    )


async def _rows(session: DatabaseSession, sql: str, values: Sequence[Any]) -> Sequence[Row]:
    return await session.run(Statement("list", numbered(sql)), values)


async def _find(query: ListQuery, limit: int, session: DatabaseSession) -> Found:
    """Choose the way to a page, and go it.

    A way in order that fulfils the whole filter is best. Where something is left to ask of each row, a set that is
    known to be short is better: few of the rows of the way in order may be wanted.
    """
    conditions = query.conditions()
    way = _way_in_order(query)
    if conditions.keys() - way.fulfils and (short := await _short_set(query, session)) is not None:
        return await _sorted(query, short, conditions, limit, session)
    examined_max = _examined_max(query, conditions.keys() - way.fulfils)
    if query.order is Order.ID or KINDS not in way.fulfils:
        return await _in_order(query, way, conditions, limit, examined_max, session)
    batches = [query.kinds[begin : begin + ARMS_MAX] for begin in range(0, len(query.kinds), ARMS_MAX)]
    parts = [
        await _in_order(query, query.in_order(batch), conditions, limit, examined_max // len(batches) + 1, session)
        for batch in batches
    ]
    return _merged(parts, limit, descending=query.order.descending)


def _examined_max(query: ListQuery, left: Set[str]) -> int:
    """How many actors a page may examine, of which these conditions must be asked."""
    if IN_FLIGHT in left:
        return EXAMINED_IN_FLIGHT_MAX
    return EXAMINED_MAX if query.order in (Order.CREATED, Order.NEWEST) else EXAMINED_APART_MAX


def _way_in_order(query: ListQuery) -> Way:
    if query.order is Order.ID:
        return query.by_id()
    if query.column == "created_us":
        for name in query.wanted.tags:
            return query.tagged_in_order(name)
        if query.wanted.parent is not None:
            return query.children_in_order()
    return query.in_order(query.kinds[:ARMS_MAX])


async def _short_set(query: ListQuery, session: DatabaseSession) -> Way | None:
    """The smallest set that is no larger than SORTED_MAX."""
    best, size = None, SORTED_MAX + 1
    for way in query.sets():
        found = await _size(way, size, session)
        if found < size:
            best, size = way, found
    return best


async def _size(way: Way, most: int, session: DatabaseSession) -> int:
    """How many actors a way yields; it stops at `most`."""
    sql = f"SELECT count(*) FROM (SELECT 1 FROM ({way.sql}) AS w LIMIT ?) AS s"
    ((size,),) = await _rows(session, sql, [*way.values, most])
    return int(size)


async def _sorted(
    query: ListQuery, way: Way, conditions: Mapping[str, Clause], limit: int, session: DatabaseSession
) -> Found:
    """Read a set to its end, and sort it."""
    rest, values = _where(conditions, way)
    column, key = f"d.{query.column}", "0" if query.order is Order.ID else "d.key"
    if query.behind is not None:
        side = "<" if query.order.descending else ">"
        if query.order is Order.ID:
            rest, values = f"{rest} AND d.id > ?", [*values, query.behind.value]
        else:
            rest = f"{rest} AND ({column}, {key}) {side} (?::bigint, ?::bigint)"
            values = [*values, *query.behind.at]
    rows = await _rows(
        session,
        f"SELECT {column} AS at, d.key FROM ({way.sql}) AS d WHERE {rest}"
        f" ORDER BY {column} {query.direction}, d.key {query.direction} LIMIT ?",
        [*way.values, *values, limit + 1],
    )
    return _page(rows, limit)


async def _in_order(
    query: ListQuery,
    way: Way,
    conditions: Mapping[str, Clause],
    limit: int,
    examined_max: int,
    session: DatabaseSession,
) -> Found:
    """Go along a way in order until the page is full, or `examined_max` actors have been examined."""
    rest, values = _where(conditions, way)
    direction = query.direction
    rows = await _rows(
        session,
        f"SELECT d.at, d.key FROM ({way.sql} LIMIT ?) AS d WHERE {rest}"
        f" ORDER BY d.at {direction}, d.key {direction} LIMIT ?",
        [*way.values, examined_max, *values, limit + 1],
    )
    if len(rows) > limit:
        return _page(rows, limit)
    last = await _rows(
        session,
        f"SELECT d.at, d.key FROM ({way.sql} LIMIT 2 OFFSET ?) AS d ORDER BY d.at {direction}, d.key {direction}",
        [*way.values, examined_max - 1],
    )
    return Found(_places(rows), _place(last[0]) if len(last) == 2 else None)


def _page(rows: Sequence[Row], limit: int) -> Found:
    return Found(_places(rows[:limit]), _place(rows[limit - 1]) if len(rows) > limit else None)


def _places(rows: Sequence[Row]) -> list[tuple[Any, int]]:
    return [_place(row) for row in rows]


def _place(row: Row) -> tuple[Any, int]:
    return row[0], row[1]


def _where(conditions: Mapping[str, Clause], way: Way) -> tuple[str, Sequence[Any]]:
    """The conditions that a way leaves to be asked of each row."""
    left = [condition for name, condition in conditions.items() if name not in way.fulfils]
    return " AND ".join(["true", *(each.sql for each in left)]), [value for each in left for value in each.values]


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


LISTED = (
    "SELECT a.key, a.id, a.record, a.kind, a.created_us, a.updated_us, a.ended_us, a.parent, a.tags"
    " FROM actors AS a WHERE a.key = ANY(?::bigint[])"
)


async def _listed(
    query: ListQuery, keys: Sequence[int], kinds: KindNumbers, session: DatabaseSession
) -> Sequence[Listed]:
    """Read what a list shows of actors, in their order."""
    found: dict[int, Listed] = {}
    for key, id_, record, kind, *facets in await _rows(session, LISTED, [list(keys)]):
        if (seen := facets_in(kinds, kind, *facets)) is None:
            continue
        try:
            sound = unseal_record(key, query.actor_type, id_, record, ALL_SEALED)
        except Damaged:
            sound = b""
        found[key] = Listed(id_, seen, sound, place(query.order, key, id_, seen))
    return [found[key] for key in keys if key in found]


# Counts.

TALLIED = "SELECT kind, sum(more), count(*) FROM tallies GROUP BY kind"


async def read_tallies(session: DatabaseSession) -> tuple[Mapping[int, int], int]:
    """How many actors there are of each kind; and how many rows say so."""
    rows = await session.run(Statement("tallied", TALLIED))
    return {kind: int(total) for kind, total, _ in rows}, sum(count for _, _, count in rows)


async def read_counts(asked: Asked, kinds: KindNumbers, session: DatabaseSession) -> tuple[Mapping[int, int], bool]:
    """Count what the tallies do not say; see `Store.count`.

    Returns:
        How many actors there are of each kind, and whether the count stopped at its limit.
    """
    await session.run(BEGIN_READING)
    query = await _query(asked, kinds, session)
    found: Mapping[int, int] = {}
    more = False
    if query.kinds:
        way = await _way_to_count(query, session)
        rest, values = _where(query.conditions(), way)
        sql = f"SELECT d.kind, count(*) FROM ({way.sql} LIMIT ?) AS d WHERE {rest} GROUP BY d.kind"
        found = pairs_of(await _rows(session, sql, [*way.values, COUNTED_MAX, *values]))
        more = await _size(way, COUNTED_MAX + 1, session) > COUNTED_MAX
    await session.run(END_READING)
    return found, more


async def _way_to_count(query: ListQuery, session: DatabaseSession) -> Way:
    """The smallest set. Of sets that are too large, one that leaves nothing to ask: what it has counted is right."""
    conditions = query.conditions()
    best, size = query.of_kinds(), COUNTED_MAX + 1
    for way in query.sets():
        found = await _size(way, COUNTED_MAX + 1, session)
        if found < size or (found == size and not conditions.keys() - way.fulfils):
            best, size = way, found
    return best


# The audit.


async def read_audit(wanted: AuditFilter, behind: Position | None, limit: int, session: DatabaseSession) -> AuditPage:
    """Read a page of the audit; see `Store.audit`."""
    given = (("id = ?", wanted.id), ("at_us >= ?", wanted.since_us), ("at_us < ?", wanted.until_us))
    ranged = [(sql, value) for sql, value in given if value is not None]
    range_, values = ["true", *(sql for sql, _ in ranged)], [value for _, value in ranged]
    if behind is not None:
        range_.append("(at_us, number) < (?::bigint, ?::bigint)")
        values += behind.at
    way = (
        f"SELECT at_us, number, id, action, author FROM audit WHERE {' AND '.join(range_)}"
        " ORDER BY at_us DESC, number DESC LIMIT ?"
    )
    left = [
        (sql, value)
        for sql, value in (("action = ?", wanted.action), ("author = ?", wanted.author))
        if value is not None
    ]
    where = " AND ".join(["true", *(sql for sql, _ in left)])
    await session.run(BEGIN_READING)
    rows = await _rows(
        session,
        f"SELECT at_us, number FROM ({way}) AS d WHERE {where} ORDER BY at_us DESC, number DESC LIMIT ?",
        [*values, EXAMINED_MAX, *(value for _, value in left), limit + 1],
    )
    last: Sequence[Row] = ()
    if len(rows) <= limit:
        last = await _rows(session, f"{way} OFFSET ?", [*values, 2, EXAMINED_MAX - 1])
    audited = await _audited([number for _, number in rows[:limit]], session)
    await session.run(END_READING)
    if len(rows) > limit:
        return AuditPage(audited, cursor_of(audited[-1].position))
    return AuditPage(audited, cursor_of(Position(ORDER, last[0][0], last[0][1])) if len(last) == 2 else None)


AUDITED = "SELECT a.number, a.at_us, a.id, a.action, a.author, a.body FROM audit AS a WHERE a.number = ANY(?::bigint[])"


async def _audited(numbers: Sequence[int], session: DatabaseSession) -> Sequence[Audited]:
    found: dict[int, Audited] = {}
    for number, at_us, id_, action, author, blob in await _rows(session, AUDITED, [list(numbers)]):
        body = unseal_audit(at_us, id_, action, author, blob) or b""
        found[number] = Audited(at_us, id_, action, author, body, Position(ORDER, at_us, number))
    return [found[number] for number in numbers if number in found]
