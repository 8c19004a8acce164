"""The SQLite store keeps its promises when processes are killed, disks are full, and others want the file."""

import asyncio
import inspect
import os
import re
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
import anyio
import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.store.contract import Write
from perdure.actors.store.errors import StoreDivided, StoreFailed, StoreFenced, StoreLocked, StoreTooNew
from perdure.actors.store.part import WHOLE, Part
from perdure.actors.store.sqlite import store as sqlite
from perdure.actors.store.sqlite.store import Connection, Durability, SqliteStore

pytestmark = pytest.mark.anyio

A = Address("wf", "a")
DIARY = b"dear diary\n" * 500


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def write(key: int, address: Address = A, **fields: Any) -> Write:
    return Write(key=key, address=address, shard=shard_of(address.id, 64), at_us=1, **fields)


async def log(store: SqliteStore, address: Address = A) -> list[bytes] | None:
    (stored,) = await store.load([address])
    return None if stored is None else list(stored.entries)


async def on_writer(store: SqliteStore, function: Callable[[sqlite3.Connection], Any]) -> Any:
    assert store._writer is not None
    return await store._writer.call(function)


async def pragma(store: SqliteStore, name: str) -> object:
    return (await on_writer(store, lambda connection: connection.execute(f"PRAGMA {name}").fetchone()))[0]


# Whose file it is.


async def test_a_second_store_on_the_same_file_is_refused_at_once(path: Path) -> None:
    async with opened(path) as store:
        with pytest.raises(StoreLocked, match="in use by another"):
            await open_and_close(path)
        # The first is none the worse for it.
        await store.commit([write(1, record=b"r")], await store.claim("host", now_us=1))


async def test_a_symbolic_link_is_the_same_file(path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    async with opened(path):
        with pytest.raises(StoreLocked):
            await open_and_close(link)


@pytest.mark.parametrize("asked", [WHOLE, Part(0, 4), Part(1, 3)])
async def test_a_file_is_not_opened_as_another_part_than_it_is(path: Path, asked: Part) -> None:
    await open_and_close(path, part=Part(1, 4))
    before = contents(path)
    with pytest.raises(StoreDivided, match=r"store\.db is part 2 of 4") as divided:
        await open_and_close(path, part=asked)
    assert (divided.value.found, divided.value.asked) == (Part(1, 4), asked)
    assert contents(path) == before
    # And as what it is it opens again.
    await open_and_close(path, part=Part(1, 4))


HOLD = """
import sys, anyio
from perdure.actors.store.sqlite.store import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    print("open", flush=True)
    sys.stdin.read()

anyio.run(main)
"""


def test_another_process_is_refused_until_the_holder_is_killed(path: Path) -> None:
    with child(HOLD, path) as process:
        # Given another process that holds the file,
        assert read_line(process) == "open"
        with pytest.raises(StoreLocked):
            anyio.run(open_and_close, path)
        # when it is killed, without a chance to tidy up,
        process.kill()
    # then the file is free.
    anyio.run(open_and_close, path)


COMMIT = """
import sys, anyio
from perdure.actors.address import Address, shard_of
from perdure.actors.store.contract import Write
from perdure.actors.store.sqlite.store import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    fences = await store.claim("child", now_us=1)
    actors = [(store.new_key(), Address("wf", id)) for id in "abc"]
    for n in range(1_000_000):
        await store.commit([
            Write(key=key, address=address, shard=shard_of(address.id, 64), at_us=n, entry=b"%d" % n,
                  record=b"%d" % n, reminders_set=[("r", n)], reminders_cleared=[("r", n - 1)])
            for key, address in actors
        ], fences)
        print(n, flush=True)

anyio.run(main)
"""


def test_every_acknowledged_commit_survives_kill_9_and_every_batch_is_whole(path: Path) -> None:
    # Given a process that commits one batch for three actors after the other, killed in the middle of it,
    with child(COMMIT, path) as process:
        for _ in range(100):
            acknowledged = int(read_line(process))
        process.kill()
        assert process.stdout is not None
        acknowledged = max([acknowledged, *(int(line) for line in process.stdout.read().splitlines())])
    # when the store is opened again,
    actors = [Address("wf", id_) for id_ in "abc"]

    async def look() -> tuple[list[Any], list[Any]]:
        async with opened(path) as store:
            return await store.load(actors), await store.reminders(after=None, limit=9)

    stored, reminders = anyio.run(look)
    # then the log has every acknowledged entry, and perhaps the one that was under way;
    last = int(stored[0].entries[-1])
    assert acknowledged <= last <= acknowledged + 1
    # and all that a batch wrote is there, for each of its actors.
    for actor in stored:
        assert actor.entries == tuple(b"%d" % n for n in range(last + 1))
        assert actor.record == b"%d" % last
    assert [(reminder.due_us, reminder.address) for reminder in reminders] == [(last, actor) for actor in actors]


@contextmanager
def child(script: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def open_and_close(path: Path, **options: Any) -> None:
    async with opened(path, **options):
        pass


# What kind of file it is.


async def test_a_file_of_a_newer_release_is_refused_and_left_alone(path: Path) -> None:
    await open_and_close(path)
    change(path, "UPDATE meta SET value = 99 WHERE name = 'schema'")
    before = contents(path)
    with pytest.raises(StoreTooNew) as error:
        await open_and_close(path)
    assert (error.value.found, error.value.known) == (99, 2)
    assert contents(path) == before


async def test_a_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    change(path, "CREATE TABLE meta (name, value)")
    before = contents(path)
    with pytest.raises(StoreFailed, match="another program"):
        await open_and_close(path)
    assert contents(path) == before


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    put(path, DIARY)
    with pytest.raises(StoreFailed, match=re.escape(f"{path} cannot be read as a store: file is not a database")):
        await open_and_close(path)
    assert contents(path) == DIARY


async def test_a_store_without_its_version_is_damaged(path: Path) -> None:
    await open_and_close(path)
    change(path, "DELETE FROM meta WHERE name = 'schema'")
    with pytest.raises(StoreFailed, match=r"damaged.*'schema'"):
        await open_and_close(path)


async def test_a_missing_directory_is_named(path: Path) -> None:
    with pytest.raises(StoreFailed, match=re.escape(f"there is no directory {path}")):
        await open_and_close(path / "store.db")


async def test_a_directory_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="cannot be opened"):
        await open_and_close(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_directory_that_may_not_be_written_to_is_said_to_be_so(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o500)
    with pytest.raises(StoreFailed, match="May this user write there"):
        await open_and_close(tmp_path / "store.db")


async def test_a_refused_open_lets_go_of_the_file_and_its_threads(path: Path) -> None:
    threads = threading.active_count()
    put(path, DIARY)
    store = SqliteStore(path)
    for _ in range(2):
        with pytest.raises(StoreFailed):
            await store.open()
    os.unlink(path)
    await store.open()
    await store.close()
    await all_threads_but(threads)


async def test_closing_leaves_one_file_and_no_threads(path: Path) -> None:
    threads = threading.active_count()
    async with opened(path) as store:
        await store.commit([write(store.new_key(), record=b"r")], await store.claim("host", now_us=1))
    assert sorted(file.name for file in path.parent.iterdir()) == ["store.db", "store.db.lock"]
    await all_threads_but(threads)


async def all_threads_but(count: int) -> None:
    # aiosqlite does not join its threads; they end right after they say so.
    with anyio.fail_after(5):
        while threading.active_count() > count:
            await anyio.lowlevel.checkpoint()


async def test_the_number_of_shards_is_that_of_the_file(path: Path) -> None:
    async with opened(path, shards=5) as store:
        assert store.shards == 5
    async with opened(path, shards=7) as store:
        assert store.shards == 5
        assert set(await store.claim("host", now_us=1)) == set(range(5))


async def test_deleting_leaves_no_row_behind(path: Path) -> None:
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        await store.commit([full_write(key, A)], fences)
        await store.commit([write(key, delete=True, reminders_cleared=[("s", key)])], fences)
        assert await on_writer(store, count_rows) == [0, 0, 0, 0]


def count_rows(connection: sqlite3.Connection) -> list[int]:
    tables = ("actors", "active", "log", "reminders")
    return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]  # noqa: S608


async def test_keys_go_on_behind_the_highest_that_was_ever_written(path: Path) -> None:
    async with opened(path) as store:
        keys = [store.new_key() for _ in range(3)]
        fences = await store.claim("host", now_us=1)
        await store.commit([write(keys[1], record=b"r")], fences)
        await store.commit([write(keys[1], delete=True)], fences)
    async with opened(path) as store:
        assert store.new_key() == keys[1] + 1


def change(path: Path, *statements: str) -> None:
    """Do something to a file that the store itself never would."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def contents(path: Path) -> bytes:
    return path.read_bytes()


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


# What a commit outlives.


@pytest.mark.parametrize(("durability", "synchronous"), [(Durability.FULL, 2), (Durability.RELAXED, 1)])
async def test_durability_says_when_the_disk_is_flushed(path: Path, durability: Durability, synchronous: int) -> None:
    async with opened(path, durability=durability) as store:
        assert await pragma(store, "synchronous") == synchronous
        assert await pragma(store, "journal_mode") == "wal"


def test_full_durability_is_the_default_and_the_names_are_those_of_the_command_line() -> None:
    assert inspect.signature(SqliteStore).parameters["durability"].default is Durability.FULL
    assert {durability.value for durability in Durability} == {"full", "relaxed"}


async def test_a_full_disk_fails_the_commit_and_later_ones_work_once_there_is_room(path: Path) -> None:
    async with opened(path) as store:
        # Given a store that may not grow,
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        await store.commit([write(key, record=b"r", entry=b"before")], fences)
        await pragma(store, f"max_page_count = {await pragma(store, 'page_count')}")
        # when more is written than it has room for,
        with pytest.raises(StoreFailed, match="full") as failed:
            await store.commit([write(key, entry=b"small"), write(key, entry=b"x" * 100_000)], fences)
        # then nothing of it is there,
        assert isinstance(failed.value.__cause__, sqlite3.Error)
        assert await log(store) == [b"before"]
        # and when there is room again, writing goes on.
        await pragma(store, "max_page_count = 1000000")
        await store.commit([write(key, entry=b"after")], fences)
        assert await log(store) == [b"before", b"after"]


async def test_a_write_that_the_system_refuses_fails_the_commit_and_later_ones_work(path: Path) -> None:
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        await store.commit([write(key, record=b"r", entry=b"before")], fences)
        # Given a system that lets no file grow beyond what the WAL will need,
        with file_size_limit(path.with_name("store.db-wal").stat().st_size + 20_000):
            for _ in range(2):
                with pytest.raises(StoreFailed, match="disk"):
                    await store.commit([write(key, entry=b"x" * 100_000)], fences)
            assert await log(store) == [b"before"]
            # then what has room still goes in,
            await store.commit([write(key, entry=b"small")], fences)
        # and when it lets them, so does the rest.
        await store.commit([write(key, entry=b"after")], fences)
    async with opened(path) as store:
        assert await log(store) == [b"before", b"small", b"after"]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Failing:
    """A connection on which some statements fail, as on a disk that does."""

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
            sqlite.transact(lambda connection: connection.execute("UPDATE actors SET record = x'00'"), failing)

        with pytest.raises(sqlite3.OperationalError):
            await on_writer(store, commit_fails)
        (stored,) = await store.load([A])
        assert stored is not None
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
            sqlite.transact(lambda connection: connection.execute("UPDATE actors SET record = x'00'"), failing)

        with pytest.raises(sqlite3.OperationalError):
            await on_writer(store, everything_fails)
        await store.commit([write(key, entry=b"next")], fences)
        (stored,) = await store.load([A])
        assert stored is not None
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
    # Given a host whose lock file somebody deleted, so that another could claim its shards,
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        await store.commit([write(key, record=b"r")], fences)
        change(path, "UPDATE shards SET epoch = epoch + 1, host = 'other'")
        # then it can write no more.
        with pytest.raises(StoreFenced):
            await store.commit([write(key, entry=b"late")], fences)
        assert await log(store) == []


# Who waits, and who is cancelled.


async def test_a_commit_under_way_is_not_torn_by_cancellation(path: Path) -> None:
    async with opened(path) as store, anyio.create_task_group() as tasks:
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        # Given a commit behind something that keeps the writer busy,
        release = threading.Event()
        tasks.start_soon(on_writer, store, lambda _: release.wait(5))
        returned = []

        async def commit() -> None:
            await store.commit([write(key, record=b"r")], fences)
            returned.append(True)

        async with anyio.create_task_group() as committing:
            committing.start_soon(commit)
            await anyio.wait_all_tasks_blocked()
            # when its caller is cancelled,
            committing.cancel_scope.cancel()
            release.set()
        # then it has learnt how the commit ended.
        assert returned == [True]
        assert await log(store) == []


async def test_reads_do_not_wait_for_commits(path: Path) -> None:
    async with opened(path) as store, anyio.create_task_group() as tasks:
        await store.commit([write(store.new_key(), record=b"r")], await store.claim("host", now_us=1))
        # Given a transaction under way,
        release, finished = threading.Event(), threading.Event()

        def slowly(connection: sqlite3.Connection) -> None:
            sqlite.transact(lambda _: release.wait(5), connection)
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
            if sql.startswith("SELECT key, entry FROM log"):
                change(path, "INSERT INTO log (key, at_us, entry) SELECT key, 1, x'00' FROM actors")

        # When a commit comes between reading the record and reading the log,
        assert store._reader is not None
        await store._reader.call(lambda connection: connection.set_trace_callback(commit_between))
        entries = await log(store)
        await store._reader.call(lambda connection: connection.set_trace_callback(None))
        # then the log is that of the record.
        assert entries == [b"old"]
        assert await log(store) == [b"old", b"\0"]


async def test_closing_puts_everything_into_the_one_file_even_if_somebody_is_reading_it(path: Path) -> None:
    async with opened(path) as store:
        await store.commit([write(store.new_key(), record=b"r")], await store.claim("host", now_us=1))
        reader = sqlite3.connect(path)
        reader.execute("SELECT count(*) FROM actors").fetchall()
    assert len(contents(path.with_name("store.db-wal"))) == 0
    reader.close()


async def test_closing_waits_for_the_commit_under_way(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    fences = await store.claim("host", now_us=1)
    async with anyio.create_task_group() as tasks:
        release = threading.Event()
        tasks.start_soon(on_writer, store, lambda _: release.wait(5))
        tasks.start_soon(store.commit, [write(store.new_key(), record=b"r")], fences)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(store.close)
        await anyio.wait_all_tasks_blocked()
        release.set()
    async with opened(path) as again:
        assert await log(again) == []


async def test_the_reader_cannot_write(path: Path) -> None:
    async with opened(path) as store:
        assert store._reader is not None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await store._reader.call(lambda connection: connection.execute("DELETE FROM actors"))


# How few trips and statements it takes.


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    calls: list[object] = []
    original = Connection.call

    async def call(self: Connection, function: Callable[[sqlite3.Connection], Any]) -> Any:
        calls.append(function)
        return await original(self, function)

    monkeypatch.setattr(Connection, "call", call)
    return calls


async def test_a_batch_and_a_read_are_one_trip_to_their_thread(path: Path, calls: list[object]) -> None:
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        addresses = [Address("wf", str(i)) for i in range(300)]
        calls.clear()
        await store.commit([full_write(store.new_key(), address) for address in addresses], fences)
        assert len(calls) == 1
        await store.load(addresses)
        await store.inspect(addresses)
        assert len(calls) == 3


def test_aiosqlite_has_what_the_connection_builds_on() -> None:
    # Both are protected; if one is gone, `Connection.call` needs another way to run a function on the thread.
    execute = inspect.signature(aiosqlite.Connection._execute)
    assert [parameter.kind.name for parameter in execute.parameters.values()] == [
        "POSITIONAL_OR_KEYWORD", "POSITIONAL_OR_KEYWORD", "VAR_POSITIONAL", "VAR_KEYWORD",
    ]  # fmt: skip
    assert inspect.iscoroutinefunction(aiosqlite.Connection._execute)
    assert isinstance(aiosqlite.Connection._conn, property)


async def test_the_loop_rests_for_the_thread_and_only_while_it_works(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    rested = threading.Event()

    def rest(seconds: float) -> None:
        rests.append(seconds)
        rested.set()

    async with opened(path) as store:
        monkeypatch.setattr(time, "sleep", rest)
        # While something is under way on the thread, the loop rests,
        assert await on_writer(store, lambda _: rested.wait(5))
        assert set(rests) == {Connection.REST_S}
        # once, however many wait for it,
        assert store._writer is not None
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(on_writer, store, lambda _: None)
            await anyio.wait_all_tasks_blocked()
        # and no more when it is done.
        assert store._writer._next_rest is not None
        assert store._writer._next_rest.cancelled()
        assert len(rest_timers()) == 0


def rest_timers() -> list[asyncio.TimerHandle]:
    timers: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [timer for timer in timers if not timer.cancelled() and "_rest" in repr(timer)]


def full_write(key: int, address: Address) -> Write:
    return write(
        key, address, record=b"r", entry=b"e", active=True,
        reminders_set=[("s", key)], reminders_cleared=[("c", key)],
    )  # fmt: skip


@pytest.mark.parametrize(("writes", "most"), [(1, 5), (100, 10), (128, 5)])
def test_hundreds_of_rows_are_a_handful_of_statements(writes: int, most: int) -> None:
    batch = [full_write(key, Address("wf", str(key))) for key in range(1, writes + 1)]
    assert len(list(sqlite.statements_of(sqlite.changes_of(batch)))) <= most


def test_all_statements_together_fit_into_the_cache() -> None:
    # A statement's text depends on how many rows are left for it, and on nothing else.
    lengths = {sql.count("(") for rows in range(1, 400) for sql, _ in sqlite.rows_of("", 1, [0] * rows)}
    kinds_max = 20
    assert len(lengths) * kinds_max < sqlite.STATEMENTS_CACHED


async def test_no_statement_reads_a_whole_table(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given all statements that writing and reading several actors takes,
    statements: dict[str, int] = {}
    original = sqlite.rows_of

    def rows_of(*arguments: Any) -> Iterator[tuple[str, Any]]:
        for sql, values in original(*arguments):
            statements[sql] = len(values)
            yield sql, values

    monkeypatch.setattr(sqlite, "rows_of", rows_of)
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        actors = [(store.new_key(), Address("wf", str(i))) for i in range(3)]
        ends: tuple[Mapping[str, Any], ...] = ({"active": False}, {"reset": True}, {"delete": True})
        await store.commit([full_write(*actor) for actor in actors], fences)
        await store.load([address for _, address in actors])
        await store.inspect([address for _, address in actors])
        for end in ends:
            await store.commit([write(*actor, **end) for actor in actors], fences)
        # then SQLite finds the rows of each by a key.
        for sql, values in statements.items():
            plan = await on_writer(store, partial(explain, sql, values))
            assert not re.search(r"SCAN (actors|active|log|reminders|first|last)\b", plan), f"{sql}\n{plan}"
        assert len(statements) >= 10


def explain(sql: str, values: int, connection: sqlite3.Connection) -> str:
    plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * values).fetchall()
    return "\n".join(step for *_, step in plan)
