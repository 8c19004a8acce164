"""Opening a store whose log has lost its last page.

The rule: one damaged page costs the actors whose entries it held, and no others. New entries go to the last page of the
log, so if that cannot be read nothing can be written: the store would not open. What can be read is put into a log of
its own then, and an entry that cannot be read leaves an empty one, so that its actor is found damaged when it is read
(`actors/store/sqlite/checksums.py`). The index of the log has the key and the position of every entry.

The file as it was is kept beside the store. `actors/store/sqlite/store.py` calls
`rescue`, `replace_log` and `tidy`.
"""

import logging
import os
import sqlite3
from contextlib import suppress
from itertools import count

from ..errors import StoreFailed
from . import schema
from .checksums import is_damage
from .identity import MODE, Hold

logger = logging.getLogger(__name__)

COPIED_BYTES = 1024 * 1024  # at once
LOG_PARTS = ("CREATE TABLE log ", "CREATE INDEX log_key ")


def highest_position(connection: sqlite3.Connection) -> int:
    """The highest position of the log; 0 for an empty one. If its last page cannot be read, the index tells.

    Raises:
        sqlite3.Error: Neither can be read.
    """
    try:
        (position,) = connection.execute("SELECT coalesce(max(position), 0) FROM log").fetchone()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        position = max((each for _, each in _indexed(connection)), default=0)
    assert isinstance(position, int)
    return position


def is_damaged(connection: sqlite3.Connection) -> bool:
    """Whether nothing can be added to the log, because its last page cannot be read."""
    try:
        connection.execute("SELECT max(position) FROM log").fetchall()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return True
    return False


def keep_copy(hold: Hold) -> str:
    """Copy the file as it is, and return the name of the copy.

    It is read through the hold's own descriptor: to open the file and close it would drop SQLite's locks.

    Raises:
        StoreFailed: It cannot be copied; nothing was changed.
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
            f"the log of {hold.path} is damaged, and its file cannot be copied before it is mended: {error.strerror}. "
            f"Make room, or restore a backup with `perdure store restore`."
        ) from error
    return path


def rescue(connection: sqlite3.Connection, hold: Hold) -> None:
    """Read what can be read of the log into a temporary table, and copy the file as it is.

    Not in a transaction: a damaged page would end it.

    Raises:
        sqlite3.Error: The index of the log cannot be read either.
        StoreFailed: The file cannot be copied. Nothing was changed.
    """
    connection.execute("CREATE TEMP TABLE rescued (position INTEGER PRIMARY KEY, key, at_us, entry)")
    lost: set[int] = set()
    entries = 0
    for key, position in _indexed(connection):
        row = _readable(connection, key, position)
        if row is None:
            lost.add(key)
            entries += 1
        values = (position, key, *(row or (0, b"")))
        connection.execute("INSERT OR IGNORE INTO temp.rescued VALUES (?, ?, ?, ?)", values)
    logger.error(
        "the log of %s is damaged: %d entries of %d actors cannot be read any more. These actors are stalled, and all "
        "others go on. The file as it was is %s. `perdure store check` names the actors; purge them, or restore a "
        "backup with `perdure store restore`",
        hold.path,
        entries,
        len(lost),
        keep_copy(hold),
    )


def replace_log(connection: sqlite3.Connection) -> None:
    """Put what was rescued in the place of the log. The caller holds the transaction."""
    # To drop the table, SQLite would read all its pages. It is forgotten instead; `tidy` takes its pages away.
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("DELETE FROM sqlite_master WHERE tbl_name = 'log'")
    connection.execute("PRAGMA writable_schema = RESET")
    for part in LOG_PARTS:
        connection.execute(next(sql for sql in schema.TABLES if sql.strip().startswith(part)))
    connection.execute("INSERT INTO log SELECT position, key, at_us, entry FROM temp.rescued ORDER BY position")


def tidy(connection: sqlite3.Connection, path: str) -> None:
    """Write the file anew without damaged pages that nothing uses. Without room for that it stays as it is."""
    connection.execute("DROP TABLE IF EXISTS temp.rescued")
    try:
        connection.execute("VACUUM")
    except sqlite3.Error as error:
        logger.warning(
            "%s keeps damaged pages that it does not use, which `perdure store check` tells of: %s", path, error
        )


def _indexed(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    """The key and the position of every entry, as the index has them."""
    return connection.execute("SELECT key, position FROM log INDEXED BY log_key").fetchall()


def _readable(connection: sqlite3.Connection, key: int, position: int) -> tuple[int, bytes] | None:
    """The time and the entry at a position; None if they cannot be read, or are another actor's."""
    try:
        row = connection.execute("SELECT key, at_us, entry FROM log WHERE position = ?", (position,)).fetchone()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return None
    if row is None or row[0] != key or not isinstance(row[1], int) or not isinstance(row[2], bytes):
        return None
    return row[1], row[2]
