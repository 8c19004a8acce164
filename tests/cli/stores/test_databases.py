"""A command for files that is given a database names the tool with the same effect there."""

import pytest
from click.testing import CliRunner

from perdure.cli.main import main

URL = "postgresql://me:secret@127.0.0.1:1/orders?schema=s1"


@pytest.mark.parametrize(
    ("command", "instead"),
    [
        (["backup", "x.db"], "pg_dump --format=custom --schema=s1"),
        (["restore", "x.db"], "pg_restore"),
        (["spread", "x.db", "--processes", "2"], "It has no files"),
        (["vacuum"], "autovacuum"),
    ],
)
def test_a_command_about_files_is_refused(command: list[str], instead: str) -> None:
    said = CliRunner().invoke(main, ["store", *command, "--data", URL])
    assert said.exit_code == 1
    assert instead in said.output
    assert "secret" not in said.output


@pytest.mark.parametrize(
    "command",
    [
        ["check"],
        ["backup", "x.db"],
        ["restore", "x.db"],
        ["spread", "x.db", "--processes", "2"],
        ["vacuum"],
        ["ls"],
        ["purge", "x"],
        ["rotate-keys"],
    ],
)
@pytest.mark.parametrize("address", ["postgresql://me:secret@h:70000/d", "postgresql://me:secret@[::1/d"])
def test_an_address_that_cannot_be_is_one_sentence_for_every_command(command: list[str], address: str) -> None:
    said = CliRunner().invoke(main, ["store", *command, "--data", address])
    assert (said.exit_code, said.output.count("\n")) == (1, 1)
    assert said.output.startswith("Error: postgresql://")
    assert "secret" not in said.output


def test_a_database_that_is_away_cannot_be_checked() -> None:
    said = CliRunner().invoke(main, ["store", "check", "--data", URL])
    assert said.exit_code == 1
    assert "postgresql://me@127.0.0.1:1/orders cannot be read" in " ".join(said.output.split())
