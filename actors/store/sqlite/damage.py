"""Damage of a store's file: the errors of a read that mean damage.

The rule: damage affects only the rows that cannot be read. A file that cannot be read at present (a missing disk, a
lock) is not damaged: the read fails.

Readers of a file use it to go on row by row.
"""

import sqlite3

from ..tables.checksums import Damaged


def is_damage(error: Exception) -> bool:
    """Whether an error of a read means that the file is damaged, and not that it cannot be read at present."""
    if isinstance(error, Damaged):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return (code & 0xFF) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    # Python's error for a text that is not UTF-8.
    return isinstance(error, sqlite3.OperationalError) and "decode to UTF-8" in str(error)
