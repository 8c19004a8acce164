"""The work of a statement on tables: it sees, locks, inserts, changes and deletes rows as READ COMMITTED has it.

The rule: a statement sees one snapshot to its end. Only a row that it locks, changes or deletes is read again
after a wait, as the other transaction has left it, and is left alone if it does not fit any more. So is a row that has
another key then, because the statements that wait for such rows name them by their keys.

Functions that may have to wait are generators: they yield the transaction that they wait for, and go on behind its end.
"""

from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeAlias, TypeVar

from .....actors.store.postgres.driver import Refused
from .tables import Table
from .transactions import CONFLICT, NEVER, Ledger, Row, Strength, Transaction, Version

T = TypeVar("T")

# Yields the transactions that it waits for.
Waiting: TypeAlias = Generator[Transaction, None, T]
Fits: TypeAlias = Callable[[Row], bool]

UNIQUE_VIOLATION = "23505"


def always(row: Row) -> bool:
    """Fits every row."""
    return True


class Work:
    """One statement of a transaction, under one snapshot."""

    def __init__(self, ledger: Ledger, transaction: Transaction, snapshot: int) -> None:
        self._ledger = ledger
        self._transaction = transaction
        self._snapshot = snapshot

    def renew(self) -> None:
        """See what was committed until now, as the next of several statements that were sent together."""
        self._snapshot = self._ledger.commits

    # Reading.

    def sees(self, version: Version) -> bool:
        """Whether the statement sees a version."""
        own = self._transaction
        if version.maker is own:
            if version.made_in >= own.command:
                return False
        elif version.maker.committed_at > self._snapshot:
            return False
        ender = version.ender
        if ender is None:
            return True
        if ender is own:
            return version.ended_in >= own.command
        return ender.committed_at > self._snapshot

    def scan(self, table: Table) -> Iterator[Row]:
        """All rows, in no order that counts."""
        return (version.row for version in table.all() if self.sees(version))

    def find(self, table: Table, columns: tuple[int, ...], key: Any) -> list[Version]:
        """The rows with a key."""
        return [version for version in table.versions(columns, key) if self.sees(version)]

    def rows(self, table: Table, columns: tuple[int, ...], key: Any) -> list[Row]:
        """The rows with a key."""
        return [version.row for version in table.versions(columns, key) if self.sees(version)]

    def versions(self, table: Table) -> list[Version]:
        """All rows, as versions that can be locked."""
        return [version for version in table.all() if self.sees(version)]

    def latest(self, table: Table, columns: tuple[int, ...], key: Any) -> Version | None:
        """The row with a key as it was committed last, whether the snapshot sees it or not."""
        for version in table.versions(columns, key):
            committed = version.maker.committed_at != NEVER or version.maker is self._transaction
            if committed and (version.ender is None or version.ender.committed_at == NEVER):
                return version
        return None

    # Changing.

    def lock(self, version: Version, strength: Strength, fits: Fits = always) -> Waiting[Version | None]:
        """Lock a row that the statement sees.

        Args:
            fits: Checked again on the row as it is after a wait.

        Returns:
            The row as it is now; None: it was deleted, or does not fit any more.
        """
        own = self._transaction
        seen = version
        while True:
            while (holder := _in_the_way(version, own, strength)) is not None:
                yield holder
            ender = version.ender
            if ender is None or ender.committed_at == NEVER:
                break
            if version.newer is None:
                return None
            version = version.newer
        if ender is own:  # an earlier part of the same statement has changed it
            return None
        locks = version.locks
        if locks is None:
            locks = version.locks = {}
        if locks.get(own, 0) < strength:
            if own not in locks:
                own.locked.append(version)
            locks[own] = strength
        return version if version is seen or (_has_key_of(seen, version) and fits(version.row)) else None

    def delete(self, version: Version, fits: Fits = always) -> Waiting[Row | None]:
        """Delete a row; return it, or None if it was deleted or does not fit any more."""
        found = yield from self.lock(version, Strength.UPDATE, fits)
        if found is None:
            return None
        self._end(found)
        return found.row

    def update(
        self,
        version: Version,
        change: Callable[[Row], Row],
        fits: Fits = always,
        *,
        strength: Strength = Strength.NO_KEY_UPDATE,
    ) -> Waiting[Row | None]:
        """Change a row; return it as it is then, or None if it was deleted or does not fit any more."""
        found = yield from self.lock(version, strength, fits)
        if found is None:
            return None
        row = change(found.row)
        table = found.table
        assert isinstance(table, Table)
        if strength is Strength.UPDATE:
            yield from self._unique(table, row, but=found)
        self._end(found)
        found.newer = self._make(table, row)
        self._hand_on_locks(found, found.newer)
        return row

    def _hand_on_locks(self, old: Version, new: Version) -> None:
        """Let the transactions that hold a row together with this one hold its new version."""
        for other, strength in (old.locks or {}).items():
            if other is not self._transaction:
                new.locks = {**(new.locks or {}), other: strength}
                other.locked.append(new)

    def insert(self, table: Table, row: Row, *, or_nothing: bool = False) -> Waiting[bool]:
        """Insert a row.

        Args:
            or_nothing: ON CONFLICT DO NOTHING.

        Returns:
            Whether it is there now.

        Raises:
            Refused: There is one with the same key.
        """
        if table.keys and not (yield from self._unique(table, row, or_nothing=or_nothing)):
            return False
        self._make(table, row)
        return True

    def _unique(self, table: Table, row: Row, *, but: Version | None = None, or_nothing: bool = False) -> Waiting[bool]:
        """Wait until it is certain that no row has a key of another one.

        Raises:
            Refused: A row has the key.
        """
        for columns in table.keys:
            key = row[columns[0]] if len(columns) == 1 else tuple(row[at] for at in columns)
            while True:
                other, holder = self._holder(table, columns, key, but)
                if holder is not None:
                    yield holder
                elif other:
                    if or_nothing:
                        return False
                    names = ", ".join(table.columns[at] for at in columns)
                    raise Refused(UNIQUE_VIOLATION, f"{table.name} has a row with this key ({names})")
                else:
                    break
        return True

    def _holder(
        self, table: Table, columns: tuple[int, ...], key: Any, but: Version | None
    ) -> tuple[bool, Transaction | None]:
        """Whether a key is taken; and the transaction that must end before that is known."""
        own = self._transaction
        for version in table.versions(columns, key):
            if version is but:
                continue
            maker, ender = version.maker, version.ender
            if ender is not None and (ender is own or ender.committed_at != NEVER):
                continue
            if ender is not None:
                return False, ender
            if maker is not own and maker.committed_at == NEVER:
                return False, maker
            return True, None
        return False, None

    def _make(self, table: Table, row: Row) -> Version:
        version = Version(table, row, self._transaction)
        self._transaction.made.append(version)
        table.keep(version)
        return version

    def _end(self, version: Version) -> None:
        version.ender = self._transaction
        version.ended_in = self._transaction.command
        self._transaction.ended.append(version)


def _has_key_of(seen: Version, now: Version) -> bool:
    """Whether a row still has the key that it had."""
    table = seen.table
    assert isinstance(table, Table)
    return all(seen.row[at] == now.row[at] for columns in table.keys[:1] for at in columns)


def _in_the_way(version: Version, own: Transaction, strength: Strength) -> Transaction | None:
    """A transaction that must end before a row can be locked; None: it can be locked now."""
    if version.locks:
        for other, held in version.locks.items():
            if other is not own and held + strength >= CONFLICT:
                return other
    return None
