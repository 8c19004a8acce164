"""A vacuumed store has the same rows, and no free pages."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.store.errors import StoreFailed, StoreLocked
from perdure.actors.store.sqlite.maintenance import check
from perdure.actors.store.sqlite.offline import vacuuming
from perdure.actors.store.sqlite.offline.vacuuming import vacuum

from .....support.actors.sqlite_file import opened, write
from .....support.actors.store_parts import make, seen
from .....support.paths import ROOT


async def fill(path: Path, *, rest: bool = True) -> None:
    """A thousand actors, nine in ten of which are deleted again."""
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        keys = [store.new_key() for _ in range(1_000)]
        await store.commit([write(k, Address("wf", str(k)), record=b"r" * 500, entry=b"e") for k in keys], fences)
        await store.commit([write(k, Address("wf", str(k)), delete=True) for k in keys if k % 10], fences)
        if not rest:
            os.kill(os.getpid(), signal.SIGKILL)


async def ids(path: Path) -> list[str]:
    async with opened(path) as store:
        return sorted(await store.ids("wf", after=None, limit=2_000), key=int)


def test_the_file_shrinks_and_keeps_its_content(path: Path) -> None:
    anyio.run(fill, path)
    (done,) = vacuum(path)
    assert done.bytes_before > 3 * done.bytes_after
    assert path.stat().st_size == done.bytes_after
    assert check(path) == []
    assert anyio.run(ids, path) == [str(n) for n in range(10, 1_001, 10)]
    assert {file.name for file in path.parent.iterdir()} <= {path.name, f"{path.name}.id", f"{path.name}.lock"}


def test_a_store_whose_host_was_killed_can_be_vacuumed(path: Path) -> None:
    code = (
        f"import anyio, functools, pathlib; from {__name__} import fill;"
        f"anyio.run(functools.partial(fill, pathlib.Path({str(path)!r}), rest=False))"
    )
    died = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL
    vacuum(path)
    assert anyio.run(ids, path) == [str(n) for n in range(10, 1_001, 10)]


def test_all_parts_are_vacuumed(tmp_path: Path) -> None:
    data = tmp_path / "store.db"
    make(data, 3)
    before = seen(data, 3)
    assert len(vacuum(data)) == 3
    assert seen(data, 3) == before
    assert check(data) == []


@pytest.mark.anyio
async def test_a_store_that_is_in_use_is_refused(path: Path) -> None:
    async with opened(path):
        with pytest.raises(StoreLocked):
            vacuum(path)


def test_a_disk_without_room_is_said_before_anything_is_done(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anyio.run(fill, path)
    before = path.read_bytes()

    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(free=1_000))
    with pytest.raises(StoreFailed, match=r"1,000 are free on its disk.*make room first"):
        vacuum(path)
    assert path.read_bytes() == before


def test_what_cannot_be_written_leaves_the_store_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given another program, such as the sqlite3 shell, that is about to write,
    anyio.run(fill, path)
    monkeypatch.setattr(vacuuming, "connect", lambda path: sqlite3.connect(path, timeout=0.01, isolation_level=None))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed, match="could not be written anew, and is as it was: database is locked"):
            vacuum(path)
    assert check(path) == []
    assert len(anyio.run(ids, path)) == 100
