"""One process has a file, under any of the file's names, and notices when it has lost it."""
# ruff: noqa: ASYNC221, ASYNC240  what a test does to files need not be quick

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perdure.actors.store.errors import StoreFailed, StoreGone, StoreLocked
from perdure.actors.store.sqlite import identity
from perdure.actors.store.sqlite.identity import Hold
from perdure.actors.store.sqlite.store import SqliteStore

from ....support.actors.sqlite_file import A, open_and_close, opened, write

HOLDER = """
import os, sys, time, anyio
from perdure.actors.store.sqlite.store import SqliteStore
async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    child = os.fork() if sys.argv[2] == "forks" else 1
    if child:
        print(child, flush=True)
    os.close(1)
    time.sleep(60)
anyio.run(main)
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="locks of open files are Linux's")


class Holder:
    """A process that has a store until it is killed, and perhaps a fork of it."""

    def __init__(self, path: Path, what: str = "") -> None:
        self.process = subprocess.Popen([sys.executable, "-c", HOLDER, path, what], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.child = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def hard_link(path: Path) -> Path:
    other = path.with_name("hard.db")
    os.link(path, other)
    return other


def symbolic_link(path: Path) -> Path:
    other = path.with_name("soft.db")
    other.symlink_to(path)
    return other


def link_in_another_folder(path: Path) -> Path:
    folder = path.with_name("elsewhere")
    folder.mkdir()
    os.link(path, folder / path.name)
    return folder / path.name


def without_the_lock_file(path: Path) -> Path:
    os.unlink(f"{path}.lock")
    return path


def moved(path: Path) -> Path:
    return path.rename(path.with_name("moved.db"))


@linux
@pytest.mark.anyio
@pytest.mark.parametrize(
    "name", [hard_link, symbolic_link, link_in_another_folder, without_the_lock_file, moved], ids=lambda n: n.__name__
)
async def test_a_file_that_another_process_has_is_refused_by_every_name(
    path: Path, name: Callable[[Path], Path]
) -> None:
    holder = Holder(path)
    try:
        with pytest.raises(StoreLocked):
            await SqliteStore(name(path)).open()
    finally:
        holder.kill()


@linux
@pytest.mark.anyio
@pytest.mark.parametrize("name", [hard_link, symbolic_link, link_in_another_folder], ids=lambda n: n.__name__)
async def test_a_file_that_this_process_has_is_refused_too_and_keeps_its_locks(
    path: Path, name: Callable[[Path], Path]
) -> None:
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        other = name(path)
        for _ in range(2):
            with pytest.raises(StoreLocked):
                await SqliteStore(other).open()
        # SQLite's own locks are still there: another program that looks at the file does not take the -wal away.
        await store.commit([write(store.new_key(), record=b"r")], fences)
        looks = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM meta').fetchall()"
        subprocess.run([sys.executable, "-c", looks, path], check=True)
        assert store.intact


@linux
@pytest.mark.anyio
async def test_a_file_is_free_when_its_process_is_killed_though_a_fork_of_it_lives_on(path: Path) -> None:
    holder = Holder(path, "forks")
    try:
        holder.kill()
        os.kill(holder.child, 0)  # it is there
        await open_and_close(path)
    finally:
        os.kill(holder.child, signal.SIGKILL)


def test_what_was_released_is_free_and_nothing_else(path: Path) -> None:
    hold = Hold.take(str(path), create=True)
    with pytest.raises(StoreLocked):
        Hold.take(str(path))
    hold.release()
    Hold.take(str(path)).release()


def test_a_name_without_a_file_is_locked_and_no_file_is_made(path: Path) -> None:
    hold = Hold.take(str(path))
    assert not path.exists()
    assert hold.header() == b""
    with pytest.raises(StoreLocked):
        Hold.take(str(path))
    hold.release()


# A file that is mounted by itself.

TABLE = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n36 35 98:0 /p.db {} rw shared:1 - ext4 /dev/sdb rw\n"


@pytest.mark.parametrize(
    ("mounted", "path", "is_so"),
    [
        ("/data/p.db", "/data/p.db", True),
        (r"/da\040ta/p.db", "/da ta/p.db", True),
        (r"/da\134040ta/p.db", r"/da\040ta/p.db", True),
        ("/data", "/data/p.db", False),
        ("/data/p.db-wal", "/data/p.db", False),
        ("/other/p.db", "/data/p.db", False),
    ],
)
def test_only_a_file_that_is_itself_a_mount_is_one(
    mounted: str, path: str, is_so: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE.format(mounted))
    original = open

    def opens(name: Any, *rest: Any, **more: Any) -> Any:
        return original(table if name == "/proc/self/mountinfo" else name, *rest, **more)

    monkeypatch.setattr("builtins.open", opens)
    assert identity.is_mount_point(path) is is_so


OPENS = """
import anyio, sys
from perdure.actors.store.sqlite.store import SqliteStore
try:
    anyio.run(SqliteStore(sys.argv[1]).open)
except Exception as error:
    print(error)
"""


@linux
def test_a_store_that_is_mounted_without_its_folder_is_refused(tmp_path: Path) -> None:
    # Given a mount of an empty file, as for `docker run -v ./p.db:/data/p.db`,
    for name in ("host.db", "p.db"):
        (tmp_path / name).touch()
    mount = f"mount --bind {tmp_path}/host.db {tmp_path}/p.db"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount")
    # then it is not opened, and nothing is left beside it.
    (tmp_path / "opens.py").write_text(OPENS)
    script = f"{mount} && {sys.executable} {tmp_path}/opens.py {tmp_path}/p.db"
    ran = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=True)
    assert "Mount its folder instead" in ran.stdout
    assert sorted(os.listdir(tmp_path)) == ["host.db", "opens.py", "p.db"]


# A file that disappears.


def unlink(path: Path) -> None:
    path.unlink()


def unlink_wal(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


def move_the_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def replace(path: Path) -> None:
    other = path.with_name("copy.db")
    other.write_bytes(path.read_bytes())
    other.rename(path)


def replace_wal(path: Path) -> None:
    other = Path(f"{path}-other")
    other.touch()
    other.rename(f"{path}-wal")


WAYS = pytest.mark.parametrize(
    "go_away", [unlink, unlink_wal, move, move_the_folder, replace, replace_wal], ids=lambda way: way.__name__
)


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """The name of a store in its own folder."""
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder" / "store.db"


@pytest.mark.anyio
@WAYS
async def test_a_store_whose_file_went_away_acknowledges_nothing_more(
    inside: Path, go_away: Callable[[Path], None], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a store by a relative name, and user code that changes the working folder,
    monkeypatch.chdir(inside.parent)
    async with opened(Path("store.db")) as store:
        monkeypatch.chdir("/")
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        await store.commit([write(key, record=b"r")], fences)
        assert store.intact
        # when its file disappears, then no commit is acknowledged any more, and one line gives the reason.
        go_away(inside)
        for _ in range(3):
            with pytest.raises(StoreGone, match="nothing more is written"):
                await store.commit([write(key, entry=b"e")], fences)
        assert not store.intact
    assert len([record for record in caplog.records if "nothing more is written" in record.message]) == 1


@pytest.mark.anyio
@WAYS
async def test_health_says_so_without_a_commit(
    inside: Path, go_away: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteStore, "LOOK_S", 0.0)
    async with opened(inside) as store:
        assert store.intact
        go_away(inside)
        assert not store.intact


@linux
@pytest.mark.anyio
async def test_the_files_of_a_successor_are_left_alone(path: Path) -> None:
    # Given a store that was moved away under its host, with another in its place,
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        await store.commit([write(store.new_key(), record=b"r")], fences)
        for beside in ("", "-wal", "-shm", ".id", ".lock"):
            Path(f"{path}{beside}").rename(f"{path}.moved{beside}")
        path.write_bytes(b"another")
        Path(f"{path}-wal").write_bytes(b"its own")
    # when the host has stopped, then it has deleted no file of the other store, and its own store is whole.
    assert Path(f"{path}-wal").read_bytes() == b"its own"
    async with opened(Path(f"{path}.moved")) as store:
        assert (await store.load([A]))[0] is not None


# Permissions of the files.


@pytest.mark.anyio
@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
async def test_only_its_user_can_read_a_new_store(path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        async with opened(path) as store:
            await store.commit([write(store.new_key(), record=b"r")], await store.claim("host", now_us=1))
            modes = {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["store.db", "store.db-wal", "store.db-shm", "store.db.id", "store.db.lock"], "0o600")


@pytest.mark.anyio
async def test_the_mode_of_a_file_that_is_there_is_left_to_its_user(path: Path) -> None:
    path.touch()
    path.chmod(0o640)
    await open_and_close(path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_cannot_be_opened_is_said_to_be_so(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreFailed, match="cannot be used as a store: it is a folder"):
        Hold.take(str(path), create=True)


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@pytest.mark.parametrize(("mode", "told"), [(0o644, True), (0o640, True), (0o602, True), (0o600, False)])
async def test_a_file_that_others_can_read_is_told_of_once_at_each_open(
    path: Path, mode: int, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    await open_and_close(path)
    path.chmod(mode)
    for opens in (1, 2):
        await open_and_close(path)
        lines = [each for each in caplog.messages if "can be read by other users" in each]
        assert len(lines) == (opens if told else 0)
        assert all(f"(mode {mode:04o})" in line for line in lines)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_anything_but_a_file_is_refused_in_one_sentence_and_not_opened(tmp_path: Path, kind: str) -> None:
    path = str(tmp_path / "pipe") if kind == "pipe" else "/dev/null"
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(StoreFailed, match="A store is a regular file"):
        Hold.take(path)
    assert not os.path.exists(f"{path}.lock")


def test_a_disk_that_does_not_read_is_a_sentence_at_a_start_and_no_proof_of_a_move_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a file with its -wal, held and watched,
    for beside in ("-wal", "-shm"):
        Path(f"{path}{beside}").write_bytes(b"")
    path.write_bytes(b"SQLite format 3".ljust(200, b"\0"))
    hold = Hold.take(str(path))
    hold.watch(7)

    # when its disk does not read,
    def fails(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", fails)
    # then a read of the header raises the error, and the file does not count as another's.
    with pytest.raises(StoreFailed, match="cannot be read: Input/output error"):
        hold.header()
    assert hold.moved() is None
    hold.release()


@pytest.mark.parametrize(
    ("number", "asks"),
    [
        (errno.EACCES, True),
        (errno.EPERM, True),
        (errno.EROFS, False),
        (errno.ENAMETOOLONG, False),
        (errno.EMFILE, False),
    ],
)
def test_the_user_is_asked_for_rights_where_they_are_the_reason(
    number: int, asks: bool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.open

    def refuse(name: Any, *rest: Any, **named: Any) -> int:
        if str(name).endswith(".lock"):
            raise OSError(number, os.strerror(number), name)
        return really(name, *rest, **named)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreFailed, match=rf"\.lock cannot be written: {os.strerror(number)}") as failed:
        Hold.take(str(path), create=True)
    assert ("May this user write there?" in str(failed.value)) is asks
