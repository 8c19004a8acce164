"""`perdure store`: look whether a file is sound, and copy it while it is in use."""

import sqlite3
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result

from perdure.actors.store.sqlite import Durability, SqliteStore
from perdure.cli.main import main


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


def test_what_is_wrong_is_listed_and_the_exit_code_says_so(data: str) -> None:
    # Given a file whose pages were overwritten with something else,
    with Path(data).open("r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * 4096)
    # when it is checked,
    result = store_command("check", "--data", data)
    # then the faults stand in the answer, without a traceback.
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


@pytest.mark.parametrize("command", [("check",), ("backup", "copy.db")])
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
