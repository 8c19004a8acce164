"""The index of a -wal may be cut short while nothing is under way: SQLite reads it from the -wal again."""
# ruff: noqa: ASYNC240  what a test does to files need not be quick

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from perdure.actors.store.errors import StoreGone
from perdure.actors.store.sqlite.wal.shared_index import Frames, SharedIndex

from .....support.actors.sqlite_file import A, log, opened, write

CUTS: dict[str, Callable[[str], None]] = {
    "emptied": lambda path: os.truncate(path, 0),
    "one byte left": lambda path: os.truncate(path, 1),
    "a page left": lambda path: os.truncate(path, 4096),
    "a byte gone": lambda path: os.truncate(path, os.path.getsize(path) - 1),
}


@pytest.mark.anyio
@pytest.mark.parametrize("cut", CUTS)
async def test_a_store_whose_index_is_cut_short_goes_on(
    tmp_path: Path, cut: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path / "p.db") as store:
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        await store.commit([write(key, record=b"r")], fences)
        for number in range(3):
            # When the index is cut short, then reading and writing still work.
            CUTS[cut](str(tmp_path / "p.db-shm"))
            assert await log(store) == [b"%d" % earlier for earlier in range(number)]
            CUTS[cut](str(tmp_path / "p.db-shm"))
            await store.commit([write(key, entry=b"%d" % number)], fences)
        CUTS[cut](str(tmp_path / "p.db-shm"))
    # Each cut is reported, and the commits are there afterwards.
    assert len([record for record in caplog.records if "was cut short by another program" in record.message]) == 7
    async with opened(tmp_path / "p.db") as store:
        assert await log(store) == [b"0", b"1", b"2"]


@pytest.mark.anyio
async def test_a_wal_that_is_cut_short_is_no_wal_any_more(tmp_path: Path) -> None:
    async with opened(tmp_path / "p.db") as store:
        fences = await store.claim("host", now_us=1)
        key = store.new_key()
        await store.commit([write(key, record=b"r" * 50_000)], fences)
        os.truncate(tmp_path / "p.db-wal", os.path.getsize(tmp_path / "p.db-wal") // 2)
        # Rows that cannot be read for this reason do not count as damaged.
        with pytest.raises(StoreGone, match="has a -wal that was cut short"):
            await store.load([A])
        with pytest.raises(StoreGone):
            await store.commit([write(key, entry=b"e")], fences)


def test_an_index_is_made_anew_only_while_nothing_is_under_way(tmp_path: Path) -> None:
    path = tmp_path / "p.db-shm"
    path.write_bytes(b"x" * 32768)
    index = SharedIndex(str(path))
    # Given a transaction that is under way when the index is cut short,
    index.begin()
    os.truncate(path, 100)
    begun = threading.Event()

    def other() -> None:
        index.begin()
        begun.set()
        index.end()

    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    # then the next one waits for its end.
    assert not begun.wait(0.05)
    assert path.stat().st_size == 100
    index.end()
    assert begun.wait(10)
    thread.join(10)
    assert path.read_bytes() == bytes(32768)
    index.close()


@pytest.mark.parametrize(
    ("frames", "wal_bytes", "beyond"),
    [(0, 0, False), (1, 32 + 24 + 4096, False), (1, 32 + 24 + 4095, True), (3, 32, True), (2, 10**6, False)],
)
def test_a_wal_has_room_for_its_frames(tmp_path: Path, frames: int, wal_bytes: int, beyond: bool) -> None:
    path = tmp_path / "p.db-shm"
    header = bytearray(32768)
    header[14:16] = (4096).to_bytes(2, sys.byteorder)
    header[16:20] = frames.to_bytes(4, sys.byteorder)
    path.write_bytes(header)
    index = SharedIndex(str(path))
    assert index.is_beyond(wal_bytes) == beyond
    assert index.frames() == Frames(frames, 0)
    index.close()


def test_what_is_left_is_never_below_zero() -> None:
    assert (Frames(5, 2).left, Frames(1, 9).left) == (3, 0)
