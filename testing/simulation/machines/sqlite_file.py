"""The SQLite file of a simulated machine: the real store on a real file, for one life after the other.

The one law: what a life has had on the disk when it was killed is there for the next, and of its locks and connections
nothing is, as after the death of a process.

The file lies in memory where the machine has a file system for that (/dev/shm): a flush costs nothing there, and how
long it takes is the world's to say (`testing/simulation/machines/disk.py`).
"""

import os
import shutil
import tempfile

from ....actors.instruments import Instruments
from ....actors.store.sqlite.connection import STATEMENTS_CACHED, connect
from ....actors.store.sqlite.identity import holds_of
from ....actors.store.sqlite.store import SqliteStore
from .carrier import InlineCarrier

IN_MEMORY = "/dev/shm"  # noqa: S108  a folder of our own is made in it


class SqliteFile:
    """A folder with a store's file, which is made at once and removed by `remove`."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="perdure-world-", dir=IN_MEMORY if os.path.isdir(IN_MEMORY) else None)
        self.path = os.path.realpath(os.path.join(self.folder, "world.db"))
        self._carriers: list[InlineCarrier] = []

    def store(self, instruments: Instruments) -> SqliteStore:
        """The store of a new life."""
        return SqliteStore(self.path, connect=self._connect, instruments=instruments)

    def abandon(self) -> None:
        """Take away what the operating system takes of a process that was killed: its connections and locks.

        SQLite would fold its -wal into the file when the last connection is closed, which a killed process does not.
        """
        holds = holds_of(self.path)
        for hold in holds:
            hold.keep_wal()
        self._close()
        for hold in holds:
            hold.release()

    def remove(self) -> None:
        """Remove the folder, once nothing of the world runs any more."""
        self.abandon()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _connect(self, path: str, *, statements: int = STATEMENTS_CACHED) -> InlineCarrier:
        carrier = InlineCarrier(connect(path, statements))
        self._carriers.append(carrier)
        return carrier

    def _close(self) -> None:
        carriers, self._carriers = self._carriers, []
        for carrier in carriers:
            carrier.drop()
