"""Opening a store with a damaged page that opening or commits need.

The rule: a damaged page affects only the actors whose rows it held. New rows go to the last page of a table and to its
index; if these cannot be read, no row can be written, and the store would not open. Then the readable rows are put into
a new table. An unreadable row becomes an empty row, so that its actor is found damaged when it is read
(`actors/store/tables/checksums.py`). The index shows which rows existed. A damaged index is made anew from a sound
table. Unreadable reminders and active marks follow from the history: each actor is marked, so that it sets its
reminders again when it is woken.

The damaged file is kept beside the store. `actors/store/sqlite/store.py` opens files with this module.
"""

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from ..errors import StoreFailed
from . import schema
from .damage import is_damage
from .identity import MODE, Hold

logger = logging.getLogger(__name__)

COPIED_BYTES = 1024 * 1024  # copied at once


@dataclass(frozen=True, slots=True, kw_only=True)
class SalvagedTable:
    """A table that is read although a page is damaged."""

    name: str
    said: str  # the damage, for people
    parts: tuple[str, ...]  # the beginnings of its statements in `schema.TABLES`
    probes: tuple[str, ...]  # statements that read each page that a commit may need
    columns: tuple[str, ...]  # its own key first; the key of the actor is `key`
    indexed: int  # how many of the columns, from the first on, its index has
    index: str
    blank: tuple[object, ...]  # the values of the other columns, for an unreadable row
    # The consequence for these rows, and the remedy.
    cost: str = "These actors are stalled, and all others go on"
    remedy: str = "names the actors; purge them"

    @property
    def rescued(self) -> str:
        """The name of a temporary table."""
        return f"rescued_{self.name}"

    def select(self, columns: int, condition: str = "") -> str:
        """A query for the first columns."""
        return f"SELECT {', '.join(self.columns[:columns])} FROM {self.name} {condition}"  # noqa: S608  ours


LOG = SalvagedTable(
    name="log",
    said="the log",
    parts=("CREATE TABLE log ", "CREATE INDEX log_key "),
    probes=("SELECT max(position) FROM log", "SELECT max(key) FROM log INDEXED BY log_key"),
    columns=("position", "key", "at_us", "entry"),
    indexed=2,
    index="log_key",
    blank=(0, b""),
)
# Its whole index is read: new ids may belong to any page of it.
ACTORS = SalvagedTable(
    name="actors",
    said="the table of actors",
    parts=("CREATE TABLE actors ",),
    probes=("SELECT max(key) FROM actors", "SELECT count(*) FROM actors INDEXED BY sqlite_autoindex_actors_1"),
    columns=("key", "type", "id", "record"),
    indexed=3,
    index="sqlite_autoindex_actors_1",
    blank=(b"",),
)


ITEMS = SalvagedTable(
    name="items",
    said="the table of items",
    parts=("CREATE TABLE items ", "CREATE UNIQUE INDEX items_name ", "CREATE INDEX items_expires "),
    probes=(
        "SELECT max(number) FROM items",
        "SELECT count(*) FROM items INDEXED BY items_name",
        "SELECT count(*) FROM items INDEXED BY items_expires WHERE expires_us > 0",
    ),
    columns=("number", "key", "name", "version", "expires_us", "value"),
    indexed=3,
    index="items_name",
    blank=(0, 0, b""),
    cost="These values are not served, and all others are",
    remedy="names the values; save them anew",
)
SALVAGED = (LOG, ACTORS, ITEMS)


# Tables that follow from the history.
DERIVED = {"active": "SELECT count(key + 1) FROM active", "reminders": "SELECT count(due_us + 1) FROM reminders"}


def highest_position(connection: sqlite3.Connection) -> int:
    """The highest position of the log; 0 for an empty log. If its last page cannot be read, the index is used.

    Raises:
        sqlite3.Error: Neither the log nor its index can be read.
    """
    try:
        (position,) = connection.execute("SELECT coalesce(max(position), 0) FROM log").fetchone()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        listed: list[tuple[Any, ...]] = _indexed(connection, LOG)
        position = max((each for each, *_ in listed), default=0)
    assert isinstance(position, int)
    return position


def damaged_in(connection: sqlite3.Connection, version: int) -> list[SalvagedTable]:
    """The tables of a file of `version` to which no row can be added, because a needed page cannot be read."""
    tables = SALVAGED if version >= schema.VERSION_OF_ITEMS else (LOG, ACTORS)
    return [table for table in tables if not all(_works(connection, probe) for probe in table.probes)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """The tables of DERIVED that are made anew."""

    tables: Sequence[str]
    reminders: Sequence[tuple[object, ...]]  # the readable reminders


def derived_damaged_in(connection: sqlite3.Connection, path: str) -> Derived | None:
    """The tables of DERIVED that cannot be read; None if all can. Not in a transaction: a damaged page would end it."""
    tables = [table for table, probe in DERIVED.items() if not _works(connection, probe)]
    if not tables:
        return None
    logger.error(
        "a table of %s is damaged (%s) and is made anew: each instance is woken once, and sets its timers again",
        path,
        " and ".join(tables),
    )
    kept = [*_reminders(connection, "ASC"), *_reminders(connection, "DESC")] if "reminders" in tables else []
    return Derived(tables=tables, reminders=kept)


def derive(connection: sqlite3.Connection, derived: Derived) -> None:
    """Make tables of DERIVED anew, and mark all actors. The caller holds the transaction."""
    for table in {*derived.tables, "active"}:
        _forget(connection, table)
        _create(connection, f"CREATE TABLE {table} ")
    connection.executemany("INSERT OR IGNORE INTO reminders (due_us, key, name) VALUES (?, ?, ?)", derived.reminders)
    connection.execute("INSERT INTO active SELECT key FROM actors")


def _reminders(connection: sqlite3.Connection, order: str) -> Iterator[tuple[object, ...]]:
    """Yield the reminders from one end up to the first unreadable page."""
    with suppress(sqlite3.DatabaseError):
        by = f"due_us {order}, key {order}, name {order}"
        for row in connection.execute(f"SELECT due_us, key, name FROM reminders ORDER BY {by}"):  # noqa: S608  ours
            if [type(value) for value in row] == [int, int, str]:
                yield row


def _works(connection: sqlite3.Connection, probe: str) -> bool:
    try:
        connection.execute(probe).fetchall()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return False
    return True


def keep_copy(hold: Hold) -> str:
    """Copy the damaged file, and return the name of the copy.

    It is read through the hold's own descriptor: opening and closing the file would drop SQLite's locks.

    Raises:
        StoreFailed: The file cannot be copied; nothing was changed.
    """
    names = (f"{hold.path}.damaged-{number}" for number in count(1))
    path = next(name for name in names if not os.path.lexists(name))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        try:
            offset = 0
            while content := hold.read(offset, COPIED_BYTES):
                offset += os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        with suppress(OSError):
            os.unlink(path)
        raise StoreFailed(
            f"{hold.path} is damaged, and cannot be copied before it is mended: {error.strerror}. "
            f"Make room, or restore a backup with `perdure store restore`."
        ) from error
    return path


def rescue(connection: sqlite3.Connection, hold: Hold, tables: Sequence[SalvagedTable]) -> None:
    """Read the readable rows of tables into temporary tables, and copy the damaged file.

    Not in a transaction: a damaged page would end it.

    Raises:
        sqlite3.Error: A table and its index cannot be read.
        StoreFailed: The file cannot be copied. Nothing was changed.
    """
    found = [(table, *_rescue(connection, table)) for table in tables]
    copy = keep_copy(hold)
    for table, rows, actors in found:
        logger.error(
            "%s of %s is damaged: %d rows of %d actors cannot be read any more. %s. The file as it was is %s. "
            "`perdure store check` %s, or restore a backup with `perdure store restore`",
            table.said,
            hold.path,
            rows,
            actors,
            table.cost,
            copy,
            table.remedy,
        )


def _rescue(connection: sqlite3.Connection, table: SalvagedTable) -> tuple[int, int]:
    """Read a table row by row, in the order of its index; the whole table at once if the index is damaged.

    Returns:
        The number of unreadable rows, and the number of their actors.
    """
    own, *others = table.columns
    connection.execute(f"CREATE TEMP TABLE {table.rescued} ({own} INTEGER PRIMARY KEY, {', '.join(others)})")
    try:
        listed = _indexed(connection, table)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        everything = table.select(len(table.columns), "NOT INDEXED")
        connection.execute(f"INSERT INTO temp.{table.rescued} {everything}")
        return 0, 0
    lost: list[object] = []
    values = ", ".join("?" * len(table.columns))
    for known in listed:
        row = _readable(connection, table, known)
        if row is None:
            lost.append(known[table.columns.index("key")])
        connection.execute(
            f"INSERT OR IGNORE INTO temp.{table.rescued} VALUES ({values})",  # noqa: S608  ours
            row or (*known, *table.blank),
        )
    return len(lost), len({*lost})


def replace(connection: sqlite3.Connection, table: SalvagedTable) -> None:
    """Replace a table by its rescued rows. The caller holds the transaction."""
    _forget(connection, table.name)
    for part in table.parts:
        _create(connection, part)
    connection.execute(f"INSERT INTO {table.name} SELECT * FROM temp.{table.rescued} ORDER BY 1")  # noqa: S608  ours


def _forget(connection: sqlite3.Connection, table: str) -> None:
    # To drop a table, SQLite would read all its pages. So only its definition is deleted; `tidy` removes its pages.
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("DELETE FROM sqlite_master WHERE tbl_name = ?", (table,))
    connection.execute("PRAGMA writable_schema = RESET")


def _create(connection: sqlite3.Connection, beginning: str) -> None:
    connection.execute(next(sql for sql in schema.TABLES if sql.strip().startswith(beginning)))


def tidy(connection: sqlite3.Connection, path: str) -> None:
    """Write the file anew without unused damaged pages. Without enough free space it stays unchanged."""
    for table in SALVAGED:
        connection.execute(f"DROP TABLE IF EXISTS temp.{table.rescued}")
    try:
        connection.execute("VACUUM")
    except sqlite3.Error as error:
        logger.warning(
            "%s keeps damaged pages that it does not use, which `perdure store check` tells of: %s", path, error
        )


def _indexed(connection: sqlite3.Connection, table: SalvagedTable) -> list[tuple[Any, ...]]:
    """The first columns of every row, from the index."""
    return connection.execute(table.select(table.indexed, f"INDEXED BY {table.index}")).fetchall()


def _readable(
    connection: sqlite3.Connection, table: SalvagedTable, known: tuple[object, ...]
) -> tuple[object, ...] | None:
    """A row; None if it cannot be read, or differs from the index.

    Args:
        known: The first columns of the row, from the index.
    """
    query = table.select(len(table.columns), f"WHERE {table.columns[0]} = ?")
    try:
        row: tuple[object, ...] | None = connection.execute(query, known[:1]).fetchone()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return None
    if row is None or row[: table.indexed] != known:
        return None
    # A value of another type is damaged.
    rest = zip(row[table.indexed :], table.blank, strict=True)
    return row if all(type(value) is type(blank) for value, blank in rest) else None
