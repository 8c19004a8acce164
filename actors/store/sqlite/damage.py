"""Damage of a store's file: which errors of a read say that it is damaged.

The rule: a file that is damaged costs the rows that cannot be read, and no others. A file that cannot be read at
present (a disk that is away, a lock) is not damaged: the read fails.

What reads a file uses it, to go on row by row.
"""

import sqlite3

from ..tables.checksums import Damaged


def is_damage(error: Exception) -> bool:
    """Whether an error of a read says that the file is damaged, and not that it cannot be read at present."""
    if isinstance(error, Damaged):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return (code & 0xFF) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    # Python's own error, for a text that is not UTF-8.
    return isinstance(error, sqlite3.OperationalError) and "decode to UTF-8" in str(error)
