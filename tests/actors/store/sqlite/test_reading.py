"""Reads see one snapshot, do not wait for commits, and write nothing."""

import sqlite3
import threading
from pathlib import Path

import anyio
import pytest

from perdure.actors.store.sqlite.writing import transact
from perdure.actors.store.tables.checksums import sealed_entries

from ....support.actors.sqlite_file import change, log, on_writer, opened, write

pytestmark = pytest.mark.anyio


async def test_reads_do_not_wait_for_commits(path: Path) -> None:
    async with opened(path) as store, anyio.create_task_group() as tasks:
        await store.commit([write(store.new_key(), record=b"r")], await store.claim("host", now_us=1))
        # Given a transaction under way,
        release, finished = threading.Event(), threading.Event()

        def slowly(connection: sqlite3.Connection) -> None:
            transact(lambda _: release.wait(5), connection)
            finished.set()

        tasks.start_soon(on_writer, store, slowly)
        await anyio.wait_all_tasks_blocked()
        # then a read comes back before it is done.
        assert await log(store) == []
        assert not finished.is_set()
        release.set()


async def test_a_read_that_takes_several_statements_is_of_one_moment(path: Path) -> None:
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        await store.commit([write(key, record=b"old", entry=b"old")], fences)

        def commit_between(sql: str) -> None:
            if sql.startswith("SELECT key, position, at_us, entry FROM log"):
                position, _, at_us, entry = sealed_entries([(key, 1, b"\0")], 2)
                change(path, f"INSERT INTO log VALUES ({position}, {key}, {at_us}, x'{entry.hex()}')")

        # When a commit comes between reading the record and reading the log,
        assert store._reader is not None
        await store._reader.call(lambda connection: connection.set_trace_callback(commit_between))
        entries = await log(store)
        await store._reader.call(lambda connection: connection.set_trace_callback(None))
        # then the log is that of the record.
        assert entries == [b"old"]
        assert await log(store) == [b"old", b"\0"]


async def test_the_reader_cannot_write(path: Path) -> None:
    async with opened(path) as store:
        assert store._reader is not None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await store._reader.call(lambda connection: connection.execute("DELETE FROM actors"))
