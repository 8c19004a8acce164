"""Transactions of the stand-in for a PostgreSQL server: the changes of each, and their visibility to others.

The rule: the changes of a transaction are visible to others once it is committed, in the order of the commits, and are
undone as a whole if it is not. A statement sees the changes that were committed before its snapshot, and the changes of
earlier statements of its own transaction.

Locks of rows are kept with the versions of the rows, and end with their transactions. `work.py` takes them.
"""

from collections import deque
from collections.abc import Iterable
from enum import IntEnum
from itertools import count
from typing import Any, Protocol, TypeAlias

Row: TypeAlias = tuple[Any, ...]

# Higher than any snapshot.
NEVER = 2**62


class Strength(IntEnum):
    """The strengths of locks of rows. Two of them can be held at once if their sum is less than CONFLICT."""

    KEY_SHARE = 1
    SHARE = 2
    NO_KEY_UPDATE = 3  # that of an UPDATE which leaves all keys as they are
    UPDATE = 4  # that of a DELETE, and of an UPDATE of a key


CONFLICT = 5


class KeepsVersions(Protocol):
    """A table, as transactions use it."""

    def all(self) -> "list[Version]":
        """All versions of all rows."""
        ...

    def forget(self, version: "Version") -> None:
        """Take a version away."""
        ...


class Transaction:
    """A transaction, open or over.

    Attributes:
        committed_at: The number of its commit; NEVER: it is open, or was undone.
        over: Whether it has ended.
        command: Which of its statements is under way, from 1.
        waiting: The statements that wait for its end, in order.
    """

    __slots__ = ("command", "committed_at", "ended", "locked", "made", "number", "over", "waiting")

    def __init__(self, number: int) -> None:
        self.number = number
        self.committed_at = NEVER
        self.over = False
        self.command = 0
        self.made: list[Version] = []
        self.ended: list[Version] = []
        self.locked: list[Version] = []
        self.waiting: list[Any] = []

    @property
    def wrote(self) -> bool:
        """Whether it has changed anything."""
        return bool(self.made or self.ended)


class Version:
    """A row, from the statement that made it to the one that changed or deleted it.

    Attributes:
        ender: The transaction that has changed or deleted it; None: there is none.
        newer: The version that an UPDATE has made of it.
        locks: By open transaction.
    """

    __slots__ = ("ended_in", "ender", "locks", "made_in", "maker", "newer", "row", "serial", "table")

    def __init__(self, table: KeepsVersions, row: Row, maker: Transaction) -> None:
        self.table = table
        self.row = row
        self.serial = 0
        self.maker = maker
        self.made_in = maker.command
        self.ender: Transaction | None = None
        self.ended_in = 0
        self.newer: Version | None = None
        self.locks: dict[Transaction, Strength] | None = None


class Ledger:
    """The order of commits, and the snapshots that are in use."""

    def __init__(self) -> None:
        self.commits = 0
        self._numbers = count(1)
        self._snapshot_numbers = count()
        self._snapshots: dict[int, int] = {}
        self._dead: deque[tuple[int, Version]] = deque()

    def begin(self) -> Transaction:
        """Begin a transaction."""
        return Transaction(next(self._numbers))

    def commit(self, transaction: Transaction) -> None:
        """End a transaction: snapshots that are taken from now on see its changes."""
        if transaction.wrote:
            self.commits += 1
            transaction.committed_at = self.commits
            self._dead.extend((self.commits, each) for each in transaction.ended)
        self._end(transaction)

    def undo(self, transaction: Transaction) -> None:
        """End a transaction, and undo its changes."""
        for version in transaction.ended:
            version.ender = version.newer = None
        for version in reversed(transaction.made):
            version.table.forget(version)
        self._end(transaction)

    def _end(self, transaction: Transaction) -> None:
        transaction.over = True
        for version in transaction.locked:
            if version.locks is not None:
                version.locks.pop(transaction, None)
        transaction.made, transaction.ended, transaction.locked = [], [], []
        waiting, transaction.waiting = transaction.waiting, []
        for each in waiting:
            each.go_on()
        self._prune()

    # Snapshots.

    def hold(self, snapshot: int) -> int:
        """Keep the versions that a snapshot sees until `release` is called with the returned number."""
        number = next(self._snapshot_numbers)
        self._snapshots[number] = snapshot
        return number

    def release(self, number: int) -> None:
        """Forget a snapshot, and the versions that it alone could see."""
        self._snapshots.pop(number, None)
        self._prune()

    def _prune(self) -> None:
        """Forget versions that no snapshot sees."""
        dead = self._dead
        if not dead:
            return
        oldest = min(self._snapshots.values(), default=self.commits)
        while dead and dead[0][0] <= oldest:
            version = dead.popleft()[1]
            version.table.forget(version)

    def forget_since(self, snapshot: int, tables: Iterable[KeepsVersions]) -> int:
        """Undo all commits since a snapshot, and return their number.

        The snapshot is held, by its number, and no transaction is open.
        """
        lost = self.commits - snapshot
        for table in tables:
            for version in table.all():
                if version.maker.committed_at > snapshot:
                    table.forget(version)
                elif version.ender is not None and version.ender.committed_at > snapshot:
                    version.ender = version.newer = None
        self._dead = deque(each for each in self._dead if each[0] <= snapshot)
        return lost
