"""How the commands reach a daemon, and how they end: exit codes, and sentences that name the id."""

import io
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from perdure import InstanceExists, InstanceNotFound, PerdureError
from perdure.cli.instances.connection import (
    NOT_FOUND,
    REFUSED,
    TIME_OVER,
    UNREACHABLE,
    USAGE,
    DaemonCommand,
    code_of,
    ended,
    ids_of,
    token_of,
)
from perdure.cli.main import COMMANDS, main
from perdure.client.errors import ServerAddressInvalid, ServerRefused, ServerUnreachable, TokenRefused
from perdure.runtime.errors import InvalidRequest

from ...support.processes.daemon import Daemon
from ...support.processes.shop import TOKEN
from .conftest import Run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InstanceNotFound("i"), NOT_FOUND),
        (InstanceExists("i"), REFUSED),
        (ServerUnreachable("http://x", "refused", sent=False), UNREACHABLE),
        (ServerAddressInvalid("x", "why"), USAGE),
        (InvalidRequest("no"), USAGE),
        (TokenRefused(401, "", "who?"), REFUSED),
        (ServerRefused(400, "ERR_FILTER_INVALID", "no"), USAGE),
        (ServerRefused(404, "ERR_OPERATION_NOT_FOUND", "no"), NOT_FOUND),
        (ServerRefused(404, "ERR_ROUTE_NOT_FOUND", "no"), REFUSED),
        (ServerRefused(409, "", "no"), REFUSED),
        (ServerRefused(412, "", "no"), REFUSED),
        (ServerRefused(422, "", "no"), REFUSED),
        (ServerRefused(503, "", "no"), UNREACHABLE),
    ],
    ids=repr,
)
def test_an_error_has_its_exit_code(error: PerdureError, code: int) -> None:
    assert code_of(error) == code


def test_the_sentence_of_an_error_names_the_id_once() -> None:
    assert ended(InstanceNotFound("order-17")).message == "order-17: no such instance exists"
    assert ended(InstanceExists("order-17")).message == "an active workflow with ID 'order-17' already exists"
    assert ended(ServerRefused(409, "", "it cannot be"), "order-17").message == "order-17: it cannot be"


@pytest.mark.parametrize(
    "name",
    [name for name, (module, _, _) in COMMANDS.items() if module.startswith(".instances") and name != "completion"],
)
def test_every_command_says_where_it_looks_and_shows_an_example(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert isinstance(command, DaemonCommand)
    said = CliRunner().invoke(main, [name, "--help"]).output
    for flag in ("--server", "--token-file", "PERDURE_SERVER"):
        assert flag in said
    assert f"perdure {name}" in said.partition("Example:")[2]
    # The example can be read by the command that it is of.
    assert command.example.startswith(f"perdure {name}")


def test_a_daemon_that_is_not_there_is_5(run: Run) -> None:
    said = run("ls", "--server", "127.0.0.1:1")
    assert said.code == UNREACHABLE
    assert "http://127.0.0.1:1 cannot be reached" in said.err


def test_an_address_that_is_none_is_2(run: Run) -> None:
    assert run("ls", "--server", "ftp://x").code == USAGE


def test_tokens_come_from_a_file_or_from_the_environment(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"# of the daemon\nada={TOKEN}\n")
    at = ("count", "--server", daemon.url)
    refused = CliRunner().invoke(main, at)
    assert refused.exit_code == REFUSED
    assert "--token-file" in refused.stderr
    assert CliRunner().invoke(main, [*at, "--token-file", str(tmp_path / "tokens")]).exit_code == 0
    assert CliRunner().invoke(main, at, env={"PERDURE_API_TOKEN": TOKEN}).exit_code == 0


def test_a_file_without_a_token_is_2(run: Run, tmp_path: Path) -> None:
    said = run("ls", "--token-file", str(tmp_path / "none"))
    assert said.code == USAGE
    assert "--token-file" in said.err


def test_the_first_token_of_a_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokens").write_text("\nfirst\nsecond\n")
    assert token_of(str(tmp_path / "tokens")) == "first"
    assert token_of(None) is None
    monkeypatch.setenv("DAPR_API_TOKEN", "of dapr")
    assert token_of(None) == "of dapr"


def test_ids_come_from_arguments_and_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("b\n\nc d\r\na\n"))
    assert ids_of(["a", "-"]) == ["a", "b", "c d"]


def test_of_several_the_others_are_done_and_the_exit_code_is_1(run: Run, new_id: str) -> None:
    run("start", "waits", "--id", new_id)
    said = run("suspend", "nobody", new_id)
    assert said.code == 1
    assert "nobody" in said.err
    assert said.lines == [f"{new_id} suspended"]
    assert run("suspend", "nobody").code == NOT_FOUND


def test_a_time_that_is_over_is_6(run: Run, new_id: str) -> None:
    run("start", "waits", "--id", new_id)
    said = run("wait", new_id, "--timeout", "0.1s")
    assert said.code == TIME_OVER
    assert new_id in said.err
