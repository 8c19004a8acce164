"""A store can be checked and copied from outside, with or without a host that uses it."""

import re
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.store.contract import Stored, Write
from perdure.actors.store.errors import StoreFailed, StoreTooNew
from perdure.actors.store.part import Part
from perdure.actors.store.sqlite import maintenance
from perdure.actors.store.sqlite.files import reading
from perdure.actors.store.sqlite.maintenance import backup, check
from perdure.actors.store.sqlite.store import SqliteStore

from ....support.actors.store_parts import make, seen

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
        ("INSERT INTO items VALUES (1, 77, x'61', 1, 0, x'')", "1 items belong to no actor; the first has key 77"),
        (
            "INSERT INTO items SELECT 1, min(key), x'61', 1, 0, x'c10000000031' FROM actors",
            "its item b'a' does not match its checksum",
        ),
        ("DELETE FROM shards WHERE shard = 3", "it should have 64 shards, and has 63"),
        ("DELETE FROM meta WHERE name = 'created_us'", "it does not say its 'created_us'"),
        ("DROP TABLE active", "reading stopped: no such table: active"),
        ("UPDATE meta SET value = 99 WHERE name = 'schema'", "has store version 99"),
    ],
)
def test_what_does_not_fit_together_is_said(path: Path, damage: str, fault: str) -> None:
    change(path, damage)
    assert any(fault in found for found in check(path))


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
    # then the check reports the index.
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
def test_anything_but_a_store_is_an_error(tmp_path: Path, work: object) -> None:
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
    with reading(path) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM log")


# Copying.


def test_a_backup_is_one_file_that_opens_as_a_store(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    backup(path, target)
    assert [file.name for file in target.parent.iterdir()] == ["copy.db"]
    assert check(target) == []
    # Not in WAL mode, because such a file cannot be read on a read-only medium.
    assert target.read_bytes()[18:20] == b"\x01\x01"

    async def compare() -> None:
        async with opened(path) as store, opened(target) as copy:
            assert await copy.load([A, B]) == await store.load([A, B])
            assert await copy.active() == await store.active()
            # The copy is written to like any other store.
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
    for folder in (tmp_path / "nowhere", path):  # a folder that is missing, and a file
        with pytest.raises(StoreFailed) as failed:
            backup(path, folder / "copy.db")
        assert str(failed.value) == f"{folder}/copy.db cannot be created: there is no directory {folder}"


def test_what_the_system_says_of_a_target_is_told_without_the_unfinished_file(path: Path) -> None:
    with pytest.raises(StoreFailed) as failed:
        backup(path, Path("/proc/copy.db"))
    assert str(failed.value).startswith("writing /proc/copy.db failed: ")
    assert "partial" not in str(failed.value)


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


# A store of several parts.


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    """A stopped store of three parts."""
    folder = tmp_path / "parts"
    folder.mkdir()
    make(folder / "p.db", 3)
    return folder / "p.db"


def test_all_parts_of_a_sound_store_are_sound_and_left_as_they_were(parted: Path) -> None:
    before = files(parted.parent)
    assert check(parted) == []
    assert files(parted.parent) == before


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("INSERT INTO active VALUES (777)", "p.db.2: 1 active marks belong to no actor"),
        ("INSERT INTO actors VALUES (777, 'wf', 'a', x'')", "p.db.2: 1 actors belong to another part; .* key 777"),
        ("DELETE FROM shards WHERE shard = 5", "p.db.2: it should have 21 shards, and has 20"),
        ("UPDATE shards SET shard = 64 WHERE shard = 5", "p.db.2: it should have 21 shards, and has 21"),
        ("DELETE FROM meta WHERE name = 'parts'", "p.db.2 is damaged: it does not say its 'parts'"),
        ("UPDATE meta SET value = 1 WHERE name = 'part'", "p.db.2 is part 2 of 3, and should be part 3 of 3"),
        ("UPDATE meta SET value = 4 WHERE name = 'parts'", "p.db.2 is part 3 of 4, and should be part 3 of 3"),
        ("UPDATE meta SET value = 5 WHERE name = 'layout'", "p.db.2 is part 3 of 3, but of another store"),
        ("UPDATE meta SET value = 99 WHERE name = 'schema'", "p.db.2 has store version 99"),
        ("DROP TABLE active", "p.db.2: reading stopped: no such table: active"),
    ],
)
def test_a_fault_of_a_part_is_reported(parted: Path, damage: str, fault: str) -> None:
    change(Path(f"{parted}.2"), damage)
    assert any(re.search(fault, found) for found in check(parted))


def test_every_part_that_is_missing_is_said(parted: Path) -> None:
    for index in (1, 2):
        Path(f"{parted}.{index}").unlink()
    assert check(parted) == [
        f"{parted}.1, which should be part 2 of 3, is missing",
        f"{parted}.2, which should be part 3 of 3, is missing",
    ]


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("DELETE FROM meta WHERE name = 'part'", "it does not say its 'part'"),
        ("UPDATE meta SET value = -1 WHERE name = 'part'", "it says it is part -1 of 3"),
    ],
)
def test_a_first_part_that_does_not_say_what_it_is_is_not_sound(parted: Path, damage: str, fault: str) -> None:
    change(parted, damage)
    (found,) = check(parted)
    assert fault in found


@pytest.mark.parametrize("work", [check, lambda path: backup(path, f"{path}.copy")], ids=["check", "backup"])
def test_a_store_is_named_by_its_first_part(parted: Path, work: Callable[[str], object]) -> None:
    with pytest.raises(StoreFailed, match=r"p\.db\.1 is part 2 of 3 of a store: name the first"):
        work(f"{parted}.1")


def test_a_store_of_several_parts_is_checked_while_its_hosts_are_at_work(parted: Path) -> None:
    async def use() -> None:
        store = SqliteStore(f"{parted}.1", part=Part(1, 3))
        await store.open()
        try:
            await store.claim("host", now_us=1)
            assert check(parted) == []
        finally:
            await store.close()

    anyio.run(use)


def test_a_backup_of_several_parts_is_as_many_files_that_open_as_a_store(parted: Path, tmp_path: Path) -> None:
    before, target = files(parted.parent), tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    backup(parted, target)
    assert files(parted.parent) == before
    assert {file.name for file in target.parent.iterdir()} == {"copy.db", "copy.db.1", "copy.db.2"}
    assert all(file.read_bytes()[18:20] == b"\x01\x01" for file in target.parent.iterdir())
    assert check(target) == []
    assert seen(target, 3) == seen(parted, 3)


def test_a_part_of_a_backup_does_not_pass_for_one_of_the_store(parted: Path, tmp_path: Path) -> None:
    backup(parted, tmp_path / "copy.db")
    Path(f"{parted}.1").write_bytes((tmp_path / "copy.db.1").read_bytes())
    (found,) = check(parted)
    assert "of another store" in found


def test_a_store_of_several_parts_in_use_is_not_copied(parted: Path, tmp_path: Path) -> None:
    async def use() -> None:
        store = SqliteStore(f"{parted}.2", part=Part(2, 3))
        await store.open()
        try:
            with pytest.raises(StoreFailed, match=r"no moment in common.*p\.db\.2 is in use\. Stop the daemon"):
                backup(parted, tmp_path / "copy.db")
        finally:
            await store.close()

    anyio.run(use)
    assert not list(tmp_path.glob("copy.db*"))


@pytest.mark.parametrize("name", ["copy.db", "copy.db.2", "copy.db.1-wal"])
def test_a_backup_of_several_parts_does_not_overwrite_one_of_them(parted: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("do not touch")
    with pytest.raises(StoreFailed, match=f"{name} exists already.*does not overwrite"):
        backup(parted, tmp_path / "copy.db")
    assert [file.name for file in tmp_path.glob("copy.db*")] == [name]


def test_a_backup_of_parts_one_of_which_is_not_sound_leaves_nothing(parted: Path, tmp_path: Path) -> None:
    change(Path(f"{parted}.2"), "INSERT INTO active VALUES (777)")
    with pytest.raises(StoreFailed, match=r"not sound.*key 777"):
        backup(parted, tmp_path / "copy.db")
    assert not list(tmp_path.glob("copy.db*"))


# While a host is at work.

LOOK_AFTER = """
import sys
from perdure.actors.store.sqlite.maintenance import backup, check
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
            keys = [actor.key for actor in stored if isinstance(actor, Stored)]
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
    # then the store is sound each time,
    assert output.splitlines() == ["[]"] * 5
    # and each copy is of one moment, later than the one before.
    lengths = [anyio.run(lengths_of, copies / f"{i}.db") for i in range(5)]
    assert all(a == b for a, b in lengths)
    assert lengths == sorted(lengths)
    assert 1 <= lengths[0][0] <= lengths[-1][0] <= committed + 1


async def lengths_of(path: Path) -> list[int]:
    async with opened(path) as store:
        return [len(actor.entries) for actor in await store.load([A, B]) if isinstance(actor, Stored)]
