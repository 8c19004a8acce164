"""`perdure store`: check whether a file is sound, and copy it while it is in use."""

import sqlite3
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result

from perdure.actors.store.durability import Durability
from perdure.actors.store.part import Part
from perdure.actors.store.sqlite.store import SqliteStore
from perdure.cli.main import main

from ..support.actors.store_parts import change, make, opened, seen


def store_command(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["store", *arguments])


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A store in which nothing has happened."""
    path = str(tmp_path / "perdure.db")

    async def make() -> None:
        store = SqliteStore(path, durability=Durability.FULL)
        await store.open()
        await store.close()

    anyio.run(make)
    return path


def test_a_sound_store_is_said_to_be_sound(data: str) -> None:
    result = store_command("check", "--data", data)
    assert (result.exit_code, result.stdout) == (0, f"{data} is sound.\n")


def test_the_path_may_come_from_the_environment(data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_DATA", data)
    assert store_command("check").exit_code == 0


def test_faults_are_listed_and_the_exit_code_says_so(data: str) -> None:
    # Given a file whose pages were overwritten with something else,
    with Path(data).open("r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * 4096)
    # when it is checked,
    result = store_command("check", "--data", data)
    # then the answer lists the faults, without a traceback.
    assert result.exit_code == 1
    assert result.stdout == ""
    assert data in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_a_file_that_is_no_store_is_not_sound(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("milk\n" * 1000)
    result = store_command("check", "--data", str(notes))
    assert result.exit_code == 1
    assert str(notes) in result.stderr
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("command", [("check",), ("backup", "copy.db"), ("spread", "new.db", "--processes", "2")])
def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, command: tuple[str, ...]) -> None:
    missing = tmp_path / "missing.db"
    result = store_command(*command, "--data", str(missing))
    assert result.exit_code == 1
    assert f"there is no store at {missing}" in result.stderr
    assert not missing.exists()


def test_a_backup_is_a_sound_store_of_its_own(data: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    result = store_command("backup", str(copy), "--data", data)
    assert (result.exit_code, result.stdout) == (0, f"{data} is copied to {copy}.\n")
    assert store_command("check", "--data", str(copy)).exit_code == 0
    with sqlite3.connect(copy) as database:
        tables = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    database.close()
    assert tables[0] > 0


def test_a_store_in_use_can_be_checked_and_copied(data: str, tmp_path: Path) -> None:
    async def use() -> tuple[Result, Result]:
        store = SqliteStore(data, durability=Durability.FULL)
        await store.open()
        try:
            return store_command("check", "--data", data), store_command(
                "backup", str(tmp_path / "c.db"), "--data", data
            )
        finally:
            await store.close()

    checked, copied = anyio.run(use)
    assert (checked.exit_code, copied.exit_code) == (0, 0), checked.stderr + copied.stderr


# Several processes.


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    make(tmp_path / "parts" / "p.db", 3)
    return tmp_path / "parts" / "p.db"


def test_a_store_is_laid_out_for_several_processes_and_back(data: str, tmp_path: Path) -> None:
    wide, narrow = str(tmp_path / "wide.db"), str(tmp_path / "narrow.db")
    for arguments in ((wide, "--data", data, "--processes", "3"), (narrow, "--data", wide, "--processes", "1")):
        result = store_command("spread", *arguments)
        assert (result.exit_code, result.stderr) == (0, "")
        new, _, old, _, processes = arguments
        assert result.stdout == f"{old} is copied for --processes {processes} at {new}.\n"
        assert store_command("check", "--data", new).stdout == f"{new} is sound.\n"
    assert {file.name for file in tmp_path.glob("*.db*") if file.suffix not in (".lock", ".id")} == {
        "perdure.db", "wide.db", "wide.db.1", "wide.db.2", "narrow.db",
    }  # fmt: skip


@pytest.mark.parametrize("processes", ["0", "many", "-1"])
def test_a_number_of_processes_that_cannot_be_is_a_wrong_command_line(data: str, processes: str) -> None:
    assert store_command("spread", "new.db", "--data", data, "--processes", processes).exit_code == 2


def test_the_number_of_processes_must_be_said(data: str) -> None:
    result = store_command("spread", "new.db", "--data", data)
    assert result.exit_code == 2
    assert "--processes" in result.stderr


def test_more_processes_than_shards_are_refused_in_one_line(data: str, tmp_path: Path) -> None:
    result = store_command("spread", str(tmp_path / "new.db"), "--data", data, "--processes", "65")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "1 to 64 parts, not 65" in line


def test_a_store_in_use_is_not_spread(parted: Path, tmp_path: Path) -> None:
    result = while_in_use(parted, "spread", str(tmp_path / "new.db"), "--data", str(parted), "--processes", "2")
    assert result.exit_code == 1
    assert f"{parted}.1 is in use" in result.stderr


def test_a_store_of_several_processes_in_use_is_checked_and_not_copied(parted: Path, tmp_path: Path) -> None:
    assert while_in_use(parted, "check", "--data", str(parted)).exit_code == 0
    result = while_in_use(parted, "backup", str(tmp_path / "copy.db"), "--data", str(parted))
    assert result.exit_code == 1
    assert "Stop the daemon" in result.stderr
    # A store that is not in use is copied too.
    assert store_command("backup", str(tmp_path / "copy.db"), "--data", str(parted)).exit_code == 0
    assert seen(tmp_path / "copy.db", 3) == seen(parted, 3)


def while_in_use(data: Path, *command: str) -> Result:
    async def use() -> Result:
        async with opened(data, Part(1, 3)):
            return store_command(*command)

    return anyio.run(use)


def test_faults_are_listed_with_the_file_that_has_them(parted: Path) -> None:
    change(f"{parted}.2", "INSERT INTO active VALUES (777)")
    Path(f"{parted}.1").unlink()
    result = store_command("check", "--data", str(parted))
    assert result.exit_code == 1
    assert [line.strip() for line in result.stderr.splitlines()] == [
        f"Error: {parted} is not sound:",
        f"{parted}.1, which should be part 2 of 3, is missing",
        f"{parted}.2: 1 active marks belong to no actor; the first has key 777",
    ]


def test_a_backup_does_not_overwrite(data: str, tmp_path: Path) -> None:
    precious = tmp_path / "precious.db"
    precious.write_text("do not touch")
    result = store_command("backup", str(precious), "--data", data)
    assert result.exit_code == 1
    assert "does not overwrite" in result.stderr
    assert precious.read_text() == "do not touch"


def test_a_backup_that_cannot_be_written_is_one_line(data: str, tmp_path: Path) -> None:
    result = store_command("backup", str(tmp_path / "nowhere" / "copy.db"), "--data", data)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "nowhere" in line


def test_a_vacuum_says_how_large_each_file_was_and_is(tmp_path: Path) -> None:
    data = tmp_path / "perdure.db"
    make(data, 2)
    before = seen(data, 2)
    result = store_command("vacuum", "--data", str(data))
    assert result.exit_code == 0, result.output
    assert [line.split(" had ")[0] for line in result.stdout.splitlines()] == [str(data), f"{data}.1"]
    assert result.stdout.count("bytes, and has") == 2
    assert seen(data, 2) == before


def test_a_vacuum_of_anything_but_a_store_is_an_error_in_a_sentence(tmp_path: Path) -> None:
    result = store_command("vacuum", "--data", str(tmp_path / "none.db"))
    assert result.exit_code == 1
    assert "there is no store at" in result.stderr
