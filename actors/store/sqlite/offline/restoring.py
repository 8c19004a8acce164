"""Replacing a store by a backup.

The rule: no file is overwritten. The files of the replaced store get other names, and a restore that is killed leaves
either a store that opens, or a store that is refused until the restore is repeated.

`cli/stores/restore.py` calls `restore`. It is synchronous, because the command line does nothing else meanwhile.
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

PARTS_MAX = 64  # the number of shards of a store
BESIDE = ("-wal", "-shm", "-journal", "", ".id")  # the endings of a store's files, in the order in which they are moved


def restore(backup: str | os.PathLike[str], data: str | os.PathLike[str]) -> str | None:
    """Replace the store at `data`, which need not exist, by a copy of `backup`.

    Returns:
        The new name of the first file of the old store; None if there was no file.

    Raises:
        StoreLocked: A daemon has the store.
        StoreFailed: `backup` is not a sound backup, or lacks a part; or the files cannot be written.
        StoreTooNew: A newer release made the backup.
    """
    source, target = os.fspath(backup), os.path.realpath(data)
    for file in paths_of(source, PARTS_MAX):
        require_rest(file)  # before SQLite opens it, which would fold its -wal into it
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
            remove(partials)  # left by a restore that was killed
            for file, partial in zip(files, partials, strict=True):
                with reading(file) as connection:
                    copy(connection, partial)
                flush(partial)
            aside = set_aside(target, old)
            # The first part last: the store exists only once it has its name.
            for partial, path in reversed(list(zip(partials, new, strict=True))):
                publish(partial, path)
        except (OSError, sqlite3.Error) as error:
            raise StoreFailed(f"restoring {target} failed: {error}") from error
        finally:
            # Files that are left are harmless; the next restore removes them.
            with suppress(OSError):
                remove(partials)
    return aside


def require_rest(path: str) -> None:
    """Refuse a file that was copied while a daemon had it in use.

    Raises:
        StoreFailed: The file was copied in this way.
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
    """The files of the present store: those whose names the backup needs, and other parts of the store."""
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
    """Rename the files of the old store, and return the new name of the first; None if there are no files.

    The ids are moved last. Until then, any file at the path of the store is refused.
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
