"""New files get their names when all are finished, the first last; nothing is overwritten or left half-made."""

import os
from pathlib import Path

import pytest

from perdure.actors.store.errors import StoreFailed, StoreLocked
from perdure.actors.store.part import Part
from perdure.actors.store.sqlite.files import (
    holding,
    locked,
    making,
    new_layout,
    parts_of,
    paths_of,
    reading,
    stamp_of,
)

from ....support.actors.store_parts import files, make


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    return paths_of(str(tmp_path / "new"), 3)


def write_all(unfinished: list[str]) -> None:
    for path in unfinished:
        Path(path).write_text(path)


# New files.


def test_files_have_other_names_until_all_are_finished(tmp_path: Path, paths: list[str]) -> None:
    with making(paths) as unfinished:
        write_all(unfinished)
        assert not {path for path in paths if os.path.exists(path)}
    assert set(files(tmp_path)) == {"new", "new.1", "new.2"}


def test_the_first_gets_its_name_last(paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[str] = []
    rename = os.rename

    def noted(old: str, new: str) -> None:
        named.append(new)
        rename(old, new)

    monkeypatch.setattr(os, "rename", noted)
    with making(paths) as unfinished:
        write_all(unfinished)
    assert named == paths[::-1]


def test_work_that_breaks_off_leaves_nothing(tmp_path: Path, paths: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt), making(paths) as unfinished:
        write_all(unfinished)
        raise KeyboardInterrupt
    assert files(tmp_path) == {}


def test_a_disk_that_is_full_is_said_in_our_words(tmp_path: Path, paths: list[str]) -> None:
    with pytest.raises(StoreFailed, match=r"new failed.*No space"), making(paths) as unfinished:
        write_all(unfinished)
        raise OSError(28, "No space left on device")
    assert files(tmp_path) == {}


def test_what_came_meanwhile_stays_and_what_was_named_is_taken_back(tmp_path: Path, paths: list[str]) -> None:
    with pytest.raises(StoreFailed, match=r"new\.1 came into being meanwhile"), making(paths) as unfinished:
        write_all(unfinished)
        Path(paths[1]).write_text("precious")
    assert files(tmp_path) == {"new.1": b"precious"}


def test_what_one_that_was_killed_left_is_no_obstacle(tmp_path: Path, paths: list[str]) -> None:
    # Most of all a journal: SQLite would play it back into the new file.
    for suffix in ("", "-journal", "-wal"):
        Path(f"{paths[1]}.partial{suffix}").write_text("half of it")
    with making(paths) as unfinished:
        assert files(tmp_path) == {}
        write_all(unfinished)
    assert set(files(tmp_path)) == {"new", "new.1", "new.2"}


def test_a_link_to_nowhere_is_not_replaced(tmp_path: Path, paths: list[str]) -> None:
    Path(paths[2]).symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreFailed, match=r"new\.2 exists already"), making(paths):
        raise AssertionError("nothing to be made")


# Existing files.


def test_the_stamp_of_a_file_names_its_part(tmp_path: Path) -> None:
    make(tmp_path / "p.db", 3)
    first, second = (stamp_of(path) for path in parts_of(str(tmp_path / "p.db"))[:2])
    assert (first.part, second.part) == (Part(0, 3), Part(1, 3))
    assert (first.layout, first.shards) == (second.layout, second.shards)
    assert first.shards == 64


def test_no_two_layouts_have_a_number_in_common() -> None:
    numbers = {new_layout() for _ in range(100)}
    assert len(numbers) == 100
    assert all(0 < number < 2**63 for number in numbers)


def test_all_files_of_a_store_are_held_or_none(tmp_path: Path) -> None:
    data = str(tmp_path / "p.db")
    make(tmp_path / "p.db", 3)
    # Given a file that another process has,
    with locked([f"{data}.2"]):
        with pytest.raises(StoreLocked, match=r"p\.db\.2"), holding(data):
            raise AssertionError("not held")
        # then the other files were released,
        with locked([data, f"{data}.1"]):
            pass
    # and when it is free, all can be taken at once, and are free afterwards.
    for _ in range(2):
        with holding(data) as paths:
            assert paths == paths_of(data, 3)
            with pytest.raises(StoreLocked), locked([f"{data}.1"]):
                raise AssertionError("not locked")


# On a file system that is mounted read-only.


class ReadOnly:
    """The answer of statvfs(3) for a read-only file system."""

    f_flag = os.ST_RDONLY


def test_a_store_on_a_read_only_file_system_is_read_without_files_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "p.db")
    make(Path(path), 1)
    (tmp_path / "p.db.lock").unlink(missing_ok=True)
    before = set(files(tmp_path))
    with reading(path) as connection:
        connection.execute("SELECT count(*) FROM actors").fetchone()
        assert set(files(tmp_path)) > before  # as it would be anywhere else
    monkeypatch.setattr(os, "statvfs", lambda path: ReadOnly)
    with reading(path) as connection:
        connection.execute("SELECT count(*) FROM actors").fetchone()
        assert set(files(tmp_path)) == before


def test_a_store_with_a_wal_on_a_read_only_file_system_has_to_be_copied_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "p.db")
    make(Path(path), 1)
    (tmp_path / "p.db-wal").write_bytes(b"frames")
    monkeypatch.setattr("perdure.actors.store.sqlite.files.require_own", lambda path: None)
    monkeypatch.setattr(os, "statvfs", lambda path: ReadOnly)
    with pytest.raises(StoreFailed, match=r"mounted read-only.*Copy the file with its -wal and its .id"), reading(path):
        pass
    assert files(tmp_path)["p.db-wal"] == b"frames"
