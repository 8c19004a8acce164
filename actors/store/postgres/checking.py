"""Checking a store on PostgreSQL, while a host may be using it.

The rule: the store is not changed, and all rows are read from one snapshot. The server's own programs check its pages
(`pg_amcheck`, checksums of pages); this module checks whether the rows are undamaged, and whether they agree with each
other.

`cli/store.py` calls it.
"""

from ...address import Address
from ..copying.copying import CopyPlace
from ..errors import StoreDamaged
from ..tables.auditing import faults_of_audit, unseal_audit
from ..tables.checksums import ALL_SEALED, Damaged, unseal_item
from ..tables.expected import Expect, shortened, unlike
from ..tables.reading import stored_of
from .driver import DatabaseSession, Statement
from .exporting import AUDIT, ROWS_AT_ONCE, PostgresSource, snapshot_of
from .url import parse_url

# Rows that must not be there, and the words for them.
WRONG = {
    "{} log entries belong to no actor; the first has key {}": (
        "SELECT count(*), min(l.key) FROM log AS l WHERE l.key > 0"
        " AND NOT EXISTS (SELECT 1 FROM actors AS a WHERE a.key = l.key)"
    ),
    "{} reminders belong to no actor; the first has key {}": (
        "SELECT count(*), min(r.key) FROM reminders AS r"
        " WHERE NOT EXISTS (SELECT 1 FROM actors AS a WHERE a.key = r.key)"
    ),
    "{} items belong to no actor; the first has key {}": (
        "SELECT count(*), min(i.key) FROM items AS i WHERE NOT EXISTS (SELECT 1 FROM actors AS a WHERE a.key = i.key)"
    ),
    "{} actors are of a kind that is not there; the first has key {}": (
        "SELECT count(*), min(a.key) FROM actors AS a WHERE a.kind IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM kinds AS k WHERE k.kind = a.kind)"
    ),
    "{} kinds have another number of actors than their tallies say; the first is kind {}": (
        "SELECT count(*), min(d.kind) FROM (SELECT c.kind FROM"
        " (SELECT kind, count(*)::bigint AS more FROM actors WHERE kind IS NOT NULL GROUP BY kind"
        " UNION ALL SELECT kind, -more FROM tallies) AS c GROUP BY c.kind HAVING sum(c.more) <> 0) AS d"
    ),
    "{} tags are not those of their actor; the first has key {}": (
        "SELECT count(*), min(t.key) FROM tags AS t LEFT JOIN actors AS a ON a.key = t.key"
        " WHERE a.created_us IS DISTINCT FROM t.created_us OR a.tags IS NULL"
        " OR NOT (a.tags::jsonb @> jsonb_build_array(jsonb_build_array(t.name, t.value)))"
    ),
    "{} actors have tags by which they are not found; the first has key {}": (
        "SELECT count(DISTINCT a.key), min(a.key) FROM actors AS a, json_array_elements(a.tags::json) AS e"
        " WHERE a.tags IS NOT NULL AND NOT EXISTS (SELECT 1 FROM tags AS t"
        " WHERE (t.name, t.value, t.created_us, t.key) = (e ->> 0, e ->> 1, a.created_us, a.key))"
    ),
}


async def check(data: str, expect: Expect | None = None) -> list[str]:
    """Check a store.

    Args:
        expect: Returns the reminders and the mark that an actor must have; None: these are not compared.

    Returns:
        A sentence for each fault; empty if the store is sound.

    Raises:
        StoreFailed: There is no store, or it cannot be read.
    """
    async with snapshot_of(parse_url(data)) as source:
        found: list[str] = []
        for sentence, sql in WRONG.items():
            ((count, first),) = await source.session.run(Statement("check", sql))
            if count:
                found.append(sentence.format(count, first))
        rows = [*await _of_actors(source, expect), *await _of_items(source), *await _of_audit(source.session)]
        return [*found, *rows]


async def _of_actors(source: PostgresSource, expect: Expect | None) -> list[str]:
    """Compare every record and entry with its checksum, and each actor's expectations with its other rows."""
    found: list[str] = []
    async for (key, type_, id_, record, active, *_), log, reminders in source.rows(CopyPlace()):
        address = Address(type_, id_)
        stored = stored_of(address, key, record, log, ALL_SEALED, active=active, facets=None)
        if isinstance(stored, StoreDamaged):
            found.append(f"{address}: {stored.reason}")
        elif expect is not None and (expected := expect(address, stored)) is not None:
            found += unlike(address, expected, set(reminders), active=active)
    return shortened(found, "more actors are not what was written")


async def _of_items(source: PostgresSource) -> list[str]:
    """Compare the value of every item with its checksum."""
    found: list[str] = []
    async for key, name, version, expires_us, blob, type_, id_ in source.item_rows(CopyPlace()):
        try:
            unseal_item(key, name, version, expires_us, blob)
        except Damaged as damage:
            found.append(f"{type_}/{id_}: {damage}")
    return shortened(found, "more items are not what was written")


async def _of_audit(session: DatabaseSession) -> list[str]:
    after, changed = -(2**62), []
    while rows := await session.run(AUDIT, (after, ROWS_AT_ONCE)):
        changed += [number for number, *row in rows if unseal_audit(*row) is None]
        after = rows[-1][0]
    return faults_of_audit(changed)
