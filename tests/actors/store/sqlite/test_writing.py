"""A commit is one transaction of few statements, and leaves no rows if it fails."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from perdure.actors.address import Address
from perdure.actors.store.contract import Stored
from perdure.actors.store.errors import StoreFenced
from perdure.actors.store.sqlite import writing
from perdure.actors.store.sqlite.lists.kinds import Kinds

from ....support.actors.sqlite_file import A, change, full_write, log, on_writer, opened, write

pytestmark = pytest.mark.anyio


class Failing:
    """A connection on which some statements fail, as on a failing disk."""

    def __init__(self, connection: sqlite3.Connection, *statements: str) -> None:
        self._connection = connection
        self.statements = set(statements)

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql in self.statements:
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(sql, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


async def test_a_commit_whose_flush_failed_is_rolled_back_and_overwritten(path: Path) -> None:
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        await store.commit([write(store.new_key(), record=b"old")], fences)

        def commit_fails(connection: sqlite3.Connection) -> None:
            failing: Any = Failing(connection, "COMMIT")
            writing.transact(lambda connection: connection.execute("UPDATE actors SET record = x'00'"), failing)

        with pytest.raises(sqlite3.OperationalError):
            await on_writer(store, commit_fails)
        (stored,) = await store.load([A])
        assert isinstance(stored, Stored)
        assert stored.record == b"old"
        assert await on_writer(store, failed_commits) == 1


def failed_commits(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT value FROM meta WHERE name = 'failed_commits'").fetchone()
    assert isinstance(count, int)
    return count


async def test_a_transaction_that_could_not_be_rolled_back_is_by_the_next_commit(path: Path) -> None:
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        await store.commit([write(key, record=b"r")], fences)

        def everything_fails(connection: sqlite3.Connection) -> None:
            failing: Any = Failing(connection, "COMMIT", "ROLLBACK")
            writing.transact(lambda connection: connection.execute("UPDATE actors SET record = x'00'"), failing)

        with pytest.raises(sqlite3.OperationalError):
            await on_writer(store, everything_fails)
        await store.commit([write(key, entry=b"next")], fences)
        (stored,) = await store.load([A])
        assert isinstance(stored, Stored)
        assert (stored.record, stored.entries) == (b"r", (b"next",))


async def test_an_error_that_is_not_sqlites_rolls_back_too(path: Path) -> None:
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        with pytest.raises(OverflowError):
            await store.commit([write(key, record=b"r"), write(2**64, Address("wf", "b"), record=b"")], fences)
        await store.commit([write(key, record=b"r")], fences)
        assert await log(store) == []


async def test_an_epoch_that_another_process_raised_fences_this_one(path: Path) -> None:
    # Given a host whose lock file was deleted, so that another could claim its shards,
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        await store.commit([write(key, record=b"r")], fences)
        change(path, "UPDATE shards SET epoch = epoch + 1, host = 'other'")
        # then it cannot write any more.
        with pytest.raises(StoreFenced):
            await store.commit([write(key, entry=b"late")], fences)
        assert await log(store) == []


@pytest.mark.parametrize(("writes", "most"), [(1, 5), (100, 10), (128, 5)])
def test_hundreds_of_rows_are_a_handful_of_statements(writes: int, most: int) -> None:
    batch = [full_write(key, Address("wf", str(key))) for key in range(1, writes + 1)]
    assert len(list(writing.statements_of(writing.changes_of(batch, Kinds(), 0), 1))) <= most
