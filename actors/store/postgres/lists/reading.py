"""Reading lists, counts and the audit from a store on PostgreSQL.

The rule: all rows of a page are read from one snapshot. `actors/store/tables/paging.py` and
`actors/store/tables/auditing.py` make the queries.

`actors/store/postgres/store.py` has a session of its own for it, so that a load of an actor does not wait for a list.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ...audit import AuditFilter, AuditPage
from ...cursor import Position
from ...listing import Listed, ListPage, place
from ...tables.asking import Asking
from ...tables.auditing import AUDIT_COLUMNS, audit_page, find_audited
from ...tables.checksums import ALL_SEALED, Damaged, unseal_record
from ...tables.facets import facets_in
from ...tables.kinds import matching
from ...tables.paging import Asked, count, find, list_page
from ..driver import DatabaseSession, Row, Statement
from ..kinds import KindNumbers
from ..statements import BEGIN_READING, END_READING, KINDS
from .query import PostgresQuery, in_kinds, numbered

T = TypeVar("T")


async def answer(asking: Asking[T], session: DatabaseSession) -> T:
    """Run the statements of all questions, and return the result. The caller holds the snapshot."""
    try:
        question = next(asking)
        while True:
            question = asking.send(await _rows(session, question.sql, question.values))
    except StopIteration as end:
        result: T = end.value
        return result


async def _rows(session: DatabaseSession, sql: str, values: Sequence[Any]) -> Sequence[Row]:
    return await session.run(Statement("list", numbered(sql)), values)


async def read_page(asked: Asked, limit: int, kinds: KindNumbers, session: DatabaseSession) -> ListPage:
    """Read a page of a list; see `Store.list`."""
    await session.run(BEGIN_READING)
    query = await _query(asked, kinds, session)
    found = await answer(find(query, limit), session)
    listed = await _listed(query, found.keys, kinds, session) if found.places else ()
    await session.run(END_READING)
    return list_page(query.order, found, listed)


async def read_counts(asked: Asked, kinds: KindNumbers, session: DatabaseSession) -> tuple[Mapping[int, int], bool]:
    """Count actors if the tallies do not have the count; see `Store.count`.

    Returns:
        Number of the kind -> number of actors; and whether the count stopped at its limit.
    """
    await session.run(BEGIN_READING)
    counted = await answer(count(await _query(asked, kinds, session)), session)
    await session.run(END_READING)
    return counted


async def read_audit(wanted: AuditFilter, behind: Position | None, limit: int, session: DatabaseSession) -> AuditPage:
    """Read a page of the audit; see `Store.audit`."""
    await session.run(BEGIN_READING)
    found = await answer(find_audited(wanted, behind, limit, sort=True), session)
    rows = await _rows(session, AUDITED, [list(found.numbers)])
    await session.run(END_READING)
    return audit_page(found, rows)


AUDITED = f"SELECT {AUDIT_COLUMNS} FROM audit WHERE number = ANY(?::bigint[])"


async def _query(asked: Asked, kinds: KindNumbers, session: DatabaseSession) -> PostgresQuery:
    """Make the query with all kinds, including kinds that another host has added."""
    kinds.learn(await session.run(KINDS))
    numbers = list(matching(kinds.all, asked.actor_type, asked.wanted))
    return PostgresQuery(
        actor_type=asked.actor_type,
        wanted=asked.wanted,
        kinds=numbers,
        or_kinds=in_kinds(asked.wanted.or_statuses, [(number, kind.status) for number, kind in kinds.all.items()]),
        all_kinds=len(numbers) == len(kinds.all),
        order=asked.order,
        behind=asked.behind,
    )


LISTED = (
    "SELECT a.key, a.id, a.record, a.kind, a.created_us, a.updated_us, a.ended_us, a.parent, a.tags"
    " FROM actors AS a WHERE a.key = ANY(?::bigint[])"
)


async def _listed(
    query: PostgresQuery, keys: Sequence[int], kinds: KindNumbers, session: DatabaseSession
) -> Sequence[Listed]:
    """Read the listed values of actors, in their order."""
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


# Tallies.

TALLIED = Statement("tallied", "SELECT kind, sum(more), count(*) FROM tallies GROUP BY kind")


async def read_tallies(session: DatabaseSession) -> tuple[Mapping[int, int], int]:
    """Number of the kind -> number of actors; and the number of rows of tallies."""
    rows = await session.run(TALLIED)
    return {kind: int(total) for kind, total, _ in rows}, sum(rows_of for _, _, rows_of in rows)
