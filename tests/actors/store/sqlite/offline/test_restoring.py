"""A restored backup is the store from then on, and no file of the old one is overwritten."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from perdure.actors.store.errors import StoreError, StoreFailed, StoreLocked
from perdure.actors.store.part import Part
from perdure.actors.store.sqlite.maintenance import backup, check
from perdure.actors.store.sqlite.offline.restoring import restore

from .....support.actors.store_parts import IDS, change, files, make, opened, seen


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store" / "p.db"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "copy.db"


@pytest.mark.parametrize(("old", "new"), [(1, 1), (3, 3), (3, 1), (1, 3), (0, 2)])
def test_the_store_is_what_the_backup_was_and_the_old_one_is_kept(data: Path, copy: Path, old: int, new: int) -> None:
    # Given a backup of a number of parts, and another store with its number of parts in its place,
    make(data, new, IDS[:50])
    expected = seen(data, new)
    backup(data, copy)
    shutil.rmtree(data.parent)
    data.parent.mkdir()
    if old:
        make(data, old)
    before, kept = files(copy.parent), files(data.parent)
    # when it is restored,
    aside = restore(copy, data)
    # then the store is the backup's, and the backup has not changed,
    assert check(data) == []
    assert seen(data, new) == expected
    assert files(copy.parent) == before
    # only its user can read it,
    assert {path.stat().st_mode & 0o777 for path in data.parent.glob("p.db*") if "before" not in path.name} == {0o600}
    # and the old store has another name.
    assert aside == (f"{data}.before-1" if old else None)
    if aside is not None:
        after = files(data.parent)
        assert {after[name.replace("p.db", "p.db.before-1", 1)] for name in kept} == set(kept.values())
        assert set(seen(Path(aside), old)) == set(IDS)


def test_each_store_that_is_replaced_is_kept(data: Path, copy: Path) -> None:
    make(data, 1)
    backup(data, copy)
    assert [restore(copy, data) for _ in range(3)] == [f"{data}.before-{number}" for number in (1, 2, 3)]


def test_a_link_to_the_store_stays_a_link(data: Path, copy: Path, tmp_path: Path) -> None:
    make(data, 1)
    backup(data, copy)
    link = tmp_path / "link.db"
    link.symlink_to(data)
    restore(copy, link)
    assert link.is_symlink()
    assert len(seen(link, 1)) == len(IDS)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_store_that_a_daemon_has_is_not_replaced(data: Path, copy: Path, parts: int) -> None:
    make(data, parts)
    backup(data, copy)

    async def use() -> None:
        async with opened(data, Part(parts - 1, parts)):
            before = files(data.parent)
            with pytest.raises(StoreLocked):
                restore(copy, data)
            assert files(data.parent).keys() == before.keys()

    anyio.run(use)


def is_missing(data: Path, copy: Path) -> Path:
    return copy.with_name("nowhere.db")


def is_the_store(data: Path, copy: Path) -> Path:
    return data


def lacks_a_part(data: Path, copy: Path) -> Path:
    Path(f"{copy}.1").unlink()
    return copy


def is_not_the_first(data: Path, copy: Path) -> Path:
    return Path(f"{copy}.1")


def is_not_sound(data: Path, copy: Path) -> Path:
    change(copy, "UPDATE log SET entry = x'00' WHERE position = 1")
    return copy


def is_no_store(data: Path, copy: Path) -> Path:
    copy.write_bytes(b"dear diary" * 500)
    return copy


def was_in_use(data: Path, copy: Path) -> Path:
    change(copy, "PRAGMA user_version = 7")
    return copy


def has_a_wal(data: Path, copy: Path) -> Path:
    Path(f"{copy}-wal").write_bytes(b"x")
    return copy


def has_the_name_of_a_part(data: Path, copy: Path) -> Path:
    for index, suffix in enumerate(("", ".1")):
        shutil.copy(f"{copy}{suffix}", f"{data}.1{'.1' if index else ''}")
    return Path(f"{data}.1")


@pytest.mark.parametrize(
    "which",
    [
        is_missing, is_the_store, lacks_a_part, is_not_the_first, is_not_sound, is_no_store, was_in_use, has_a_wal,
        has_the_name_of_a_part,
    ],
    ids=lambda way: way.__name__,
)  # fmt: skip
def test_anything_but_a_backup_is_refused_and_the_store_stays(
    data: Path, copy: Path, which: Callable[[Path, Path], Path]
) -> None:
    make(data, 2)
    backup(data, copy)
    source = which(data, copy)
    before = files(data.parent)
    with pytest.raises(StoreError):
        restore(source, data)
    assert files(data.parent) == before


@pytest.mark.parametrize("at", range(1, 14))
def test_a_restore_that_breaks_off_can_be_done_again(
    data: Path, copy: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a restore that breaks off at any step,
    make(data, 2)
    expected = seen(data, 2)
    backup(data, copy)
    calls, rename = 0, os.rename

    def breaks(*names: str) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise OSError(28, "No space left on device")
        rename(*names)

    monkeypatch.setattr("os.rename", breaks)
    broke = False
    try:
        restore(copy, data)
    except StoreFailed as error:
        broke = "No space left" in str(error)
    monkeypatch.undo()
    assert broke is (calls == at)
    # then it can be done again, and nothing is lost.
    restore(copy, data)
    assert seen(data, 2) == expected
    assert len(list(data.parent.glob("p.db.before-*"))) >= 2
