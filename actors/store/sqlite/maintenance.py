"""Checking a store and making a backup of it, while hosts may be using it.

The rule: the store is not changed. All rows of a file are read from one snapshot,
and no write of a host waits.

`cli/store.py` calls `check` and `backup`. They are synchronous, because the command line
does nothing else meanwhile.
"""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from ...address import Address, shard_of
from ..contract import Stored
from ..errors import StoreError, StoreFailed, StoreLocked, StoreTooNew
from ..part import Part
from ..tables.checksums import Damaged, Unsealed, unseal_entry, unseal_item, unseal_record
from ..tables.expected import SHOWN_MAX, Expect, shortened, unlike
from . import schema
from .files import (
    holding,
    making,
    misfit,
    new_layout,
    parts_of,
    paths_of,
    reading,
    require_first,
    require_store,
    stamp_of,
)
from .identity import make_private
from .lists.checking import faults_of_lists
from .rows import RowsOfKeys

# The tables whose rows must have the key of an existing actor.
OF_ACTORS = {"log": "log entries", "active": "active marks", "reminders": "reminders"}


def check(path: str | os.PathLike[str], expect: Expect | None = None) -> list[str]:
    """Check a store.

    It reads all its files, each from a snapshot of its own.

    Args:
        expect: Returns the reminders and the mark that an actor must have; None: these are not compared.

    Returns:
        A sentence for each fault; empty if the store is sound.

    Raises:
        StoreFailed: There is no file, or it is not a store, or not the first of its store.
    """
    data = os.fspath(path)
    try:
        first = stamp_of(data)
    except StoreError:
        return faults_in(data, expect)  # its result has the reason
    require_first(data, first)
    if first.part.of == 1:
        return faults_in(data, expect)
    found: list[str] = []
    for index, file in enumerate(paths_of(data, first.part.of)):
        try:
            wrong = misfit(file, Part(index, first.part.of), first)
            found += [wrong] if wrong is not None else [f"{file}: {fault}" for fault in faults_in(file, expect)]
        except StoreError as error:
            found.append(str(error))
    return found


def backup(path: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Copy a snapshot of a store to `target`.

    The copy is checked and flushed before it gets its name, so a file with that
    name is always a sound store. A store of several parts becomes the same number
    of files, and must not be in use.

    Raises:
        StoreFailed: `target` exists; `path` is not a sound store, or has several parts and is
            in use; or the copy cannot be written.
        StoreTooNew: A newer release wrote the store, and only that release can check a copy.
    """
    data, target = os.fspath(path), os.fspath(target)
    parts = len(parts_of(data))
    if parts == 1:
        with making([target]) as (unfinished,), reading(data) as connection:
            require_store(connection, data)
            copy(connection, unfinished)
        return
    try:
        with holding(data) as files, making(paths_of(target, parts)) as unfinished_parts:
            copy_together(files, unfinished_parts)
    except StoreLocked as error:
        # The copies of two files would be two different snapshots: one could hold a child that
        # has ended, and the other its parent, which would never get the child's result.
        raise StoreFailed(
            f"{data} has {parts} parts, which have no moment in common while hosts work on them, "
            f"and {error.path} is in use. Stop the daemon, and make the backup then."
        ) from error


# One file.


def faults_in(path: str, expect: Expect | None = None) -> list[str]:
    """Check one file; a sentence for each fault."""
    with reading(path) as connection:
        try:
            require_store(connection, path)
        except StoreTooNew as error:
            return [str(error)]
        try:
            return faults(connection, path, expect)
        except sqlite3.DatabaseError as error:
            # The file is too damaged for these statements.
            return [f"reading stopped: {error}"]


def faults(connection: sqlite3.Connection, path: str, expect: Expect | None) -> list[str]:
    """Check a file in one transaction, and describe its faults: a sentence for each.

    Args:
        connection: A connection to the file, for reading.
        path: The path of the file, for the sentences.
        expect: Returns the reminders and the mark that an actor must have; None: these are not compared.
    """
    connection.execute("BEGIN")
    found = [row for (row,) in connection.execute("PRAGMA integrity_check") if row != "ok"]
    meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    has_items = meta[schema.VERSION] >= schema.VERSION_OF_ITEMS
    for table, what in (OF_ACTORS | ({"items": "items"} if has_items else {})).items():
        count, key = connection.execute(
            f"SELECT count(*), min(key) FROM {table} WHERE key NOT IN (SELECT key FROM actors)"  # noqa: S608  ours
        ).fetchone()
        if count:
            found.append(f"{count} {what} belong to no actor; the first has key {key}")
    unsaid = sorted(schema.META[meta[schema.VERSION]] - meta.keys())
    found += [f"it does not say its {name!r}" for name in unsaid] if unsaid else misplaced(connection, path, meta)
    if not unsaid:
        unsealed = schema.unsealed_in(connection, path, version=meta[schema.VERSION])
        found += changed(connection, unsealed)
        found += changed_items(connection) if has_items else []
        if expect is not None and not found:
            found += unlike_expected(connection, unsealed, expect)
    if meta[schema.VERSION] >= schema.VERSION_OF_LISTS:
        found += faults_of_lists(connection)
    connection.execute("COMMIT")
    return found


def changed(connection: sqlite3.Connection, unsealed: Unsealed) -> list[str]:
    """Compare every record and entry with its checksum; return sentences about the first faults, and a count."""
    found: list[str] = []
    try:
        for key, type_, id_, record in connection.execute("SELECT key, type, id, record FROM actors"):
            try:
                unseal_record(key, type_, id_, record, unsealed)
            except Damaged as damage:
                found.append(f"{Address(type_, id_)}: {damage}")
        for key, position, at_us, entry in connection.execute("SELECT key, position, at_us, entry FROM log"):
            try:
                unseal_entry(key, position, at_us, entry, unsealed)
            except Damaged as damage:
                found.append(f"{name_of(connection, key)}: {damage}")
    except sqlite3.DatabaseError as error:
        return [*found[:SHOWN_MAX], f"reading its rows stopped: {error}"]
    return shortened(found, "more rows do not match their checksums")


def changed_items(connection: sqlite3.Connection) -> list[str]:
    """Compare the value of every item with its checksum; return sentences about the first faults, and a count."""
    found: list[str] = []
    try:
        for row in connection.execute("SELECT key, name, version, expires_us, value FROM items"):
            try:
                unseal_item(*row)
            except Damaged as damage:
                found.append(f"{name_of(connection, row[0])}: {damage}")
    except sqlite3.DatabaseError as error:
        return [*found[:SHOWN_MAX], f"reading its items stopped: {error}"]
    return shortened(found, "more items do not match their checksums")


def unlike_expected(connection: sqlite3.Connection, unsealed: Unsealed, expect: Expect) -> list[str]:
    """Compare reminders and marks with the actors' expectations; return sentences on the first faults, and a count."""
    found: list[str] = []
    reminders = RowsOfKeys(connection.execute("SELECT key, name, due_us FROM reminders ORDER BY key"))
    actors = connection.execute(
        "SELECT key, type, id, record, EXISTS (SELECT 1 FROM active WHERE active.key = actors.key)"
        " FROM actors ORDER BY key"
    )
    for key, type_, id_, record, active in actors:
        own: set[tuple[Any, ...]] = set(reminders.of(key))
        log: list[tuple[int, Any, Any]] = connection.execute(
            "SELECT position, at_us, entry FROM log WHERE key = ? ORDER BY position", (key,)
        ).fetchall()
        entries = tuple([unseal_entry(key, *row, unsealed) for row in log])
        address = Address(type_, id_)
        stored = Stored(
            key=key, record=unseal_record(key, type_, id_, record, unsealed), entries=entries, active=bool(active)
        )
        expected = expect(address, stored)
        if expected is None:
            continue
        found += unlike(address, expected, own, active=bool(active))
    return shortened(found, "more timers or marks are missing")


def name_of(connection: sqlite3.Connection, key: int) -> str:
    """The address of an actor as text; if the file has no actor with the key, a text with the key."""
    row = connection.execute("SELECT type, id FROM actors WHERE key = ?", (key,)).fetchone()
    return str(Address(*row)) if row is not None else f"the actor of key {key}"


def misplaced(connection: sqlite3.Connection, path: str, meta: Mapping[str, int]) -> list[str]:
    """Check that the shards and the actors of a file belong to its part."""
    try:
        part = schema.part_in(connection, path, version=meta[schema.VERSION])
    except StoreFailed as error:
        return [str(error)]
    found: list[str] = []
    own = [shard for shard in range(meta[schema.SHARDS]) if part.holds(shard)]
    shards = [shard for (shard,) in connection.execute("SELECT shard FROM shards ORDER BY shard")]
    if shards != own:
        found.append(f"it should have {len(own)} shards, and has {len(shards)}")
    if part.of > 1:
        connection.create_function("is_here", 1, lambda id_: part.holds(shard_of(id_, meta[schema.SHARDS])))
        count, key = connection.execute("SELECT count(*), min(key) FROM actors WHERE NOT is_here(id)").fetchone()
        if count:
            found.append(f"{count} actors belong to another part; the first has key {key}")
    return found


def copy(source: sqlite3.Connection, unfinished: str) -> None:
    """Copy all pages in one step, so that the copy is a snapshot, and check the copy.

    Raises:
        StoreFailed: The store is not sound.
    """
    make_private(unfinished)
    with closing(sqlite3.connect(unfinished, isolation_level=None)) as copied:
        source.backup(copied)
        # A copy in WAL mode could not be read from a read-only medium. Opening the store sets WAL mode again.
        copied.execute("PRAGMA journal_mode = DELETE")
        copied.execute("PRAGMA user_version = 0")  # the copy is not in use
    if wrong := faults_in(unfinished):
        raise StoreFailed(f"the store is not sound, and so its copy is not: {'; '.join(wrong)}")


def copy_together(files: list[str], unfinished: list[str]) -> None:
    """Copy the parts of a store that is not in use.

    The copies get a layout number of their own, so that a copy is never taken for a
    part of a later state of the store, or of another backup.
    """
    layout = new_layout()
    for file, copied in zip(files, unfinished, strict=True):
        with reading(file) as connection:
            copy(connection, copied)
        with closing(sqlite3.connect(copied, isolation_level=None)) as connection:
            connection.execute("UPDATE meta SET value = ? WHERE name = ?", (layout, schema.LAYOUT))
