"""A store can be checked and copied from outside, whether a host is using it or not."""

import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.errors import StoreFailed, StoreTooNew
from perdure.actors.store import maintenance
from perdure.actors.store.contract import Write
from perdure.actors.store.maintenance import backup, check
from perdure.actors.store.sqlite import SqliteStore

A, B = Address("wf", "a"), Address("wf", "b")


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def write(key: int, address: Address, entry: bytes = b"e", record: bytes | None = b"r") -> Write:
    return Write(
        key=key, address=address, shard=shard_of(address.id, 64), at_us=1,
        entry=entry, record=record, active=True, reminders_set=[("x", key)],
    )  # fmt: skip


async def fill(path: Path, actors: int = 2) -> None:
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        ids = ["a", "b", *(f"more-{i}" for i in range(actors - 2))]
        await store.commit([write(store.new_key(), Address("wf", id_)) for id_ in ids], fences)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A stopped store with two actors; its name needs quoting in a URI."""
    path = tmp_path / "a store?#%41.db"
    anyio.run(fill, path)
    return path


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


# Checking.


def test_a_sound_store_has_no_faults_and_is_left_as_it_was(path: Path) -> None:
    before = files(path.parent)
    assert check(path) == []
    assert check(str(path)) == []
    assert files(path.parent) == before


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("INSERT INTO log (key, at_us, entry) VALUES (77, 1, x'')", "1 log entries belong to no actor"),
        ("INSERT INTO active VALUES (77)", "1 active marks belong to no actor; the first has key 77"),
        ("INSERT INTO reminders VALUES (1, 77, 'x')", "1 reminders belong to no actor"),
        ("DELETE FROM shards WHERE shard = 3", "it should have 64 shards, and has 63"),
        ("DELETE FROM meta WHERE name = 'created_us'", "it does not say its 'created_us'"),
        ("DROP TABLE active", "reading stopped: no such table: active"),
        ("UPDATE meta SET value = 99 WHERE name = 'schema'", "has store version 99"),
    ],
)
def test_what_does_not_fit_together_is_said(path: Path, damage: str, fault: str) -> None:
    change(path, damage)
    (found,) = check(path)
    assert fault in found


def test_an_index_that_lost_rows_is_found(path: Path) -> None:
    # Given an index whose page was put back to when it was empty,
    anyio.run(fill, path.with_name("other.db"), 500)
    other = path.with_name("other.db")
    with closing(sqlite3.connect(other)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'log_key'").fetchone()
    with closing(sqlite3.connect(path)) as connection:
        (emptier,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'log_key'").fetchone()
    pages = path.read_bytes()
    with other.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(pages[(emptier - 1) * 4096 : emptier * 4096])
    # then the check says so.
    assert any("missing from index log_key" in fault for fault in check(other))


def test_a_page_that_was_overwritten_is_a_fault_or_an_error_that_names_the_file(path: Path) -> None:
    for page in range(1, path.stat().st_size // 4096):
        broken = path.with_name("broken.db")
        broken.write_bytes(path.read_bytes())
        with broken.open("r+b") as file:
            file.seek(page * 4096)
            file.write(b"\x5a" * 4096)
        assert finds_something(broken), page


def finds_something(path: Path) -> bool:
    try:
        return bool(check(path))
    except StoreFailed as error:
        return str(path) in str(error)


@pytest.mark.parametrize("work", [check, lambda path: backup(path, f"{path}.copy")], ids=["check", "backup"])
def test_what_is_no_store_is_an_error(tmp_path: Path, work: object) -> None:
    assert callable(work)
    missing, text, foreign, empty = (tmp_path / name for name in ("missing", "text", "foreign", "empty"))
    text.write_text("dear diary\n" * 500)
    change(foreign, "CREATE TABLE diary (day)")
    empty.touch()
    before = files(tmp_path)
    for path, reason in (
        (missing, "there is no store"),
        (tmp_path, "there is no store"),
        (text, "not a database"),
        (foreign, "another program"),
        (empty, "empty"),
    ):
        with pytest.raises(StoreFailed, match=reason) as error:
            work(path)
        assert str(path) in str(error.value)
    assert files(tmp_path) == before


def test_looking_after_a_store_cannot_write_to_it(path: Path) -> None:
    with maintenance.reading(path) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM log")


# Copying.


def test_a_backup_is_one_file_that_opens_as_a_store(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    backup(path, target)
    assert [file.name for file in target.parent.iterdir()] == ["copy.db"]
    assert check(target) == []
    # Not in WAL mode, which no medium that is read-only could be read in.
    assert target.read_bytes()[18:20] == b"\x01\x01"

    async def compare() -> None:
        async with opened(path) as store, opened(target) as copy:
            assert await copy.load([A, B]) == await store.load([A, B])
            assert await copy.active() == await store.active()
            # And it is written to like any other.
            fences = await copy.claim("host", now_us=1)
            await copy.commit([write(copy.new_key(), Address("wf", "c"))], fences)

    anyio.run(compare)


def test_a_backup_does_not_overwrite(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("do not touch")
    with pytest.raises(StoreFailed, match="does not overwrite"):
        backup(path, target)
    assert target.read_text() == "do not touch"


def test_a_backup_does_not_overwrite_what_came_meanwhile(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "copy.db"
    original = maintenance.copy

    def copy(source: sqlite3.Connection, partial: str) -> None:
        original(source, partial)
        target.write_text("do not touch")

    monkeypatch.setattr(maintenance, "copy", copy)
    with pytest.raises(StoreFailed, match="does not overwrite"):
        backup(path, target)
    assert target.read_text() == "do not touch"
    assert not list(tmp_path.glob("*.partial"))


def test_what_a_killed_backup_left_is_no_obstacle(path: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db.partial").write_text("half of it")
    backup(path, tmp_path / "copy.db")
    assert check(tmp_path / "copy.db") == []
    assert not list(tmp_path.glob("*.partial"))


def test_a_target_that_cannot_be_written_is_said(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="nowhere"):
        backup(path, tmp_path / "nowhere" / "copy.db")


def test_a_store_that_is_not_sound_is_not_copied(path: Path, tmp_path: Path) -> None:
    change(path, "INSERT INTO active VALUES (77)")
    before = files(tmp_path)
    with pytest.raises(StoreFailed, match=r"not sound.*key 77"):
        backup(path, tmp_path / "copy.db")
    assert files(tmp_path) == before


def test_a_store_of_a_newer_release_is_not_copied(path: Path, tmp_path: Path) -> None:
    change(path, "UPDATE meta SET value = 99 WHERE name = 'schema'")
    with pytest.raises(StoreTooNew):
        backup(path, tmp_path / "copy.db")


# While a host is at work.

LOOK_AFTER = """
import sys
from perdure.actors.store.maintenance import backup, check
path, folder = sys.argv[1:]
for i in range(5):
    print(check(path))
    backup(path, f"{folder}/{i}.db")
"""


def test_another_process_checks_and_copies_while_a_host_commits(path: Path, tmp_path: Path) -> None:
    # Given a host that writes both actors in each batch, without a pause,
    copies = tmp_path / "copies"
    copies.mkdir()
    committed = 0

    async def work() -> list[str]:
        nonlocal committed
        async with opened(path) as store:
            fences = await store.claim("host", now_us=1)
            stored = await store.load([A, B])
            keys = [actor.key for actor in stored if actor is not None]
            finished: list[str] = []

            async def look_after() -> None:
                command = [sys.executable, "-c", LOOK_AFTER, str(path), str(copies)]
                finished.append((await anyio.run_process(command, stderr=None)).stdout.decode())

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(look_after)
                while not finished:
                    entry = b"%d" % committed
                    await store.commit([write(keys[0], A, entry, None), write(keys[1], B, entry, None)], fences)
                    committed += 1
            return finished

    # when another process checks it and copies it five times,
    (output,) = anyio.run(work)
    # then it is sound each time,
    assert output.splitlines() == ["[]"] * 5
    # and each copy is of one moment, later than the one before.
    lengths = [anyio.run(lengths_of, copies / f"{i}.db") for i in range(5)]
    assert all(a == b for a, b in lengths)
    assert lengths == sorted(lengths)
    assert 1 <= lengths[0][0] <= lengths[-1][0] <= committed + 1


async def lengths_of(path: Path) -> list[int]:
    async with opened(path) as store:
        return [len(actor.entries) for actor in await store.load([A, B]) if actor is not None]
