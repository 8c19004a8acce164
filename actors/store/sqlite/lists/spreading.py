"""Copying the tables of lists, and the audit, from the files of a store to files for another number of hosts.

The rule: each new file has its own numbers of kinds and keys of actors. An unfinished fill begins anew: rows that exist
already stay.

`actors/store/sqlite/layout.py` copies the other tables first, and these with the same function.
"""

import sqlite3
from collections.abc import Sequence

from .. import schema
from .filling import Filling

# As in `actors/store/sqlite/layout.py`: the first statement reads rows with names instead of keys, and the second
# writes a row. The id of the row's actor is its last value.
COPIED = (
    (
        "SELECT k.status, k.name, k.root, f.created_us, f.updated_us, f.ended_us, f.parent, f.tags, a.type, a.id"
        " FROM facets AS f CROSS JOIN kinds AS k USING (kind) CROSS JOIN actors AS a ON a.key = f.key ORDER BY f.key",
        "INSERT INTO facets (key, kind, created_us, updated_us, ended_us, parent, tags)"
        " SELECT a.key, k.kind, ?4, ?5, ?6, ?7, ?8 FROM actors AS a CROSS JOIN kinds AS k"
        " WHERE a.type = ?9 AND a.id = ?10 AND (k.type, k.status, k.name, k.root) = (?9, ?1, ?2, ?3)",
    ),
    (
        "SELECT t.name, t.value, t.created_us, a.type, a.id FROM tags AS t CROSS JOIN actors AS a ON a.key = t.key",
        "INSERT INTO tags (name, value, created_us, key) SELECT ?, ?, ?, key FROM actors WHERE type = ? AND id = ?",
    ),
    (
        "SELECT at_us, action, author, body, id FROM audit ORDER BY number",
        "INSERT INTO audit (at_us, action, author, body, id) VALUES (?, ?, ?, ?, ?)",
    ),
)
COUNTED = ("facets", "tags", "audit")


def copy_kinds(old: sqlite3.Connection, new: Sequence[sqlite3.Connection]) -> None:
    """Give every new file the kinds of an old one, each under a number of the new file's own."""
    for kind in old.execute("SELECT type, status, name, root FROM kinds ORDER BY kind"):
        for connection in new:
            connection.execute("INSERT OR IGNORE INTO kinds (type, status, name, root) VALUES (?, ?, ?, ?)", kind)


def is_filled(old: sqlite3.Connection, path: str, *, version: int) -> bool:
    """Whether an old file has the facets of all of its actors."""
    return version >= schema.VERSION_OF_LISTS and Filling.of(old, path).done


def fill_again(new: sqlite3.Connection) -> None:
    """Let the first host of a new file fill its lists."""
    new.execute(
        "UPDATE meta SET value = (SELECT coalesce(max(key), 0) FROM actors) WHERE name = ?", (schema.UNLISTED_KEY,)
    )
