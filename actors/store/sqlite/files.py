"""The files of a store, from outside: which they are, whose they are, and how new ones come to be.

The one law: nothing is overwritten, and a file that is not finished has no
name that a store has.

A store is one file, or one for each host of its daemon (actors/store/part.py).
Synchronous, for the command line: there is nothing else to do meanwhile.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import quote

from ..errors import StoreFailed
from ..part import Part
from . import schema
from .connection import LOCK_WAIT_S, take_lock


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


def require_store(connection: sqlite3.Connection, path: str) -> int:
    """Read the version of a file that must be a store."""
    version = schema.version_of(connection, path)
    if version is None:
        raise StoreFailed(f"{path} is empty, and no store")
    return version


# Which files.


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a file says of itself."""

    part: Part
    shards: int  # of the whole store
    layout: int  # the same in all parts that were made together; 0 in one that was made by itself
    created_us: int  # Unix time, microseconds


def stamp_of(path: str) -> Stamp:
    """Read what a file is.

    Raises:
        StoreFailed: There is none, or it is no store, or damaged.
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
    if stamp.part.index > 0:
        raise StoreFailed(f"{data} is {stamp.part} of a store: name the first, which has no number behind its name")


def paths_of(data: str, parts: int) -> list[str]:
    return [Part(index, parts).path(data) for index in range(parts)]


def parts_of(data: str) -> list[str]:
    """List the files of a store, all of which are there and belong together.

    Raises:
        StoreFailed: One is missing, or is not of this store.
    """
    first = stamp_of(data)
    require_first(data, first)
    paths = paths_of(data, first.part.of)
    for index, path in enumerate(paths):
        if (reason := misfit(path, Part(index, first.part.of), first)) is not None:
            raise StoreFailed(reason)
    return paths


def misfit(path: str, part: Part, first: Stamp) -> str | None:
    """Say why a file is not this part of the store whose first part is `first`; None if it is."""
    if not os.path.isfile(path):
        return f"{path}, which should be {part}, is missing"
    found = stamp_of(path)
    if found.part != part:
        return f"{path} is {found.part}, and should be {part}"
    if (found.layout, found.shards) != (first.layout, first.shards):
        return f"{path} is {part}, but of another store: it was not made together with the first part"
    return None


def new_layout() -> int:
    """Draw a number for parts that are made together, which no other store's have."""
    return secrets.randbits(62) + 1


# For this process alone.


@contextmanager
def holding(data: str) -> Iterator[list[str]]:
    """Take all files of a store, so that no host has one meanwhile.

    Raises:
        StoreLocked: A daemon has them.
        StoreFailed: One is missing, or is not of this store.
    """
    paths = parts_of(data)
    with locked(paths):
        yield paths


@contextmanager
def locked(paths: Sequence[str]) -> Iterator[None]:
    with ExitStack() as stack:
        for path in paths:
            stack.callback(take_lock(os.path.realpath(path)).release)
        yield


# New ones.

# What SQLite puts beside a database. If one was left behind by a database that was deleted, it
# would be taken for the new one's, and change it.
BESIDE = ("", "-wal", "-journal")


@contextmanager
def making(paths: Sequence[str]) -> Iterator[list[str]]:
    """Give out temporary names for new files, and give the files their own when all are finished.

    The first comes last, and is what makes a store of them: before it, whatever
    becomes of this process or the machine, there is no store of that name.

    Raises:
        StoreFailed: One of `paths` is there already, or the files could not be written.
    """
    refuse_existing(paths, "exists already")
    partials = [f"{path}.partial" for path in paths]
    published: list[str] = []
    try:
        remove(partials)  # of one that was killed
        yield partials
        for partial, path in reversed(list(zip(partials, paths, strict=True))):
            publish(partial, path)
            published.append(path)
    except BaseException as error:
        remove(published)
        if isinstance(error, sqlite3.Error | OSError):
            raise StoreFailed(f"writing {paths[0]} failed: {error}") from error
        raise
    finally:
        remove(partials)


def publish(partial: str, path: str) -> None:
    """Give a finished file its name, so that both outlive a crash of the machine."""
    flush(partial)
    refuse_existing([path], "came into being meanwhile")
    os.rename(partial, path)
    flush(os.path.dirname(os.path.abspath(path)))


def refuse_existing(paths: Sequence[str], how: str) -> None:
    for path in paths:
        for beside in BESIDE:
            if os.path.lexists(path + beside):
                raise StoreFailed(f"{path}{beside} {how}; this command does not overwrite. Name another, or delete it")


def flush(path: str) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def remove(paths: Sequence[str]) -> None:
    for path in paths:
        for beside in BESIDE:
            with suppress(FileNotFoundError):
                os.unlink(path + beside)
