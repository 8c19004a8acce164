"""A file that was replaced since the last work on it is refused, and a file that was only read is not."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.store.contract import Stored
from perdure.actors.store.durability import Durability
from perdure.actors.store.errors import StoreError, StoreFailed
from perdure.actors.store.sqlite import in_use
from perdure.actors.store.sqlite.in_use import Ids, number_in, read_ids, refuse_unfit, write_ids
from perdure.actors.store.sqlite.layout import make_ready, spread
from perdure.actors.store.sqlite.maintenance import backup, check
from perdure.actors.store.sqlite.offline.restoring import restore
from perdure.actors.store.sqlite.store import SqliteStore

from ....support.actors.sqlite_file import TO_VERSION_3, A, open_and_close, opened, write

WORKS = """
import os, signal, sys, anyio
from perdure.actors.address import Address, shard_of
from perdure.actors.store.contract import Write
from perdure.actors.store.durability import Durability
from perdure.actors.store.sqlite.store import SqliteStore
async def main():
    store = SqliteStore(sys.argv[1], durability=Durability(sys.argv[3]))
    await store.open()
    fences = await store.claim("host", now_us=1)
    for text in sys.argv[4:]:
        address = Address("wf", text)
        (stored,) = await store.load([address])
        key = stored.key if stored else store.new_key()
        write = Write(key=key, address=address, shard=shard_of(text, 64), at_us=1, record=b"r", entry=b"e")
        await store.commit([write], fences)
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    await store.close()
anyio.run(main)
"""


def work(path: Path, end: str, *ids: str, durability: str = "full") -> None:
    """A process that has the store, adds an entry for each id, and ends: "killed" or "stopped"."""
    subprocess.run([sys.executable, "-c", WORKS, path, end, durability, *ids], check=False, capture_output=True)


def header(path: Path) -> int:
    return number_in(path.read_bytes()[:100])


def beside(path: Path, *suffixes: str) -> list[Path]:
    return [Path(f"{path}{suffix}") for suffix in suffixes]


def remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped store, the same after a kill, and a backup of an earlier moment, each as `p.db` in a folder."""
    folder = tmp_path_factory.mktemp("worlds")
    for name in ("stopped", "killed", "other"):
        (folder / name).mkdir()
    path = folder / "stopped" / "p.db"
    work(path, "stopped", "early")
    backup(path, folder / "backup.db")
    work(path, "stopped", "late", "later")
    shutil.copytree(folder / "stopped", folder / "killed", dirs_exist_ok=True)
    work(folder / "killed" / "p.db", "killed", "latest")
    work(folder / "other" / "p.db", "killed", "foreign", "foreign", "foreign", "foreign", "foreign")
    return folder


@pytest.fixture
def world(worlds: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(worlds, tmp_path / "worlds"))


def found(path: Path) -> set[str]:
    """The ids in a store, or the error of opening it."""

    async def look() -> set[str]:
        async with opened(path) as store:
            return set(await store.ids("wf", after=None, limit=99))

    return anyio.run(look)


def killed(world: Path) -> Path:
    return world / "killed" / "p.db"


def stopped(world: Path) -> Path:
    return world / "stopped" / "p.db"


# Files that are refused.


def emptied(world: Path) -> Path:
    stopped(world).write_bytes(b"")
    return stopped(world)


def emptied_with_its_wal(world: Path) -> Path:
    killed(world).write_bytes(b"")
    return killed(world)


def deleted(world: Path) -> Path:
    remove(stopped(world))
    return stopped(world)


def deleted_beside_its_wal(world: Path) -> Path:
    remove(killed(world))
    return killed(world)


def copied_alone_while_in_use(world: Path) -> Path:
    return Path(shutil.copy(killed(world), world / "alone.db"))


def copied_with_its_wal_and_without_its_id(world: Path) -> Path:
    for suffix in ("", "-wal"):
        shutil.copy(f"{killed(world)}{suffix}", f"{world}/alone.db{suffix}")
    return world / "alone.db"


def beside_the_id_of_another(world: Path) -> Path:
    shutil.copy(world / "other" / "p.db.id", f"{killed(world)}.id")
    return killed(world)


def moved_without_its_wal(world: Path) -> Path:
    for suffix in ("", ".id"):
        shutil.move(f"{killed(world)}{suffix}", f"{world}/moved.db{suffix}")
    return world / "moved.db"


def without_its_wal(world: Path) -> Path:
    remove(*beside(killed(world), "-wal", "-shm"))
    return killed(world)


def backup_beside_the_wal(world: Path) -> Path:
    shutil.copy(world / "backup.db", killed(world))
    return killed(world)


def backup_beside_the_wal_and_without_the_id(world: Path) -> Path:
    shutil.copy(world / "backup.db", killed(world))
    remove(*beside(killed(world), ".id"))
    return killed(world)


def backup_in_the_place_of_one_that_was_stopped(world: Path) -> Path:
    shutil.copy(world / "backup.db", stopped(world))
    return stopped(world)


def backup_in_the_place_of_one_that_was_killed(world: Path) -> Path:
    remove(*beside(killed(world), "-wal", "-shm"))
    shutil.copy(world / "backup.db", killed(world))
    return killed(world)


def wal_of_another_beside_one_at_rest(world: Path) -> Path:
    shutil.copy(world / "other" / "p.db-wal", f"{stopped(world)}-wal")
    return stopped(world)


def another_store_beside_the_id(world: Path) -> Path:
    other = world / "other" / "p.db"
    anyio.run(open_and_close, other)
    shutil.copy(other, stopped(world))
    return stopped(world)


def damaged_id(world: Path) -> Path:
    Path(f"{stopped(world)}.id").write_bytes(b"not ours")
    return stopped(world)


REFUSED = [
    emptied, emptied_with_its_wal, deleted, deleted_beside_its_wal, copied_alone_while_in_use,
    copied_with_its_wal_and_without_its_id, beside_the_id_of_another, moved_without_its_wal, without_its_wal,
    backup_beside_the_wal, backup_beside_the_wal_and_without_the_id, backup_in_the_place_of_one_that_was_stopped,
    backup_in_the_place_of_one_that_was_killed, wal_of_another_beside_one_at_rest, another_store_beside_the_id,
    damaged_id,
]  # fmt: skip


@pytest.mark.parametrize("happens", REFUSED, ids=lambda way: way.__name__)
def test_a_file_that_is_not_what_it_was_is_refused_and_left_as_it_is(
    world: Path, happens: Callable[[Path], Path]
) -> None:
    path = happens(world)
    before = {file: file.read_bytes() for file in path.parent.glob(f"{path.name}*") if file.suffix in (".db", ".id")}
    for _ in range(2):  # also the second time
        with pytest.raises(StoreFailed, match=r"perdure store restore") as error:
            found(path)
        assert str(path) in str(error.value)
    assert {file: file.read_bytes() for file in before} == before
    # and a restore is the remedy.
    restore(world / "backup.db", path)
    assert found(path) == {"early"}


FOLDS = [
    copied_with_its_wal_and_without_its_id, beside_the_id_of_another, backup_beside_the_wal,
    backup_beside_the_wal_and_without_the_id, wal_of_another_beside_one_at_rest,
]  # fmt: skip
COMMANDS: dict[str, Callable[[Path], object]] = {
    "check": check,
    "backup": lambda path: backup(path, path.with_name("copy.db")),
    "spread": lambda path: spread(path, path.with_name("wide.db"), parts=2),
    "start": lambda path: make_ready(path, parts=1),
}


@pytest.mark.parametrize("happens", FOLDS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_folds_a_wal_that_belongs_to_another_time(
    world: Path, happens: Callable[[Path], Path], command: str
) -> None:
    path = happens(world)
    before = {file: file.read_bytes() for file in beside(path, "", "-wal")}
    try:
        refused = COMMANDS[command](path)  # a check answers with a list
    except StoreFailed as error:
        refused = str(error)
    assert "perdure store restore" in str(refused)
    assert {file: file.read_bytes() for file in before} == before


# Files that are not refused.


def left_alone(path: Path) -> None:
    pass


def looked_at_by_the_check(path: Path) -> None:
    assert check(path) == []


def looked_at_by_the_shell(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT * FROM log").fetchall()


def written_to_by_the_shell(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'failed_commits'")


def backed_up(path: Path) -> None:
    backup(path, path.with_name("again.db"))


def looked_at_by_one_that_was_killed(path: Path) -> None:
    looks = "import sqlite3, os, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM log').fetchall()"
    subprocess.run([sys.executable, "-c", f"{looks}; os.kill(os.getpid(), 9)", path], check=False)


def without_its_index_of_the_wal(path: Path) -> None:
    remove(*beside(path, "-shm"))


def without_its_lock(path: Path) -> None:
    remove(*beside(path, ".lock"))


ACCEPTED = [
    left_alone, looked_at_by_the_check, looked_at_by_the_shell, written_to_by_the_shell, backed_up,
    looked_at_by_one_that_was_killed, without_its_index_of_the_wal, without_its_lock,
]  # fmt: skip


@pytest.mark.parametrize("which", [stopped, killed], ids=lambda way: way.__name__)
@pytest.mark.parametrize("happens", ACCEPTED, ids=lambda way: way.__name__)
def test_what_is_only_looked_at_opens(
    world: Path, which: Callable[[Path], Path], happens: Callable[[Path], None]
) -> None:
    path = which(world)
    happens(path)
    assert found(path) >= {"early", "late", "later"}
    assert header(path) == 0


@pytest.mark.parametrize("which", [stopped, killed], ids=lambda way: way.__name__)
def test_a_store_that_is_moved_whole_opens_in_its_new_place(world: Path, which: Callable[[Path], Path]) -> None:
    path = which(world)
    folder = path.parent.rename(world / "new place")
    assert found(folder / "p.db") >= {"early", "late", "later"}


def test_a_store_at_rest_can_be_copied_without_the_files_beside_it(world: Path) -> None:
    assert found(Path(shutil.copy(stopped(world), world / "copy.db"))) == {"early", "late", "later"}


def test_a_backup_opens_where_it_is(world: Path) -> None:
    assert found(world / "backup.db") == {"early"}


def test_a_store_of_a_release_before_ids_opens_after_it_was_killed(world: Path) -> None:
    # Given a store of version 2 with a -wal,
    path = world / "old.db"
    shutil.copy(stopped(world), path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in TO_VERSION_3:
            connection.execute(statement)
        connection.execute("DELETE FROM meta WHERE name IN ('store', 'unsealed_key', 'unsealed_position')")
        connection.execute("UPDATE meta SET value = 2 WHERE name = 'schema'")
    looks = (
        "import sqlite3, os, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA journal_mode = WAL'); c.execute('UPDATE shards SET epoch = epoch + 1');"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", looks, path], check=False)
    assert Path(f"{path}-wal").stat().st_size > 0
    assert found(path) == {"early", "late", "later"}


def test_what_looks_while_a_host_works_does_not_matter(path: Path) -> None:
    async def both() -> None:
        async with opened(path) as store:
            fences = await store.claim("host", now_us=1)
            await store.commit([write(store.new_key(), record=b"r", entry=b"e")], fences)
            assert check(path) == []
            backup(path, path.with_name("copy.db"))

    anyio.run(both)
    assert header(path.with_name("copy.db")) == 0
    assert found(path) == found(path.with_name("copy.db")) == {"a"}


# The number and the position.


def test_a_file_says_that_it_is_in_use_before_anything_is_written_and_rests_afterwards(path: Path) -> None:
    numbers: set[int] = set()

    async def use() -> None:
        async with opened(path):
            numbers.add(header(path))
            ids = read_ids(f"{path}.id")
            assert ids is not None
            assert ids.number == ids.next == header(path) != 0

    for _ in range(3):
        anyio.run(use)
        assert header(path) == 0
    assert len(numbers) == 3


def test_the_position_is_the_last_that_was_acknowledged(path: Path) -> None:
    async def use() -> list[int]:
        async with opened(path) as store:
            fences = await store.claim("host", now_us=1)
            keys = [store.new_key() for _ in range(2)]
            b = Address("wf", "b")
            positions = []
            for writes in (
                [write(keys[0], record=b"r", entry=b"e")],
                [write(keys[1], b, record=b"r", entry=b"e"), write(keys[1], b, entry=b"e")],
                [write(keys[0], entry=b"e", reset=True)],  # continued as new
                [write(keys[0], delete=True)],  # which had the highest position
                [write(keys[1], b, delete=True)],
                [write(store.new_key(), record=b"r", entry=b"e")],
            ):
                await store.commit(writes, fences)
                ids = read_ids(f"{path}.id")
                assert ids is not None
                positions.append(ids.position)
            return positions

    assert anyio.run(use) == [1, 3, 4, 3, 0, 5]


def test_a_commit_that_failed_leaves_no_position_that_is_not_there(path: Path) -> None:
    # Given a commit that failed, and one behind it that adds no entry,
    code = WORKS.replace('    if sys.argv[2]', """
    try:
        await store.commit([Write(key=key, address=address, shard=write.shard, at_us=1, entry=b"e", active=True)], {})
    except AssertionError:
        pass
    late = dict.fromkeys(fences, 99)
    try:
        await store.commit([Write(key=key, address=address, shard=write.shard, at_us=1, entry=b"e")], late)
    except Exception as error:
        print(type(error).__name__)
    await store.commit([Write(key=key, address=address, shard=write.shard, at_us=1, record=b"n")], fences)
    if sys.argv[2]""")  # fmt: skip
    ran = subprocess.run([sys.executable, "-c", code, path, "killed", "full", "a"], capture_output=True, check=False)
    assert (ran.returncode, ran.stdout) == (-9, b"StoreFenced\n"), ran.stderr
    # then the store opens after a kill.
    assert found(path) == {"a"}


def test_a_purge_of_the_newest_just_before_a_kill_is_no_loss(path: Path) -> None:
    code = WORKS.replace('if sys.argv[2]', 'await store.commit([Write(key=key, address=address, shard=0, at_us=1, '
                         'delete=True)], await store.claim("host", now_us=1))\n    if sys.argv[2]')  # fmt: skip
    code = code.replace("shard=0", "shard=shard_of(text, 64)")
    ran = subprocess.run([sys.executable, "-c", code, path, "killed", "full", "a", "b"], check=False)
    assert ran.returncode == -9
    assert found(path) == {"a"}


def test_with_relaxed_durability_a_lost_tail_is_no_reason_to_refuse(world: Path) -> None:
    path = world / "relaxed.db"
    work(path, "stopped", "a")
    earlier = path.read_bytes()
    work(path, "stopped", "b", durability="relaxed")
    path.write_bytes(earlier)

    async def look() -> None:
        async with opened(path, durability=Durability.RELAXED) as store:
            assert await store.ids("wf", after=None, limit=9) == ["a"]

    anyio.run(look)


@pytest.mark.parametrize("changed", [{"boot": b"another boot ..."}, {"boot": bytes(16)}])
def test_a_position_of_before_a_power_cut_does_not_count(world: Path, changed: dict[str, bytes]) -> None:
    # The position is written to memory that only the kernel flushes, so after a power cut it may be of any moment.
    path = killed(world)
    ids = read_ids(f"{path}.id")
    assert ids is not None
    ids.position += 1000
    write_ids(f"{path}.id", ids)
    with pytest.raises(StoreFailed, match="was acknowledged"):
        found(path)
    ids.boot = changed["boot"]
    write_ids(f"{path}.id", ids)
    assert found(path) >= {"latest"}


def test_a_system_that_does_not_tell_its_boots_counts_only_what_a_stop_flushed(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_use, "BOOT_ID", "/nowhere")
    assert found(killed(world)) >= {"latest"}
    assert found(killed(world)) >= {"latest"}
    shutil.copy(world / "backup.db", killed(world))
    with pytest.raises(StoreFailed, match="was acknowledged"):
        found(killed(world))


def test_an_id_is_whole_and_private(tmp_path: Path) -> None:
    path = str(tmp_path / "p.db.id")
    assert read_ids(path) is None
    for position in (1, 2**62):
        ids = Ids(store=2**62, number=2**31 - 1, next=5, position=position, flushed=False, boot=b"x" * 16)
        write_ids(path, ids)
        assert read_ids(path) == ids
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["p.db.id"]


# Killed at any step.

STEPS = """
import os, sys, anyio
from perdure.actors.store.sqlite import in_use, store
nth, calls = 0, 0
def counted(module, name):
    original = getattr(module, name)
    def dies(*args, **named):
        global calls
        calls += 1
        if calls == nth:
            os.kill(os.getpid(), 9)
        result = original(*args, **named)
        calls += 1
        if calls == nth:
            os.kill(os.getpid(), 9)
        return result
    setattr(module, name, dies)
for name in ("write_ids",):
    counted(in_use, name)
for name in ("transact", "fold", "rest", "highest_position", "prepare_reader"):
    counted(store, name)
async def main():
    opened = store.SqliteStore(sys.argv[1])
    await opened.open()
    await opened.close()
for nth in range(1, 60):
    calls = 0
    if (child := os.fork()) == 0:
        anyio.run(main)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != -9:
        print(nth, code)
        break
"""


@pytest.mark.parametrize("given", ["new", "stopped", "killed", "without an id"])
def test_a_kill_at_any_step_of_opening_and_closing_keeps_no_later_host_out(world: Path, given: str) -> None:
    path = world / given / "p.db"
    path.parent.mkdir(exist_ok=True)
    if given == "without an id":
        remove(*beside(Path(shutil.copy(stopped(world), path)), ".id"))
    seen = set() if given == "new" else {"early", "late", "later"}
    # The process is killed at its first step, then at its second, and so on, until no step is left.
    ran = subprocess.run([sys.executable, "-c", STEPS, path], capture_output=True, text=True, check=True)
    steps, code = map(int, ran.stdout.split())
    assert code == 0, ran.stderr
    assert steps > 12
    assert found(path) >= seen
    assert check(path) == []


def test_a_host_that_cannot_write_its_id_does_not_open(path: Path) -> None:
    Path(f"{path}.id.partial").mkdir()
    with pytest.raises(StoreFailed, match=r"\.id"):
        anyio.run(SqliteStore(path).open)


@pytest.mark.anyio
async def test_a_stop_that_cannot_be_finished_leaves_a_store_that_opens(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path) as store:
        await store.commit([write(store.new_key(), record=b"r")], await store.claim("host", now_us=1))

        def full(path: str, ids: Ids) -> None:
            raise StoreFailed("no space")

        monkeypatch.setattr(in_use, "write_ids", full)
    monkeypatch.undo()
    async with opened(path) as store:
        (stored,) = await store.load([A])
        assert isinstance(stored, Stored)
        assert not isinstance(stored, StoreError)


def link_beside(path: Path) -> Path:
    link = path.with_name("link")
    link.symlink_to("nowhere")
    return link


ID_CHANGES: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: os.truncate(path, 0),
    "cut short": lambda path: os.truncate(path, 20),
    "overwritten": lambda path: path.write_bytes(bytes(61)),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "deleted": lambda path: path.unlink(),
    "a link": lambda path: os.replace(link_beside(path), path),
}


@pytest.mark.anyio
@pytest.mark.parametrize("how", ID_CHANGES)
async def test_an_id_that_is_changed_while_its_store_is_in_use_is_written_anew(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(SqliteStore, "LOOK_S", 0.0)
    path, id_path = tmp_path / "p.db", tmp_path / "p.db.id"
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        await store.commit([write(key, record=b"r", entry=b"e")], fences)
        before = id_path.read_bytes()
        # When another program changes the id, then the next check writes the former one, and reports it once.
        ID_CHANGES[how](id_path)
        assert store.intact
        assert store.intact
        assert id_path.read_bytes() == before
        assert len([record for record in caplog.records if "was written anew" in record.message]) == 1
        # Later acknowledged commits are in the file.
        await store.commit([write(key, entry=b"e")], fences)
        ids, first = read_ids(str(id_path)), before
        assert ids is not None
        assert id_path.read_bytes() != first
        assert ids.position == 2
    await open_and_close(path)


def test_a_name_at_which_no_store_can_be_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("milk and eggs")
    for wrong, why in (
        (text, "file is not a database"),
        (tmp_path, "it is a folder"),
        (tmp_path / "nowhere" / "store.db", "no directory"),
    ):
        with pytest.raises(StoreFailed, match=why):
            refuse_unfit(str(wrong))
    assert list(tmp_path.iterdir()) == [text]


def test_a_store_and_a_name_that_is_free_are_fit(tmp_path: Path) -> None:
    path, damaged = tmp_path / "store.db", tmp_path / "damaged.db"
    refuse_unfit(str(path))
    anyio.run(open_and_close, path)
    refuse_unfit(str(path))
    # SQLite takes from a -wal the pages that are damaged in the file.
    damaged.write_bytes(bytes(4096))
    (tmp_path / "damaged.db-wal").write_bytes(b"something")
    refuse_unfit(str(damaged))
