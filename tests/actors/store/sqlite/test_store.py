"""The SQLite store keeps its promises when processes are killed, disks are full, and other processes want the file."""

import os
import re
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.store.durability import Durability
from perdure.actors.store.errors import StoreDivided, StoreFailed, StoreForeign, StoreLocked, StoreTooNew
from perdure.actors.store.listing import ListFilter, Order
from perdure.actors.store.part import WHOLE, Part
from perdure.actors.store.sqlite.schema import SCHEMA_VERSION
from perdure.actors.store.sqlite.store import SqliteStore

from ....support.actors.sqlite_file import (
    A,
    change,
    contents,
    full_write,
    log,
    on_writer,
    open_and_close,
    opened,
    put,
    write,
)

pytestmark = pytest.mark.anyio

DIARY = b"dear diary\n" * 500


async def pragma(store: SqliteStore, name: str) -> object:
    return (await on_writer(store, lambda connection: connection.execute(f"PRAGMA {name}").fetchone()))[0]


# The owner of a file.


async def test_a_second_store_on_the_same_file_is_refused_at_once(path: Path) -> None:
    async with opened(path) as store:
        with pytest.raises(StoreLocked, match="in use by another"):
            await open_and_close(path)
        # The first still works.
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
    # As its own part it opens again.
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
        # when it is killed, without any cleanup,
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

    async def look() -> tuple[Sequence[Any], Sequence[Any]]:
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


# The kind of a file.


async def test_a_file_of_a_newer_release_is_refused_and_left_alone(path: Path) -> None:
    await open_and_close(path)
    change(path, "UPDATE meta SET value = 99 WHERE name = 'schema'")
    before = contents(path)
    with pytest.raises(StoreTooNew) as error:
        await open_and_close(path)
    assert (error.value.found, error.value.known) == (99, SCHEMA_VERSION)
    assert contents(path) == before


async def test_a_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    change(path, "CREATE TABLE meta (name, value)")
    before = contents(path)
    with pytest.raises(StoreForeign, match="another program"):
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
    with pytest.raises(StoreFailed, match="cannot be used as a store: it is a folder"):
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
    assert sorted(file.name for file in path.parent.iterdir()) == ["store.db", "store.db.id", "store.db.lock"]
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
    return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]


async def test_keys_go_on_behind_the_highest_that_was_ever_written(path: Path) -> None:
    async with opened(path) as store:
        keys = [store.new_key() for _ in range(3)]
        fences = await store.claim("host", now_us=1)
        await store.commit([write(keys[1], record=b"r")], fences)
        await store.commit([write(keys[1], delete=True)], fences)
    async with opened(path) as store:
        assert store.new_key() == keys[1] + 1


# Failures that a commit outlives.


@pytest.mark.parametrize(("durability", "synchronous"), [(Durability.FULL, 2), (Durability.RELAXED, 1)])
async def test_durability_says_when_the_disk_is_flushed(path: Path, durability: Durability, synchronous: int) -> None:
    async with opened(path, durability=durability) as store:
        assert await pragma(store, "synchronous") == synchronous
        assert await pragma(store, "journal_mode") == "wal"


async def test_a_full_disk_fails_the_commit_and_later_ones_work_once_there_is_room(path: Path) -> None:
    async with opened(path) as store:
        # Given a store that may not grow,
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        await store.commit([write(key, record=b"r", entry=b"before")], fences)
        await pragma(store, f"max_page_count = {await pragma(store, 'page_count')}")
        # when a commit is larger than the room in it,
        with pytest.raises(StoreFailed, match="full") as failed:
            await store.commit([write(key, entry=b"small"), write(key, entry=b"x" * 100_000)], fences)
        # then no row of the commit is there,
        assert isinstance(failed.value.__cause__, sqlite3.Error)
        assert await log(store) == [b"before"]
        # and when there is room again, commits succeed.
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
            # then commits with room still succeed,
            await store.commit([write(key, entry=b"small")], fences)
        # and when the system lets files grow, so does the rest.
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


# Waiting and cancelled callers.


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
        # then it has learnt the outcome of the commit.
        assert returned == [True]
        assert await log(store) == []


async def test_closing_puts_everything_into_the_one_file_even_during_a_read(path: Path) -> None:
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


async def test_a_list_that_is_begun_while_the_store_closes_leaves_no_thread(path: Path) -> None:
    before = set(threading.enumerate())
    for _ in range(5):
        store = SqliteStore(path)
        await store.open()

        async def listing(store: SqliteStore = store) -> None:
            with suppress(StoreFailed):
                await store.list("wf", ListFilter(), order=Order.ID, cursor=None, limit=1)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listing)
            await anyio.lowlevel.checkpoint()
            tasks.start_soon(store.close)
    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(5)  # one that has closed its connection is about to end
    assert not [thread for thread in left if thread.is_alive()]
