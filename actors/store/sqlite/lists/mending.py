"""Opening a store whose lists are damaged.

The rule: lists follow from the actors, so damaged lists are no loss. They are begun anew, and the host fills them like
the lists of an earlier release. The audit does not follow from other rows, and is not changed.

`actors/store/sqlite/store.py` calls it when it opens a file, before any write.
"""

import logging
import sqlite3

from .. import schema
from ..damage import is_damage
from .kinds import COUNT

logger = logging.getLogger(__name__)

TABLES = ("kinds", "facets", "tags")
# These statements read every page that a commit may have to change: with an unreadable page, commits would fail. They
# take 0.2 s for a million actors.
PROBES = (
    COUNT,
    "SELECT * FROM kinds",
    "SELECT sum(updated_us & 1) FROM facets NOT INDEXED",
    "SELECT count(*) FROM facets INDEXED BY facets_updated WHERE kind > 0",
    "SELECT count(*) FROM facets INDEXED BY facets_parent WHERE parent IS NOT NULL",
    "SELECT count(*) FROM tags",
)


def are_damaged(connection: sqlite3.Connection, path: str) -> bool:
    """Whether the tables of lists cannot be read or written."""
    try:
        for probe in PROBES:
            connection.execute(probe).fetchall()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        logger.error(
            "the lists of %s are damaged (%s) and are made anew from its actors; until that is done, lists and counts "
            "are refused. All else works",
            path,
            error,
        )
        return True
    return False


def begin_anew(connection: sqlite3.Connection) -> None:
    """Replace the tables of lists by empty ones. The caller holds the transaction."""
    # To drop a table, SQLite would read all its pages. So only its definition is deleted; later the file is rewritten.
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany("DELETE FROM sqlite_master WHERE tbl_name = ?", [(table,) for table in TABLES])
    connection.execute("PRAGMA writable_schema = RESET")
    for statement in schema.LISTS:
        connection.execute(statement)
    connection.execute(
        "UPDATE meta SET value = (SELECT coalesce(max(key), 0) FROM actors) WHERE name = ?", (schema.UNLISTED_KEY,)
    )
    connection.execute("UPDATE meta SET value = 0 WHERE name = ?", (schema.LISTED_KEY,))
