"""`perdure store restore`: put a backup in the place of a store, and say where the old one is."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perdure.actors.store.sqlite.maintenance import backup
from perdure.cli.main import main

from ...support.actors.store_parts import make, seen


def restore(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["store", "restore", *arguments])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make(tmp_path / "p.db", 1)
    backup(tmp_path / "p.db", tmp_path / "copy.db")
    return tmp_path / "p.db"


def test_it_says_what_was_put_where(data: Path) -> None:
    copy = data.with_name("copy.db")
    result = restore(str(copy), "--data", str(data))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{data} is restored from {copy}.\nThe replaced store is kept as {data}.before-1.\n"
    assert seen(data, 1) == seen(copy, 1)


def test_where_there_was_no_store_it_names_none(data: Path) -> None:
    new = data.with_name("new.db")
    result = restore(str(data.with_name("copy.db")), "--data", str(new))
    assert result.stdout.count("\n") == 1
    assert seen(new, 1) == seen(data, 1)


def test_what_cannot_be_restored_is_one_sentence(data: Path) -> None:
    result = restore("nowhere.db", "--data", str(data))
    assert result.exit_code == 1
    assert result.stderr == "Error: there is no store at nowhere.db\n"
