"""Checking the tables of lists and the audit of a file.

The rule: every row must belong to an actor and to a kind, and the audit must match its checksums. Only the type of an
actor can check whether its facets are right.

`actors/store/sqlite/maintenance.py` calls it for `perdure store check`.
"""

import sqlite3

from ...tables.auditing import faults_of_audit, unseal_audit

OF_FACETS = "SELECT f.key, f.created_us, json_extract(j.value, '$[0]') AS name, json_extract(j.value, '$[1]') AS value"

# Rows that must not be there, and the words for them.
WRONG = {
    "{} facets belong to no actor; the first has key {}": (
        "SELECT count(*), min(key) FROM facets WHERE key NOT IN (SELECT key FROM actors)"
    ),
    "{} facets are of a kind that is not there; the first has key {}": (
        "SELECT count(*), min(key) FROM facets WHERE kind NOT IN (SELECT kind FROM kinds)"
    ),
    "{} tags are not those of their actor; the first has key {}": (
        "SELECT count(*), min(t.key) FROM tags AS t LEFT JOIN facets AS f ON f.key = t.key"  # noqa: S608  ours
        " WHERE f.created_us IS NOT t.created_us OR f.tags IS NULL"
        f" OR (t.name, t.value) NOT IN (SELECT name, value FROM ({OF_FACETS} FROM json_each(f.tags) AS j))"
    ),
    "{} tags are not found by their names; the first is of key {}": (
        f"SELECT count(*), min(key) FROM ({OF_FACETS} FROM facets AS f, json_each(f.tags) AS j WHERE f.tags NOT NULL)"  # noqa: S608
        " AS own WHERE NOT EXISTS (SELECT 1 FROM tags AS t"
        " WHERE (t.name, t.value, t.created_us, t.key) = (own.name, own.value, own.created_us, own.key))"
    ),
}


def faults_of_lists(connection: sqlite3.Connection) -> list[str]:
    """Check the tables of lists and the audit; a sentence for each fault."""
    found: list[str] = []
    for sentence, sql in WRONG.items():
        count, key = connection.execute(sql).fetchone()
        if count:
            found.append(sentence.format(count, key))
    changed = [
        number
        for number, *row in connection.execute("SELECT number, at_us, id, action, author, body FROM audit")
        if unseal_audit(*row) is None
    ]
    return [*found, *faults_of_audit(changed)]
