"""Looking after a store's file from outside, while a host may be using it.

The one law: nothing here changes what the store holds. Everything is read from
one snapshot of it, and no write of the host waits.

Synchronous, for the command line: there is nothing else to do meanwhile.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import quote

from ..errors import StoreFailed, StoreTooNew
from . import schema
from .part import Part
from .sqlite import LOCK_WAIT_S

# What must name an actor that exists.
OF_ACTORS = {"log": "log entries", "active": "active marks", "reminders": "reminders"}


def check(path: str | os.PathLike[str]) -> list[str]:
    """Say what is wrong with a store; nothing, if it is sound.

    Reads the whole file.

    Returns:
        A sentence for each fault.

    Raises:
        StoreFailed: There is no file, or it is no store.
    """
    with reading(path) as connection:
        try:
            require_store(connection, path)
        except StoreTooNew as error:
            return [str(error)]
        try:
            return faults(connection)
        except sqlite3.DatabaseError as error:
            # So damaged that not even the questions can be asked.
            return [f"reading stopped: {error}"]


def backup(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Copy a store to `target`, as it was at one moment.

    The copy has been checked, and is on the disk, before it gets its name; so
    what is found under that name is a sound store.

    Raises:
        StoreFailed: `target` exists, `path` is no store or not a sound one, or the copy cannot be written.
        StoreTooNew: A newer release wrote the store, and only that one can tell whether a copy is sound.
    """
    target = os.fspath(target)
    if os.path.exists(target):
        raise StoreFailed(f"{target} exists already; a backup does not overwrite")
    partial = f"{target}.partial"
    with reading(path) as connection:
        require_store(connection, path)
        try:
            copy(connection, partial)
            publish(partial, target)
        except (sqlite3.Error, OSError) as error:
            raise StoreFailed(f"the copy to {target} failed: {error}") from error
        finally:
            if os.path.exists(partial):
                os.unlink(partial)


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[sqlite3.Connection]:
    """Open a store for reading, without creating what is not there."""
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise StoreFailed(f"there is no store at {path}")
    # Not `mode=ro`, though nothing is written: such a connection has to make the files that
    # go with a WAL and may not take them away. A daemon under another user could not start
    # on what an administrator's check leaves. Not `immutable`: a host may be writing.
    uri = f"file:{quote(os.path.realpath(path))}?mode=rw"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=LOCK_WAIT_S, isolation_level=None)
    except sqlite3.Error as error:
        raise StoreFailed(f"{path} cannot be opened: {error}") from error
    with closing(connection):
        connection.execute("PRAGMA query_only = ON")
        yield connection


def require_store(connection: sqlite3.Connection, path: str | os.PathLike[str]) -> None:
    if schema.version_of(connection, os.fspath(path)) is None:
        raise StoreFailed(f"{os.fspath(path)} is empty, and no store")


def faults(connection: sqlite3.Connection) -> list[str]:
    connection.execute("BEGIN")
    found = [row for (row,) in connection.execute("PRAGMA integrity_check") if row != "ok"]
    for table, what in OF_ACTORS.items():
        count, key = connection.execute(
            f"SELECT count(*), min(key) FROM {table} WHERE key NOT IN (SELECT key FROM actors)"  # noqa: S608  ours
        ).fetchone()
        if count:
            found.append(f"{count} {what} belong to no actor; the first has key {key}")
    meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    found += [f"it does not say its {name!r}" for name in sorted(schema.META[meta[schema.VERSION]] - meta.keys())]
    shards = [shard for (shard,) in connection.execute("SELECT shard FROM shards ORDER BY shard")]
    part = Part(meta.get(schema.PART, 0), meta.get(schema.PARTS, 1))
    own = [shard for shard in range(meta.get(schema.SHARDS, 0)) if part.holds(shard)]
    if schema.SHARDS in meta and shards != own:
        found.append(f"it should have {len(own)} shards, and has {len(shards)}")
    connection.execute("COMMIT")
    return found


def copy(source: sqlite3.Connection, partial: str) -> None:
    """Copy all pages in one step, that is from one snapshot, and check the copy."""
    if os.path.exists(partial):
        os.unlink(partial)  # of a backup that was killed
    with closing(sqlite3.connect(partial, isolation_level=None)) as copied:
        source.backup(copied)
        # A copy in WAL mode could not be read from a medium that is read-only. The store sets it back.
        copied.execute("PRAGMA journal_mode = DELETE")
    if wrong := check(partial):
        raise StoreFailed(f"the store is not sound, and so its copy is not: {'; '.join(wrong)}")


def publish(partial: str, target: str) -> None:
    """Give a finished copy its name, so that both outlive a crash of the machine."""
    flush(partial)
    if os.path.exists(target):
        raise StoreFailed(f"{target} came into being meanwhile; a backup does not overwrite")
    os.rename(partial, target)
    flush(os.path.dirname(os.path.abspath(target)))


def flush(path: str) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
