"""Checkpoints: the pages of a -wal are copied into the file in parallel with commits, and not within a commit.

The rule: no commit waits for more than a few pages. SQLite would copy all pages within the commit that exceeds its
limit, and flush the file, which takes seconds on a busy disk. Here a thread with a connection of its own copies them
while commits go on. In its next round the thread copies pages that these commits have added, until few pages are left.
The writer copies the last pages after a commit, because a -wal begins anew only at a commit before which all its pages
were copied.

If the thread cannot keep up, the -wal grows, up to a limit at which the writer copies all pages. A slow reader prevents
pages from being copied, here as in SQLite. `actors/store/sqlite/store.py` uses this module.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress

import anyio
import anyio.to_thread

from ...durability import Durability
from ..connection import connect, set_flushes
from .shared_index import SharedIndex

logger = logging.getLogger(__name__)

# A checkpoint begins when the WAL has this many pages (16 MiB). With SQLite's default of
# 1000, the same pages of the index are copied again and again: 10 % fewer rows a second.
BEGIN_PAGES = 4000
REST_PAGES = 250  # up to this many pages the writer copies itself
PAGES_MAX = 64 * 1024  # 256 MiB: from this size on the writer copies all pages

CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpoints:
    """The checkpoints of one file, until `close`.

    Args:
        connect: Connects to the file, with the settings of the writer's connection.
        index: The index of its -wal.
        beside: Whether a thread may copy; otherwise the writer copies all pages.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], index: SharedIndex, *, beside: bool = True) -> None:
        self._connect = connect
        self._index = index
        self._beside = beside
        self._wanted = threading.Event()
        self._ended = False
        self._under_way: sqlite3.Connection | None = None
        self._thread: threading.Thread | None = None

    def after_commit(self, writer: sqlite3.Connection) -> None:
        """Begin a checkpoint, or end one, if it is time. To be called on the writer's thread, outside a transaction."""
        frames = self._index.frames()
        if frames.all < BEGIN_PAGES or not frames.left:
            return
        if not self._beside or frames.left <= REST_PAGES or frames.all >= PAGES_MAX:
            copy(writer)
        elif not self._wanted.is_set():
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="perdure-checkpoints", daemon=True)
                self._thread.start()
            self._wanted.set()

    async def close(self) -> None:
        """End the thread, even during a copy. To be called when no commit follows."""
        if self._thread is None:
            self._ended = True
        else:
            await anyio.to_thread.run_sync(self.end)

    def end(self) -> None:
        """End the thread, and wait for its end."""
        self._ended = True
        self._wanted.set()
        if (connection := self._under_way) is not None:
            with suppress(sqlite3.ProgrammingError):  # the thread has ended by itself
                connection.interrupt()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            with closing(self._connect()) as connection:
                self._under_way = connection
                while self._wanted.wait() and not self._ended:
                    self._copy(connection)
                    if not self._ended:
                        self._wanted.clear()
                self._under_way = None
        except (sqlite3.Error, OSError) as error:
            logger.warning("the -wal is copied in the commits from now on: %s", error)
            self._beside = False

    def _copy(self, connection: sqlite3.Connection) -> None:
        self._index.begin()
        try:
            copy(connection)
        finally:
            self._index.end()


def copy(connection: sqlite3.Connection) -> None:
    """Copy those pages of the -wal whose old versions no reader needs, and flush the file."""
    try:
        connection.execute(CHECKPOINT).fetchall()
    except sqlite3.Error as error:
        # The pages are in the -wal and are copied later; a commit that cannot be written raises an error to its caller.
        logger.debug("a checkpoint failed: %s", error)


def leave_checkpoints(connection: sqlite3.Connection) -> None:
    """Make a connection commit without checkpoints."""
    connection.execute("PRAGMA wal_autocheckpoint = 0")


def connect_for_checkpoints(path: str, durability: Durability) -> sqlite3.Connection:
    """Connect to a file on the thread that copies its -wal."""
    connection = connect(path, statements=4)
    leave_checkpoints(connection)
    set_flushes(connection, durability)
    return connection
