"""Giving the space of deleted rows back to the file system.

The rule: the store is not in use meanwhile, and after a crash it has its old or its new form: SQLite writes all rows
anew into a temporary file, and copies that file back in one transaction.

`cli/store.py` calls `vacuum`. It is synchronous, because the command line does nothing else meanwhile.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from ...errors import StoreFailed
from ..connection import connect
from ..files import holding, require_store


class Vacuumed(NamedTuple):
    """A file of a store, and its size before and after."""

    path: str
    bytes_before: int
    bytes_after: int


def vacuum(path: str | os.PathLike[str]) -> list[Vacuumed]:
    """Write all files of a store anew, each without its free pages.

    Raises:
        StoreLocked: A daemon has the store.
        StoreFailed: There is no store, or a part of it is missing; or it could not be written, for example without
            enough free space, and is unchanged.
        StoreTooNew: A newer release wrote it.
    """
    with holding(os.fspath(path)) as files:
        return [_vacuum(file) for file in files]


@contextmanager
def temporary_files_in(folder: str) -> Iterator[None]:
    """Let SQLite write its temporary files to a folder. The system's folder for them may be small, or in memory."""
    before = os.environ.get(TEMPORARY)
    os.environ[TEMPORARY] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ[TEMPORARY]
        else:
            os.environ[TEMPORARY] = before


TEMPORARY = "SQLITE_TMPDIR"


def _vacuum(path: str) -> Vacuumed:
    path = os.path.realpath(path)
    before = os.path.getsize(path)
    free = shutil.disk_usage(os.path.dirname(path)).free
    if free < 2 * before:
        # Room for the temporary file, and for the WAL through which it is copied back.
        raise StoreFailed(
            f"{path} has {before:,} bytes, and {free:,} are free on its disk. "
            "To write it anew takes up to twice its size; make room first."
        )
    try:
        with temporary_files_in(os.path.dirname(path)), closing(connect(path)) as connection:
            require_store(connection, path)
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise StoreFailed(f"{path} could not be written anew, and is as it was: {error}") from error
    return Vacuumed(path, before, os.path.getsize(path))
