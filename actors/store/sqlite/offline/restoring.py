"""Putting a backup in the place of a store.

The rule: nothing is overwritten. The files of the store that is replaced get names of their own, and a restore that is
killed leaves either a store that opens, or one that is refused until the restore is done again.

`cli/stores/restore.py` calls `restore`. It is synchronous, because the command line has nothing else to do meanwhile.
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from itertools import count

from ...errors import StoreError, StoreFailed
from ..files import locked, parts_of, paths_of, publish, reading, remove, stamp_of
from ..in_use import flush, has_wal, is_store, number_in
from ..maintenance import copy

PARTS_MAX = 64  # as many as a store has shards
BESIDE = ("-wal", "-shm", "-journal", "", ".id")  # of a store, in the order in which they are moved


def restore(backup: str | os.PathLike[str], data: str | os.PathLike[str]) -> str | None:
    """Put a copy of `backup` in the place of the store at `data`, which need not be there.

    Returns:
        The name that the first file of the old store has now; None if there was no file.

    Raises:
        StoreLocked: A daemon has the store.
        StoreFailed: `backup` is no backup, or not a sound one, or lacks a part; or the files cannot be written.
        StoreTooNew: A newer release made the backup.
    """
    source, target = os.fspath(backup), os.path.realpath(data)
    for file in paths_of(source, PARTS_MAX):
        require_rest(file)  # before anything opens it: SQLite would fold its -wal into it
    files = parts_of(source)
    if os.path.realpath(source) == target:
        raise StoreFailed(f"{source} is the store itself, and not a backup of it")
    new = paths_of(target, len(files))
    old = old_files(target, len(new))
    if {os.path.realpath(file) for file in files} & set(old):
        raise StoreFailed(
            f"{source} has the name of a part of {target}, and would be moved away. Move it elsewhere first"
        )
    with locked(sorted({*new, *old})):
        partials = [f"{path}.partial" for path in new]
        try:
            remove(partials)  # of a restore that was killed
            for file, partial in zip(files, partials, strict=True):
                with reading(file) as connection:
                    copy(connection, partial)
                flush(partial)
            aside = set_aside(target, old)
            # The first part last: only with it there is a store.
            for partial, path in reversed(list(zip(partials, new, strict=True))):
                publish(partial, path)
        except (OSError, sqlite3.Error) as error:
            raise StoreFailed(f"restoring {target} failed: {error}") from error
        finally:
            # Files that are left are in the way of nothing; the next restore removes them.
            with suppress(OSError):
                remove(partials)
    return aside


def require_rest(path: str) -> None:
    """Refuse a file that was copied while a daemon worked on it.

    Raises:
        StoreFailed: It was.
    """
    if not os.path.isfile(path):
        return
    with open(path, "rb") as file:
        header = file.read(100)
    if is_store(header) and (number_in(header) != 0 or has_wal(path)):
        raise StoreFailed(
            f"{path} is no backup: it was in use when it was copied, or is in use now. "
            "Make backups with `perdure store backup`, which copies a store as it was at one moment."
        )


def old_files(target: str, parts: int) -> list[str]:
    """The files of the store that is there: those whose names are needed, and other parts of it."""
    paths = paths_of(target, PARTS_MAX)
    needed = [path for path in paths[:parts] if any(os.path.lexists(path + beside) for beside in BESIDE)]
    return needed + [path for index, path in enumerate(paths) if index >= parts and is_part(path, index)]


def is_part(path: str, index: int) -> bool:
    """Whether a file is the part of a store with this index."""
    if not os.path.isfile(path):
        return False
    with suppress(StoreError):
        return stamp_of(path).part.index == index
    return False


def set_aside(target: str, old: Sequence[str]) -> str | None:
    """Give the files of the old store names of their own, and return that of the first; None if there are none.

    The ids are moved last. Until then, what stands in the place of the store is refused.
    """
    if not old:
        return None
    name = next(
        name
        for name in (f"{target}.before-{number}" for number in count(1))
        if not any(os.path.lexists(path + beside) for path in paths_of(name, PARTS_MAX) for beside in BESIDE)
    )
    moved = [(path, name + path.removeprefix(target)) for path in old]
    for beside in BESIDE:
        for path, to in moved:
            with suppress(FileNotFoundError):
                os.rename(path + beside, to + beside)
    flush(os.path.dirname(target))
    return name
