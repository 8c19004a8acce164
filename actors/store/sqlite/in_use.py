"""Whether a store's file is the one that was last in use: the number in its header, and `<path>.id` beside it.

The rule: a file that was replaced is refused before SQLite opens it, because SQLite folds any -wal beside a file
into it.

While a host has a store, `user_version` in the header of its file is a random number, "in use"; at rest, and in every
copy that Perdure makes, it is 0. `<path>.id` has that number, the store's own (`schema.STORE`), and the highest
position of the log that a commit has acknowledged. The position is written without a flush, so that it costs little and
outlives a kill of the process. A crash of the machine may lose it, so it is valid only for the boot in which it was
written, or if it was written by an orderly stop.

    refused                                      because
    an empty or missing file, with an id         it was emptied or deleted, and is not a new store
    in use, without the id of this number        it was copied or moved alone, while it was in use
    a -wal, and an id of another number          the file was put back beside a -wal of another time
    a log that ends before the id's position     it was put back, or lost its -wal

A file is accepted after `store check` or the sqlite3 shell: they fold the -wal into the file, and the number stays.
"""

import logging
import os
import sqlite3
import struct
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from urllib.parse import quote

from ...instruments import SYSTEM, Chance, number_of
from ...plain_file import FileUnfit, read_plain
from ..errors import StoreFailed
from . import schema
from .identity import APPLICATION_ID_AT, MODE, USER_VERSION_AT, Hold, header_of, require_place, why_of

logger = logging.getLogger(__name__)

OPENED = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
MAGIC = b"PrdrId01"
# MAGIC; the store; the two numbers that the header may have (the present one, and one that is being written); the
# highest acknowledged position; whether that position is flushed; the boot of the machine.
LAYOUT = struct.Struct("<8sQIIqB16s")
POSITION = struct.Struct("<q")
POSITION_AT = struct.calcsize("<8sQII")
BYTES_MAX = 4096  # a larger file is not an id
UNKNOWN = 0  # a store whose number has not been written yet

HEADER_MAGIC = b"SQLite format 3\0"
BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass(slots=True, kw_only=True)
class Ids:
    """The contents of `<path>.id`."""

    store: int = UNKNOWN
    number: int = 0
    next: int = 0
    position: int = 0
    flushed: bool = True
    boot: bytes = bytes(16)

    def packed(self) -> bytes:
        """The contents as bytes, with the layout `LAYOUT`."""
        return LAYOUT.pack(MAGIC, self.store, self.number, self.next, self.position, self.flushed, self.boot)


class InUse:
    """The number of one file and its id, while a host has it.

    Args:
        hold: The host's hold on the file.
        trusted: Whether commits are flushed. Otherwise a power cut may lose acknowledged commits, and no position is
            compared.
        chance: Random bytes for the number.

    Raises:
        StoreFailed: The file is not the one that was last in use; nothing was changed.
    """

    def __init__(self, hold: Hold, *, trusted: bool, chance: Chance = SYSTEM.chance) -> None:
        self._path = hold.path
        self._id_path = f"{hold.path}.id"
        self._trusted = trusted
        self.hold = hold
        self._file: int | None = None
        found = read_ids(self._id_path)
        refuse_foreign(hold.path, hold.header(), found)
        self._before = found or Ids()
        self._ids = replace(self._before)
        self._counting = False
        self._begun = False  # whether the id is complete; from then on only the position changes
        self._acknowledged = 0
        self.number = number_of(chance, 31)

    def check(self, store: int, position: int) -> None:
        """Compare an open file with the id.

        Args:
            store: The number of the store in the file; UNKNOWN if it has no number yet.
            position: The highest position of its log.

        Raises:
            StoreFailed: The file is another store, or an earlier state of this one.
        """
        before = self._before
        if UNKNOWN not in (before.store, store) and before.store != store:
            raise StoreFailed(f"{self._path} is another store than {self._id_path} was written for. {PUT_BACK}")
        counts = self._trusted and before.position > 0 and (before.flushed or before.boot == boot_id())
        if counts and position < before.position:
            raise StoreFailed(
                f"{self._path} ends at entry {position}, and entry {before.position} was acknowledged: it is an "
                f"earlier state, or has lost its -wal. {PUT_BACK}"
            )

    def announce(self, number: int) -> None:
        """Write to the id that the header may have the new number from now on.

        Args:
            number: The present number in the header.

        Raises:
            StoreFailed: The id cannot be written.
        """
        self._ids.number, self._ids.next = number, self.number
        write_ids(self._id_path, self._ids)

    def begin(self, store: int, position: int, *, folded: bool) -> None:
        """Write to the id that the header has the new number, and keep the id open.

        Args:
            store: The number of the store.
            position: The highest position of its log.
            folded: Whether the header of the file itself has the new number, and not only its -wal.

        Raises:
            StoreFailed: The id cannot be written or opened.
        """
        ids = self._ids
        ids.store, ids.boot, ids.flushed = store, boot_id(), False
        # The position is not kept if a power cut may lose commits, or if the boot of the machine is unknown.
        self._counting = self._trusted and ids.boot != bytes(16)
        ids.position = position if self._counting else 0
        if folded:
            ids.number = self.number
        write_ids(self._id_path, ids)
        try:
            self._file = os.open(self._id_path, OPENED)
        except OSError as error:
            raise StoreFailed(f"{self._id_path} cannot be opened: {error.strerror}.") from error
        self._acknowledged, self._begun = ids.position, True
        self.hold.tell_of_readers()

    def acknowledge(self, position: int) -> None:
        """Write the highest position of the log; after each commit, and before a commit that lowers it."""
        if self._file is not None and self._counting:
            self._acknowledged = position
            # Not through a mapping: a write to a mapping whose file was cut short ends the process.
            with suppress(OSError):
                if sys.platform == "win32":
                    os.lseek(self._file, POSITION_AT, os.SEEK_SET)
                    os.write(self._file, POSITION.pack(position))
                else:
                    os.pwrite(self._file, POSITION.pack(position), POSITION_AT)

    def mend(self) -> None:
        """Write the id anew if it was deleted or changed.

        Without it the store would be refused after a kill. To be called from time to time while the file is open.
        """
        if self._file is None or not self._begun:
            return
        with suppress(OSError, StoreFailed):
            own, found = os.fstat(self._file), self._found()
            if found is not None and (found.st_dev, found.st_ino, found.st_size) == (
                own.st_dev,
                own.st_ino,
                LAYOUT.size,
            ):
                with open(self._id_path, "rb") as file:
                    content = file.read(LAYOUT.size)
                if content[:POSITION_AT] == self._ids.packed()[:POSITION_AT]:
                    return
            self._ids.position = self._acknowledged
            write_ids(self._id_path, self._ids, anew=True)
            opened = os.open(self._id_path, OPENED)
            try:
                # The same descriptor for the new file, because the writer's thread may be about to use it.
                os.dup2(opened, self._file, inheritable=False)
            finally:
                os.close(opened)
            logger.warning("%s was changed by another program, and was written anew", self._id_path)

    def _found(self) -> os.stat_result | None:
        try:
            return os.stat(self._id_path, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def end(self, rest: Callable[[], bool], position: int) -> None:
        """Put the file to rest: the last step of an orderly stop.

        Args:
            rest: Writes 0 into the header, and returns whether the file itself has it (not only its -wal).
            position: The highest position of the log.
        """
        self._counting = self._begun = False
        ids = self._ids
        ids.number, ids.next = self.number, 0
        ids.position, ids.flushed = (position if self._trusted else 0), True
        write_ids(self._id_path, ids)
        if rest():
            ids.number = 0
            write_ids(self._id_path, ids)

    def close(self) -> None:
        """Close the id."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


PUT_BACK = (
    "Put the file, its -wal and its .id back together as they were, or restore a backup with `perdure store restore`."
)


def refuse_missing(path: str) -> None:
    """Refuse to make a new store where there was a store.

    Raises:
        StoreFailed: There is an id, but no file.
    """
    if not os.path.lexists(path) and (ids := read_ids(f"{path}.id")) is not None and ids.store != UNKNOWN:
        raise StoreFailed(emptied(path))


def emptied(path: str) -> str:
    """The sentence for a store whose file is missing or empty although it has an id."""
    return (
        f"{path} is missing or empty, and {path}.id says that there was a store. {PUT_BACK} "
        f"To begin a new store instead, delete {path}.id."
    )


TRIES = 4
BETWEEN_TRIES_S = 0.05


def require_own(path: str) -> None:
    """Compare a file that a command is about to read with the id beside it: SQLite would fold any -wal into it.

    A host of another process may have the file, and change the header and the id, one after the other.

    Raises:
        StoreFailed: It is not the file that was last in use.
    """
    for left in reversed(range(TRIES)):
        header = header_of(path)
        if header is None:
            return  # this process has it, and has compared it
        try:
            refuse_foreign(path, header, read_ids(f"{path}.id"))
        except StoreFailed:
            if left == 0:
                raise
            time.sleep(BETWEEN_TRIES_S)
        else:
            return


def refuse_foreign(path: str, header: bytes, ids: Ids | None) -> None:
    """Compare the header of a file that SQLite has not opened yet with the id beside it.

    Raises:
        StoreFailed: It is not the file that was last in use.
    """
    if not header:
        if ids is not None and ids.store != UNKNOWN:
            raise StoreFailed(emptied(path))
        return
    if not is_store(header):
        return  # opening the store raises a more precise error
    number = number_in(header)
    allowed = () if ids is None else (ids.number, ids.next)
    if number != 0:
        if number not in allowed:
            why = "is not there" if ids is None else "is of another time"
            raise StoreFailed(f"{path} was in use when it was copied or moved, and {path}.id {why}. {PUT_BACK}")
    elif has_wal(path) and (has_checksums(path) if ids is None else 0 not in allowed or ids.next == ids.number == 0):
        raise StoreFailed(f"{path} was at rest, and {path}-wal belongs to another time of it. {PUT_BACK}")


def refuse_unfit(path: str) -> None:
    """Refuse a path without a store at which none can be made, before any file is opened or locked.

    Args:
        path: The real path of the database, absolute.

    Raises:
        StoreFailed: The same error that opening the store would raise.
    """
    require_place(path)
    header = header_of(path) if os.path.lexists(path) else None
    # If there is a -wal, SQLite takes pages from it that are damaged in the file.
    if header and not header.startswith(HEADER_MAGIC) and not has_wal(path):
        raise StoreFailed(f"{path} cannot be read as a store: file is not a database")


def is_store(header: bytes) -> bool:
    """Whether the first 100 bytes of a file are the header of a store."""
    (application_id,) = struct.unpack_from(">I", header.ljust(100, b"\0"), APPLICATION_ID_AT)
    return header.startswith(HEADER_MAGIC) and application_id == schema.APPLICATION_ID


def number_in(header: bytes) -> int:
    """The number in the header of a file; 0: at rest."""
    (number,) = struct.unpack_from(">I", header.ljust(100, b"\0"), USER_VERSION_AT)
    assert isinstance(number, int)
    return number


def has_wal(path: str) -> bool:
    """Whether there is a -wal with content beside a file. The -wal of a reader that was killed is empty."""
    try:
        return os.stat(f"{path}-wal").st_size > 0
    except OSError:
        return False


def has_checksums(path: str) -> bool:
    """Whether a file without its -wal is of a release that marks files in use; a killed older release leaves a -wal."""
    try:
        uri = f"file:{quote(path)}?immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return schema.read_meta(connection, path, schema.VERSION) >= 3
    except (sqlite3.Error, StoreFailed):
        return False  # not written yet, or torn by the kill; its -wal repairs it


# The file of the id.


def read_ids(path: str) -> Ids | None:
    """Read an id; None if there is no file.

    Raises:
        StoreFailed: The file is not an id, or cannot be read.
    """
    if not os.path.lexists(path):
        return None
    try:
        content = read_plain(path, bytes_max=BYTES_MAX)
    except FileUnfit as error:
        raise StoreFailed(f"{path} cannot be used as the id of a store: {error.why} {PUT_BACK}") from error
    if len(content) != LAYOUT.size or not content.startswith(MAGIC):
        raise StoreFailed(f"{path} is damaged, or no file of ours. {PUT_BACK}")
    _, store, number, next_, position, flushed, boot = LAYOUT.unpack(content)
    return Ids(store=store, number=number, next=next_, position=position, flushed=bool(flushed), boot=boot)


def write_ids(path: str, ids: Ids, *, anew: bool = False) -> None:
    """Write an id and flush it. After a crash the file has its old contents or the new ones.

    An id is smaller than the sector that a disk writes at once, so an existing file is written in place, and open
    descriptors of it stay valid.

    Args:
        anew: Replace an existing file by a new one.

    Raises:
        StoreFailed: The id cannot be written.
    """
    made = anew or not os.path.exists(path)
    name = f"{path}.partial" if made else path
    try:
        if made:
            with suppress(FileNotFoundError):
                os.unlink(name)
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT, MODE)
        try:
            os.write(descriptor, ids.packed())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if made:
            os.rename(name, path)
            if os.name != "nt":  # Windows cannot flush a folder
                flush(os.path.dirname(path))
    except OSError as error:
        raise StoreFailed(f"{path} cannot be written: {why_of(error)}") from error


def flush(path: str) -> None:
    """Flush a file, or the names in a folder, to the disk. Not for a file that SQLite has open: see `Hold`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def boot_id() -> bytes:
    """The id of the machine's present boot; zeros if the system does not have one."""
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return bytes.fromhex(file.read().strip().replace("-", ""))[:16].ljust(16, b"\0")
    except (OSError, ValueError):
        return bytes(16)
