"""The hold of a process on a store's file: it identifies the file, and locks it against other processes.

The rule: the hold opens the file before SQLite's connections and closes it after them, and no other code of this
process opens it. When a process closes any descriptor of a file, it loses its POSIX locks on that file, and SQLite's
locks are POSIX locks.

Two locks exclude other processes. `<path>.lock` is bound to the name; earlier releases have only this lock. The other
is an open file description lock on a byte of the file itself, far after its end. It is bound to the file, so that it
works for a hard link or a mount of the same file too. Systems other than Linux have only the first.
"""

import errno
import logging
import os
import struct
import sys
import weakref
from contextlib import suppress
from functools import cache

from filelock import BaseFileLock, FileLock, Timeout

from ...plain_file import kind_of
from ..errors import StoreFailed, StoreGone, StoreLocked
from .wal.shared_index import SharedIndex

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

MODE = 0o600  # only the user of the daemon may read a store
LOCKED_BYTE = 2**62  # the offset of the byte; a file has a few terabytes at most
SHARED_FIRST, SHARED_BYTES = 0x4000_0002, 510  # the bytes that SQLite's readers lock (os.h of SQLite)
HEADER_BYTES, USER_VERSION_AT, APPLICATION_ID_AT = 100, 60, 68  # of a database of SQLite's (fileformat2.html)
# The files that SQLite keeps beside a database, and those of Perdure that a store needs.
BESIDE = ("-wal", "-shm", "-journal", ".id", ".lock")
WAL_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
FLOCK = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, length, process


class Hold:
    """The hold on one file, from `take` to `release`.

    Args:
        path: The real path of the database, absolute.
    """

    def __init__(self, path: str, lock: BaseFileLock, descriptor: int | None) -> None:
        self.path = path
        self._lock = lock
        self._descriptor = descriptor
        self._wal: int | None = None
        self.index: SharedIndex | None = None  # of the -wal, while SQLite has the file open
        self._ids: tuple[tuple[int, int], ...] = ()
        self._headers: frozenset[bytes] = frozenset()  # the constant parts of headers that the file may have
        if descriptor is not None:
            found = os.fstat(descriptor)
            self.file = (found.st_dev, found.st_ino)
            _held().add(self)

    @classmethod
    def take(cls, path: str, *, create: bool = False) -> "Hold":
        """Take a file for this process; the operating system releases it when the process dies.

        Args:
            path: The real path of the database, absolute.
            create: Make an empty file if there is none. If False, only the name of a missing file is locked.

        Raises:
            StoreLocked: Another process or this one has the file.
            StoreFailed: The file or its lock cannot be written, or it is not a file, or the file alone is mounted.
        """
        require_place(path)
        for beside in BESIDE:
            name = f"{path}{beside}"
            if (why := kind_of(name, follow=False)) is not None:
                raise StoreFailed(f"{name} cannot be used beside a store: {why} Move it away.")
        if is_mount_point(path):
            raise StoreFailed(
                f"{path} is mounted by itself. The files beside it (-wal, .id, .lock) would be left behind, and with "
                f"them acknowledged changes. Mount its folder instead."
            )
        lock = _lock_name(path)
        try:
            return cls(path, lock, _lock_file(path, create=create))
        except BaseException:
            lock.release()
            raise

    def release(self) -> None:
        """Unlock the file for other processes. To be called when SQLite's connections to it are closed."""
        _held().discard(self)
        self._close()
        self._lock.release()

    def header(self) -> bytes:
        """Read the first hundred bytes of the file, which are SQLite's header; fewer if the file is shorter.

        Raises:
            StoreFailed: The file cannot be read.
        """
        try:
            return self.read(0, 100)
        except OSError as error:
            raise StoreFailed(f"{self.path} cannot be read: {error.strerror}") from error

    def read(self, offset: int, most: int) -> bytes:
        """Read a piece of the file, up to its end."""
        return os.pread(self._descriptor, most, offset) if self._descriptor is not None else b""

    def tell_of_readers(self) -> None:
        """Warn if other users may read the file. Its mode is not changed, because a backup job may rely on it."""
        mode = os.fstat(self._descriptor).st_mode & 0o777 if self._descriptor is not None else MODE
        if sys.platform != "win32" and mode & 0o077:
            logger.warning(
                "%s can be read by other users of this machine (mode %04o), and SQLite gives its -wal the same mode. "
                "A store that is made now gets %04o. If no other user should read it: chmod 600 %s*",
                self.path,
                mode,
                MODE,
                self.path,
            )

    def watch(self, number: int) -> None:
        """Remember the files that SQLite has open. To be called when its connections are open.

        Args:
            number: The number that the header has, or has once its -wal is folded.

        Raises:
            StoreGone: The files were moved or deleted meanwhile.
        """
        try:
            self._ids = tuple(_id_of(name) for name in (self.path, f"{self.path}-wal"))
            if self._descriptor is not None:
                # SQLite has no lock on the -wal, so it may be opened and closed.
                self._wal = os.open(f"{self.path}-wal", os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
                self.index = SharedIndex(f"{self.path}-shm")
                found = self.read(0, HEADER_BYTES)
                own = found[:USER_VERSION_AT] + number.to_bytes(4, "big") + found[USER_VERSION_AT + 4 :]
                # A new file has no header while another connection reads it.
                self._headers = frozenset(map(_constant, (found, own))) if found else frozenset()
        except OSError as error:
            raise StoreGone(self.path, f"cannot be found ({error.strerror})") from error

    def moved(self) -> str | None:
        """Say how the paths do not lead to SQLite's open files any more, or how they were overwritten; None: no change.

        It looks up the names and reads the headers. Opening the file would drop SQLite's locks when it is closed.
        """
        try:
            for id_, name in zip(self._ids, (self.path, f"{self.path}-wal"), strict=False):
                found = os.stat(name)
                if (found.st_dev, found.st_ino) != id_:
                    return "was replaced" if name == self.path else "got another -wal"
        except FileNotFoundError as error:
            return "was moved or deleted" if error.filename == self.path else "lost its -wal"
        except OSError as error:
            return f"cannot be found ({error.strerror})"
        try:
            return self._overwritten()
        except OSError:  # an unreadable file is not known to be another one; SQLite reports it when it reads
            return None

    def _overwritten(self) -> str | None:
        """Say how the files were emptied or overwritten in place, as `>` and `cp` do; None: they were not."""
        if self._headers and _constant(self.read(0, HEADER_BYTES)) not in self._headers:
            return "was emptied or overwritten"
        # A -wal that was emptied grows again from SQLite's present offset, with zeros before. A folded -wal is empty.
        if self._wal is not None and (head := os.pread(self._wal, 4, 0)) and head not in WAL_MAGIC:
            return "has a -wal that was emptied or overwritten"
        # Looked at twice, because a commit may begin the -wal anew during one look.
        return "has a -wal that was cut short" if self._is_cut() and self._is_cut() else None

    def _is_cut(self) -> bool:
        return self._wal is not None and self.index is not None and self.index.is_beyond(os.fstat(self._wal).st_size)

    def keep_wal(self) -> None:
        """Make SQLite leave the -wal alone when its last connection is closed.

        SQLite would fold the -wal and delete it by its name, which may belong to another file by now. SQLite does so
        only if it can lock the file for itself.
        """
        if sys.platform == "linux" and self._descriptor is not None:
            with suppress(OSError):
                region = FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, SHARED_FIRST, SHARED_BYTES, 0)
                fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, region)

    def close_in_child(self) -> None:
        """Close the descriptors of this process, which is a fork of the process that has the file."""
        self._close()
        # The lock on the name belongs to the open file too, and would outlive the parent.
        descriptor = getattr(getattr(self._lock, "_context", None), "lock_file_fd", None)
        if isinstance(descriptor, int):
            with suppress(OSError):
                os.close(descriptor)
            self._lock._context.lock_file_fd = None

    def _close(self) -> None:
        wal, self._wal = self._wal, None
        if wal is not None:
            with suppress(OSError):
                os.close(wal)
        index, self.index = self.index, None
        if index is not None:
            with suppress(OSError):
                index.close()
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)


def holds_of(path: str) -> "list[Hold]":
    """The holds of this process on a file, for a simulation in which a host dies but the process does not.

    Args:
        path: The real path of the database, absolute.
    """
    return [hold for hold in _held() if hold.path == path]


def header_of(path: str) -> bytes | None:
    """Read the first hundred bytes of a file; None if this process has the file open.

    Raises:
        StoreFailed: The file cannot be read.
    """
    try:
        if _id_of(path) in {hold.file for hold in _held()}:
            return None
        with open(path, "rb") as file:
            return file.read(100)
    except OSError as error:
        raise StoreFailed(f"{path} cannot be opened: {error.strerror}") from error


def make_private(path: str) -> None:
    """Make an empty file that only its user can read, for SQLite to fill. SQLite gives the -wal the same mode.

    Raises:
        FileExistsError: The file exists.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE))


def require_place(path: str) -> None:
    """Check that a file exists or can be made, and that its path is not a folder or another kind of file.

    Args:
        path: Absolute.

    Raises:
        StoreFailed: Its folder does not exist, or the path is not a regular file.
    """
    require_folder(path)
    if (why := kind_of(path)) is not None:
        raise StoreFailed(f"{path} cannot be used as a store: {why} A store is a regular file.")


def require_folder(path: str) -> None:
    """Check that the folder of a file exists.

    Args:
        path: Absolute.

    Raises:
        StoreFailed: It does not exist.
    """
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        raise StoreFailed(f"{path} cannot be created: there is no directory {directory}")


def is_mount_point(path: str) -> bool:
    """Whether a file is mounted by itself, as with `docker run -v ./perdure.db:/data/perdure.db`."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            mounts = file.read().splitlines()
    except OSError:
        return False  # not Linux
    wanted = os.fsencode(path)
    return any(len(fields := line.split(b" ")) > 4 and _unescaped(fields[4]) == wanted for line in mounts)


def _unescaped(name: bytes) -> bytes:
    for octal, char in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        name = name.replace(octal, char)
    return name


def _constant(header: bytes) -> bytes:
    """The part of a header that no commit changes: its format, its program's number, and its `user_version`."""
    version, program = (header[at : at + 4] for at in (USER_VERSION_AT, APPLICATION_ID_AT))
    return header[:18] + version + program


def _id_of(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def why_of(error: OSError) -> str:
    """Return the system's words for an error of a file, with a question where the rights of the user are the reason."""
    asked = ". May this user write there?" if error.errno in (errno.EACCES, errno.EPERM) else ""
    return f"{error.strerror}{asked}"


def _lock_name(path: str) -> BaseFileLock:
    lock = FileLock(f"{path}.lock", thread_local=False, mode=MODE)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise StoreLocked(path) from None
    except OSError as error:
        raise StoreFailed(f"{path}.lock cannot be written: {why_of(error)}") from error
    return lock


def _lock_file(path: str, *, create: bool) -> int | None:
    """Open and lock the file itself; None if there is none and `create` is False."""
    with suppress(OSError):
        # A file that this process has is not opened again: see the rule.
        if _id_of(path) in {hold.file for hold in _held()}:
            raise StoreLocked(path)
    try:
        descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), MODE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreFailed(f"{path} cannot be opened: {why_of(error)}") from error
    try:
        _lock_byte(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock_byte(path: str, descriptor: int) -> None:
    if sys.platform != "linux":
        return
    try:
        region = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, LOCKED_BYTE, 1, 0)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, region)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise StoreLocked(path) from None
        logger.warning("%s cannot be locked by itself (%s), only by its name", path, error.strerror)


@cache
def _held() -> "weakref.WeakSet[Hold]":
    """The holds of this process. One set for the process, because POSIX locks belong to a process too."""
    held: weakref.WeakSet[Hold] = weakref.WeakSet()

    def close_all() -> None:
        for hold in list(held):
            hold.close_in_child()
        held.clear()

    # A child would keep the lock after its parent has ended.
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=close_all)
    return held
