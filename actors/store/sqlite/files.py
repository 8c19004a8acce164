"""The files of a store: finding them, locking them and making new ones, without a host.

The rule: no file is overwritten, and an unfinished file never has the name of a store.

A store is one file, or one for each host of its daemon (`actors/store/part.py`).
`actors/store/sqlite/maintenance.py` and `actors/store/sqlite/layout.py` use the functions. They are
synchronous, because the command line does nothing else meanwhile.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import quote

from ...instruments import SYSTEM, number_of
from ..errors import StoreFailed
from ..part import Part
from . import schema
from .connection import LOCK_WAIT_S
from .identity import Hold, require_folder
from .in_use import flush, has_wal, require_own


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[sqlite3.Connection]:
    """Open a file of a store for reading.

    Raises:
        StoreFailed: There is no file, or it cannot be opened, or is not the file that was last in use.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise StoreFailed(f"there is no store at {path}")
    require_own(os.path.realpath(path))
    # Not `mode=ro`, although nothing is written: such a connection makes the files that belong
    # to a WAL and cannot remove them. A daemon of another user could not start with the files
    # that an administrator's check leaves. Not `immutable`: a host may be writing,
    # except on a file system that is mounted read-only.
    how = "mode=ro&immutable=1" if _is_still(os.path.realpath(path)) else "mode=rw"
    uri = f"file:{quote(os.path.realpath(path))}?{how}"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=LOCK_WAIT_S, isolation_level=None)
    except sqlite3.Error as error:
        raise StoreFailed(f"{path} cannot be opened: {error}") from error
    with closing(connection):
        connection.execute("PRAGMA query_only = ON")
        yield connection


def _is_still(path: str) -> bool:
    """Whether a file is at rest on a file system that is mounted read-only, as a snapshot is: SQLite could not make the
    files beside it.

    Raises:
        StoreFailed: It has a -wal there, which has to be read with it.
    """
    if not os.statvfs(path).f_flag & os.ST_RDONLY:
        return False
    if has_wal(path) and not os.path.exists(f"{path}-shm"):
        raise StoreFailed(
            f"{path} has a -wal, and its file system is mounted read-only: SQLite cannot read both there. Copy the "
            "file with its -wal and its .id to a place that may be written to."
        )
    return not has_wal(path)


def require_store(connection: sqlite3.Connection, path: str) -> int:
    """Read the version of a file that must be a store.

    Raises:
        StoreTooNew: A newer release wrote it.
        StoreFailed: It is not a store, or empty.
    """
    version = schema.version_of(connection, path)
    if version is None:
        raise StoreFailed(f"{path} is empty, and no store")
    return version


# Which files.


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """The facts about a store that `meta` of each of its files has."""

    part: Part
    shards: int  # of the whole store
    layout: int  # the same number in all parts that were made together; 0 in a file that was made alone
    created_us: int  # Unix time, microseconds


def stamp_of(path: str) -> Stamp:
    """Read the stamp of a file.

    Raises:
        StoreFailed: There is no file, or it is not a store, or damaged.
        StoreTooNew: A newer release wrote it.
    """
    with reading(path) as connection:
        version = require_store(connection, path)
        return Stamp(
            part=schema.part_in(connection, path, version=version),
            shards=schema.read_meta(connection, path, schema.SHARDS),
            layout=schema.read_meta(connection, path, schema.LAYOUT) if version > 1 else 0,
            created_us=schema.read_meta(connection, path, schema.CREATED_US),
        )


def require_first(data: str, stamp: Stamp) -> None:
    """Raise `StoreFailed` if a file is not the first of its store."""
    if stamp.part.index > 0:
        raise StoreFailed(f"{data} is {stamp.part} of a store: name the first, which has no number behind its name")


def paths_of(data: str, parts: int) -> list[str]:
    """The files of a store of `parts` parts."""
    return [Part(index, parts).path(data) for index in range(parts)]


def parts_of(data: str) -> list[str]:
    """List the files of a store, and check that all exist and belong together.

    Raises:
        StoreFailed: A file is missing, or belongs to another store.
    """
    first = stamp_of(data)
    require_first(data, first)
    paths = paths_of(data, first.part.of)
    for index, path in enumerate(paths):
        if (reason := misfit(path, Part(index, first.part.of), first)) is not None:
            raise StoreFailed(reason)
    return paths


def misfit(path: str, part: Part, first: Stamp) -> str | None:
    """A sentence about why a file is not this part of the store whose first part is `first`; None if it is."""
    if not os.path.isfile(path):
        return f"{path}, which should be {part}, is missing"
    found = stamp_of(path)
    if found.part != part:
        return f"{path} is {found.part}, and should be {part}"
    if (found.layout, found.shards) != (first.layout, first.shards):
        return f"{path} is {part}, but of another store: it was not made together with the first part"
    return None


def new_layout() -> int:
    """Draw a number for parts that are made together; no other store has the same number."""
    return number_of(SYSTEM.chance, 62)


# Locking.


@contextmanager
def holding(data: str) -> Iterator[list[str]]:
    """Lock all files of a store, so that no host can open one meanwhile.

    Raises:
        StoreLocked: A daemon has the files.
        StoreFailed: A file is missing, or belongs to another store.
    """
    paths = parts_of(data)
    with locked(paths):
        yield paths


@contextmanager
def locked(paths: Sequence[str]) -> Iterator[None]:
    """Lock files for the length of the block, or raise `StoreLocked`."""
    with ExitStack() as stack:
        for path in paths:
            stack.callback(Hold.take(os.path.realpath(path)).release)
        yield


# Making new files.

# The endings of the files beside a database. If a deleted database has left a file of SQLite's behind, SQLite would use
# it for the new database, and change that database. The id of another store prevents the new one from being opened.
BESIDE = ("", "-wal", "-journal", ".id")


@contextmanager
def making(paths: Sequence[str]) -> Iterator[list[str]]:
    """Yield temporary names for new files, and rename the files to `paths` when all are finished.

    The first file gets its name last, and only then the store exists: if this
    process or the machine dies before, there is no store with that name.

    Raises:
        StoreFailed: One of `paths` exists already, or the files could not be written.
    """
    refuse_existing(paths, "exists already")
    for path in paths:
        require_folder(os.path.abspath(path))
    partials = [f"{path}.partial" for path in paths]
    published: list[str] = []
    try:
        remove(partials)  # left by a process that was killed
        yield partials
        for partial, path in reversed(list(zip(partials, paths, strict=True))):
            flush(partial)
            refuse_existing([path], "came into being meanwhile")
            published.append(path)  # before the rename: a later failure must undo it
            publish(partial, path)
    except BaseException as error:
        remove(published)
        if isinstance(error, sqlite3.Error | OSError):
            # Without the name in the error, which is that of an unfinished file and unknown to the caller.
            why = getattr(error, "strerror", None) or error
            raise StoreFailed(f"writing {paths[0]} failed: {why}") from error
        raise
    finally:
        with suppress(OSError):  # the next call removes them
            remove(partials)


def publish(partial: str, path: str) -> None:
    """Give a finished and flushed file its name, so that both outlive a crash of the machine."""
    os.rename(partial, path)
    flush(os.path.dirname(os.path.abspath(path)))


def refuse_existing(paths: Sequence[str], how: str) -> None:
    """Refuse to write to paths at which a file of a store exists already.

    Args:
        paths: The paths of the stores to be made.
        how: A verb for people, such as "exists".

    Raises:
        StoreFailed: A file exists.
    """
    for path in paths:
        for beside in BESIDE:
            if os.path.lexists(path + beside):
                raise StoreFailed(f"{path}{beside} {how}; this command does not overwrite. Name another, or delete it")


def remove(paths: Sequence[str]) -> None:
    """Delete those files of stores that exist."""
    for path in paths:
        for beside in BESIDE:
            with suppress(FileNotFoundError):
                os.unlink(path + beside)
