"""Reading lists and counts from a store's SQLite file.

The rule: all rows of a page are read from one snapshot, and an unreadable row does not affect the others of its list.
`actors/store/tables/paging.py` makes the queries.

All functions run on a thread of their own, so that a load of an actor does not wait for a list;
`actors/store/sqlite/store.py` sends them there.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from ...listing import Listed, ListPage, place
from ...tables.asking import Asking
from ...tables.checksums import Damaged, Unsealed, unseal_record
from ...tables.facets import facets_in
from ...tables.paging import Asked, count, find, list_page
from ..damage import is_damage
from ..rows import rows_of
from .kinds import Kinds
from .query import SqliteQuery

T = TypeVar("T")


def answer(asking: Asking[T], connection: sqlite3.Connection) -> T:
    """Run the statements of all questions, and return the result. The caller holds the snapshot."""
    try:
        question = next(asking)
        while True:
            question = asking.send(connection.execute(question.sql, question.values).fetchall())
    except StopIteration as end:
        result: T = end.value
        return result


def read_page(asked: Asked, limit: int, kinds: Kinds, unsealed: Unsealed, connection: sqlite3.Connection) -> ListPage:
    """Read a page of a list; see `Store.list`."""
    with snapshot(connection):
        query = _query(asked, kinds)
        found = answer(find(query, limit), connection)
        listed = _listed(query, found.keys, kinds, unsealed, connection)
    return list_page(query.order, found, listed)


def read_counts(asked: Asked, kinds: Kinds, connection: sqlite3.Connection) -> tuple[Mapping[int, int], bool]:
    """Count actors if the counters do not have the count; see `Store.count`.

    Returns:
        Number of the kind -> number of actors; and whether the count stopped at its limit.
    """
    with snapshot(connection):
        return answer(count(_query(asked, kinds)), connection)


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Let all reads of the block see the same commits."""
    connection.execute("BEGIN")
    with connection:
        connection.execute("SELECT 1 FROM meta LIMIT 1").fetchall()  # BEGIN alone begins no snapshot
        yield


def _query(asked: Asked, kinds: Kinds) -> SqliteQuery:
    """Make the query with the matching kinds. Called inside a snapshot, whose kinds are then all known here."""
    total = len(kinds)
    matching = kinds.matching(asked.actor_type, asked.wanted)
    return SqliteQuery(
        actor_type=asked.actor_type,
        wanted=asked.wanted,
        kinds=tuple(matching),
        all_kinds=len(matching) == total,
        order=asked.order,
        behind=asked.behind,
    )


def _listed(
    query: SqliteQuery, keys: Sequence[int], kinds: Kinds, unsealed: Unsealed, connection: sqlite3.Connection
) -> Sequence[Listed]:
    """Read the listed values of actors, in their order."""
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
    """Read the rows of these keys; if SQLite cannot read all of them, the readable ones."""
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
    # A record that is not a blob any more is damaged.
    "SELECT a.key, a.id, CAST(a.record AS BLOB), f.kind, f.created_us, f.updated_us, f.ended_us, f.parent, f.tags"
    " FROM facets AS f CROSS JOIN actors AS a ON a.key = f.key WHERE f.key IN"
)
