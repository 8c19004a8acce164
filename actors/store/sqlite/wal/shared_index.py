"""SQLite's index of a -wal (`<path>-shm`), which SQLite maps into this process, read through a descriptor.

The rule: no transaction begins on an index that was cut short. Reading a mapping beyond the end of its file ends the
process. So before each transaction the length of the file is checked, and a shortened file is made anew while no
transaction is under way. The new file is empty, and SQLite then fills it from the -wal, as after a crash.

An index that is cut short during a transaction ends the process. That is intended: otherwise the transaction would
assume that pages of the missing entries are not in the -wal. `actors/store/sqlite/identity.py` has an index for a file
that is in use, and `actors/store/sqlite/store.py` begins and ends each trip to a connection with it.
"""

import logging
import os
import sqlite3
import struct
import threading
from collections.abc import Callable
from typing import NamedTuple, TypeVar

T = TypeVar("T")

logger = logging.getLogger(__name__)

# In the header of the index, in the order of this machine (https://www.sqlite.org/walformat.html).
PAGE_BYTES_AT, LAST_FRAME_AT, COPIED_AT = 14, 16, 96
PAGE, NUMBER = struct.Struct("=H"), struct.Struct("=I")
WAL_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
HEADER_BYTES = 136


class Frames(NamedTuple):
    """The pages in a -wal."""

    all: int
    copied: int  # how many of them the file itself has too

    @property
    def left(self) -> int:
        """How many pages have not been copied into the file yet."""
        return max(0, self.all - self.copied)


class SharedIndex:
    """The index of one -wal, while connections are open.

    Closing a descriptor of the index drops SQLite's locks on it, so `close` is called after the last connection's.

    Args:
        path: The path of the index.

    Raises:
        OSError: There is no index.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
        self._bytes = os.fstat(self._descriptor).st_size
        self._changed = threading.Condition()
        self._under_way = 0  # transactions under way

    def begin(self) -> None:
        """Begin a transaction on one of the connections, on its thread.

        Raises:
            OSError: The index was cut short and cannot be made anew.
        """
        with self._changed:
            found = os.fstat(self._descriptor).st_size
            if found < self._bytes:
                self._make_anew()
            else:
                self._bytes = found
            self._under_way += 1

    def end(self) -> None:
        """End the transaction that has begun."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def frames(self) -> Frames:
        """The pages in the -wal, as of the last commit."""
        header = os.pread(self._descriptor, HEADER_BYTES, 0)
        if len(header) < HEADER_BYTES:
            return Frames(0, 0)
        return Frames(NUMBER.unpack_from(header, LAST_FRAME_AT)[0], NUMBER.unpack_from(header, COPIED_AT)[0])

    def is_beyond(self, wal_bytes: int) -> bool:
        """Whether the -wal should have more bytes than it has."""
        header = os.pread(self._descriptor, HEADER_BYTES, 0)
        if len(header) < HEADER_BYTES:
            return False
        (frames,), (page_bytes,) = NUMBER.unpack_from(header, LAST_FRAME_AT), PAGE.unpack_from(header, PAGE_BYTES_AT)
        frame_bytes = FRAME_HEADER_BYTES + (page_bytes if page_bytes > 1 else 65536)
        return bool(frames) and wal_bytes < WAL_HEADER_BYTES + frames * frame_bytes

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)

    def _make_anew(self) -> None:
        while self._under_way:
            self._changed.wait()
        missing = self._bytes
        while missing:  # a full disk may write a part
            missing -= os.pwrite(self._descriptor, bytes(missing), self._bytes - missing)
        logger.warning("%s was cut short by another program, and was made anew from the -wal", self.path)


def within(index: SharedIndex | None, function: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    """Run a function on the thread of its connection, with an index that is whole at its begin."""
    if index is None:
        return function(connection)
    index.begin()
    try:
        return function(connection)
    finally:
        index.end()
