"""`perdure run`, when it cannot: one clear message on standard error and no traceback of ours.

The exit code tells a wrong command line (2) from a world that is not ready for it (1).
"""

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result

from perdure.actors.store.sqlite import schema
from perdure.actors.store.sqlite.store import SqliteStore
from perdure.cli.main import main
from perdure.cli.run_flags import RUN_OPTIONS


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PERDURE_", "DAPR_"))}
    return subprocess.run(
        [sys.executable, "-m", "perdure", "run", *arguments],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def read_only(*arguments: str, **variables: str) -> Result:
    """Give a command line that is answered before anything is started; in this process, because another costs more."""
    hidden = dict.fromkeys((name for name in os.environ if name.startswith(("PERDURE_", "DAPR_"))), None)
    return CliRunner().invoke(main, ["run", *arguments], env={**hidden, **variables})


def test_help_tells_every_flag_and_its_variable() -> None:
    result = read_only("--help", COLUMNS="200")
    assert result.exit_code == 0
    for option in RUN_OPTIONS:
        assert option.opts[0] in result.stdout
        assert all(variable in result.stdout for variable in option.variables)


def test_a_failing_import_shows_the_persons_own_traceback(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("def price():\n    return 1 / 0\nprice()\n")
    result = run(tmp_path, "shop.py", "--http-port", "0")
    assert result.returncode == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert [line for line in lines if line.startswith("  File ")] == [
        f'  File "{tmp_path / "shop.py"}", line 3, in <module>',
        f'  File "{tmp_path / "shop.py"}", line 2, in price',
    ]


@pytest.mark.parametrize("arguments", [("nowhere.py",), ("nowhere:app",), ("empty.py",), ("empty.py:app",)])
def test_an_app_that_cannot_be_found_is_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "empty.py").write_text("")
    result = run(tmp_path, *arguments, "--http-port", "0")
    assert result.returncode == 1
    assert_one_line(result)


def test_a_port_that_is_in_use_is_one_line_and_the_store_is_left_alone(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run(tmp_path, "--http-port", port)
    assert result.returncode == 1
    assert_one_line(result)
    assert port in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_store_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("milk\neggs\n" * 1000)
    result = run(tmp_path, "--http-port", "0", "--grpc-port", "0", "--data", "notes.txt")
    assert result.returncode == 1
    assert_one_line(result)
    assert "notes.txt" in result.stderr
    assert (tmp_path / "notes.txt").read_text() == "milk\neggs\n" * 1000


def test_a_store_in_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    result = run(tmp_path, "--http-port", "0", "--grpc-port", "0", "--data", "nowhere/perdure.db")
    assert result.returncode == 1
    assert_one_line(result)
    assert "nowhere" in result.stderr


def test_a_store_of_a_newer_release_is_one_line_and_is_left_alone(tmp_path: Path) -> None:
    # Given a store that says it is of a later version,
    path = tmp_path / "perdure.db"
    anyio.run(make_store, path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE meta SET value = value + 1000 WHERE name = ?", [schema.VERSION])
    before = path.read_bytes()
    # when this release is to run on it,
    result = run(tmp_path, "--http-port", "0", "--grpc-port", "0")
    # then it says which versions it knows, and touches nothing.
    assert result.returncode == 1
    assert_one_line(result)
    assert "newer release" in result.stderr
    assert path.read_bytes() == before


async def make_store(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    await store.close()


@pytest.mark.parametrize(
    "arguments",
    [("--http-port", "many"), ("--bogus",), ("--app-id", "a", "--app-id", "a"), ("--host", "0.0.0.0")],  # noqa: S104
)
def test_a_wrong_command_line_is_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = read_only(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_wrong_variable_is_exit_code_2_and_is_named() -> None:
    result = read_only(DAPR_GRPC_PORT="x")
    assert result.exit_code == 2
    assert "DAPR_GRPC_PORT: 'x'" in result.stderr


def assert_one_line(result: subprocess.CompletedProcess[str]) -> None:
    assert result.stdout == ""
    # The pulse runs while the store is opened, and says so where the machine gives the process no time.
    lines = [line for line in result.stderr.splitlines() if " WARNING perdure.daemon.pulse." not in line]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("Error: ")
