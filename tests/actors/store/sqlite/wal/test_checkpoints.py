"""Checkpoints happen beside the commits, and the -wal does not grow for ever."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from perdure.actors.store.durability import Durability
from perdure.actors.store.sqlite.connection import connect
from perdure.actors.store.sqlite.wal import checkpoints
from perdure.actors.store.sqlite.wal.checkpoints import Checkpoints, connect_for_checkpoints, leave_checkpoints
from perdure.actors.store.sqlite.wal.shared_index import SharedIndex

WITHIN_S = 20.0


class File:
    """A database with a -wal, of which each commit adds a few pages."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "x.db")
        self.writer = connect(self.path)
        self.writer.execute("PRAGMA journal_mode = WAL")
        leave_checkpoints(self.writer)
        self.writer.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB)")
        self.index = SharedIndex(f"{self.path}-shm")
        self.rows = 0

    def commit(self, kept: Checkpoints, pages: int = 20) -> None:
        self.writer.execute("BEGIN IMMEDIATE")
        for _ in range(pages):
            self.writer.execute("INSERT INTO t (v) VALUES (?)", (bytes(4000),))
        self.rows += pages
        self.writer.execute("COMMIT")
        kept.after_commit(self.writer)

    def connection(self) -> sqlite3.Connection:
        return connect_for_checkpoints(self.path, Durability.FULL)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    file = File(tmp_path)
    yield file
    file.writer.close()
    file.index.close()
    with closing(sqlite3.connect(file.path)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (file.rows,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


class Copies:
    """The threads that have made checkpoints."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[threading.Thread] = []
        self.left: list[int] = []  # before those of the writer
        self.held = threading.Event()  # clear: the thread beside waits
        self.held.set()
        self.ended = threading.Event()
        copy = checkpoints.copy

        def noted(connection: sqlite3.Connection) -> None:
            self.threads.append(threading.current_thread())
            if threading.current_thread() is not threading.main_thread():
                self.held.wait(WITHIN_S)
            copy(connection)
            self.ended.set()

        monkeypatch.setattr(checkpoints, "copy", noted)

    def by_writer(self) -> int:
        return sum(thread is threading.main_thread() for thread in self.threads)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Copies:
    monkeypatch.setattr(checkpoints, "BEGIN_PAGES", 200)
    monkeypatch.setattr(checkpoints, "REST_PAGES", 50)
    monkeypatch.setattr(checkpoints, "PAGES_MAX", 2000)
    return Copies(monkeypatch)


def until(condition: Callable[[], bool], step: Callable[[], None]) -> None:
    for _ in range(2000):
        if condition():
            return
        step()
    raise AssertionError("it does not come")


def test_no_checkpoint_is_made_before_it_is_time(file: File, copies: Copies) -> None:
    kept = Checkpoints(file.connection, file.index)
    until(lambda: file.index.frames().all >= 150, lambda: file.commit(kept))
    assert copies.threads == []
    kept.end()


def test_commits_go_on_while_pages_are_copied_and_the_writer_copies_only_the_rest(file: File, copies: Copies) -> None:
    kept = Checkpoints(file.connection, file.index)
    copies.held.clear()

    def step_behind() -> None:
        copies.ended.wait(WITHIN_S)
        file.commit(kept)

    # Given a checkpoint that does not end, then commits do not wait for it.
    until(lambda: file.index.frames().all >= 1000, lambda: file.commit(kept))
    assert (len(copies.threads), copies.by_writer()) == (1, 0)
    # When it ends, then the writer copies the rest once that is small, and the -wal begins again.
    copies.held.set()
    until(lambda: file.index.frames().all < 200, step_behind)
    assert copies.by_writer() <= 2
    kept.end()


def test_a_thread_that_cannot_keep_up_is_waited_for(file: File, copies: Copies) -> None:
    kept = Checkpoints(file.connection, file.index)
    copies.held.clear()
    until(lambda: copies.by_writer() > 0, lambda: file.commit(kept))
    assert 2000 <= file.index.frames().all <= 2100
    copies.held.set()
    kept.end()


@pytest.mark.parametrize("why", ["no thread may copy", "no connection can be made"])
def test_without_a_thread_the_writer_copies_all(file: File, copies: Copies, why: str) -> None:
    def refused() -> sqlite3.Connection:
        raise sqlite3.OperationalError("unable to open database file")

    kept = Checkpoints(refused, file.index, beside=why != "no thread may copy")
    until(lambda: copies.by_writer() > 0, lambda: file.commit(kept))
    until(lambda: file.index.frames().all < 200, lambda: file.commit(kept))
    kept.end()


def test_a_checkpoint_that_fails_fails_no_commit(file: File, copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT", "SELECT no_such_function()")
    kept = Checkpoints(file.connection, file.index, beside=False)
    until(lambda: copies.by_writer() > 2, lambda: file.commit(kept))
    kept.end()


@pytest.mark.anyio
async def test_to_close_ends_the_thread(file: File, copies: Copies) -> None:
    def is_there() -> bool:
        return any(thread.name == "perdure-checkpoints" for thread in threading.enumerate())

    kept = Checkpoints(file.connection, file.index)
    until(is_there, lambda: file.commit(kept))
    await kept.close()
    assert not is_there()
    # No further checkpoint begins.
    file.commit(kept, pages=400)
    await kept.close()
    assert not is_there()
