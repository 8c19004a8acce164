"""The commands' connections to a daemon, and their ends: exit codes, and sentences that name the id."""

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from perdure import InstanceExists, InstanceNotFound, PerdureError
from perdure.api.management.instances import InstanceList
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
from perdure.client.errors import (
    ServerAddressInvalid,
    ServerRefused,
    ServerUnreachable,
    TokenInvalid,
    TokenRefused,
)
from perdure.runtime.errors import InvalidRequest

from ...support.cli.fake_client import FakeClient
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
        (TokenInvalid(3), USAGE),
        (InvalidRequest("no"), USAGE),
        (TokenRefused(401, "", "who?"), REFUSED),
        (ServerRefused(400, "ERR_FILTER_INVALID", "no"), USAGE),
        (ServerRefused(404, "ERR_OPERATION_NOT_FOUND", "no"), NOT_FOUND),
        (ServerRefused(404, "ERR_ROUTE_NOT_FOUND", "no"), REFUSED),
        (ServerRefused(404, "ERR_DIRECT_INVOKE", "no"), REFUSED),
        (ServerRefused(404, "", "no"), REFUSED),
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
    # Each command can parse its own example.
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


# One empty word for each place of a command line that takes an id or a name.
EMPTY: list[list[str]] = [
    *([name, ""] for name in ("show", "history", "tree", "wait", "export", "suspend", "resume", "terminate", "purge")),
    *(["rerun", ""], ["rerun", "i", "--id", ""], ["import", "-", "--id", ""]),
    *(["start", ""], ["start", "order", "--id", ""], ["event", "", "e"], ["event", "i", ""], ["repair", "", "release"]),
    *(["operations", "show", ""], ["audit", "--id", ""], ["audit", "--actor", ""], ["audit", "--action", ""]),
    *(["terminate", "--all-matching", "--yes", flag, ""] for flag in ("--id-prefix", "--parent")),
]


@pytest.mark.parametrize("arguments", EMPTY, ids=" ".join)
def test_an_empty_word_is_none_that_was_left_out(
    run: Run, fake: Callable[..., FakeClient], arguments: list[str]
) -> None:
    # Given a variable that a script has not set,
    client = fake()
    # when it is an id, a name or a filter, no request is sent: it could mean all instances, or any.
    said = run(*arguments)
    assert (said.code, said.out) == (USAGE, "")
    assert "it is empty" in said.err
    assert client.asked == []


@pytest.mark.parametrize("flag", ["--status", "--name", "--id-prefix", "--parent"])
def test_a_filter_without_a_value_fits_nothing(run: Run, new_id: str, flag: str) -> None:
    run("start", "waits", "--id", new_id)
    said = run("terminate", "--all-matching", "--yes", flag, "")
    assert (said.code, said.out) == (USAGE, "")
    assert run("show", new_id, "-o", "json").json["status"] in ("PENDING", "RUNNING")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["start", "order", "--timeout", "5s"], "--timeout goes with --wait"),
        (["start", "order", "--force"], "--force goes with --if-exists restart"),
        (["start", "order", "--if-exists", "return", "--force"], "--force goes with --if-exists restart"),
        (["start", "order", "--tag", "a=1", "--tag", "a=2"], "'a' is given twice"),
        (["start", "order", "--input", "@"], "behind @"),
        (["wait", "i", "--until", ","], "names no status"),
        (["wait", "i", "--until", ""], "names no status"),
        (["repair", "i", "complete", "--event-id", "1", "--failure-type", "X"], "--failure-type goes with fail"),
    ],
    ids=str,
)
def test_what_a_command_would_not_heed_is_refused(
    run: Run, fake: Callable[..., FakeClient], arguments: list[str], words: str
) -> None:
    client = fake()
    said = run(*arguments)
    assert (said.code, said.out) == (USAGE, "")
    assert words in said.err
    assert client.asked == []


STEERING = "\x1b[31mred\x07\x9b1m\u202e"  # an id that would colour, ring, and turn the direction


@pytest.mark.parametrize(
    "arguments",
    [
        *([action, "ID"] for action in ("suspend", "resume", "terminate", "purge", "show", "history", "tree")),
        *([action, "ID", "-o", "json"] for action in ("suspend", "show", "tree", "purge")),
        *(
            ["wait", "ID", "--timeout", "0"],
            ["repair", "ID", "release"],
            ["ls", "--id-prefix", "\x1b"],
            ["ls", "-o", "json"],
        ),
        *(["event", "ID", "e"], ["rerun", "ID"], ["export", "ID"], ["audit", "-o", "json"], ["operations"]),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("there", [True, False], ids=["there", "not there"])
def test_no_character_of_an_id_steers_the_terminal(run: Run, new_id: str, arguments: list[str], there: bool) -> None:
    name = f"{STEERING}{new_id}"
    if there:
        run("start", "waits", "--id", name)
    said = run(*(name if word == "ID" else word for word in arguments))
    shown = (said.out + said.err).replace("\n", "")
    assert [each for each in shown if not each.isprintable()] == []


def test_an_address_of_something_else_is_told_from_an_instance_that_is_not_there(run: Run, daemon: Daemon) -> None:
    said = run("show", "nobody", "--server", f"{daemon.url}/elsewhere")
    assert said.code == REFUSED
    assert f"{daemon.url}/elsewhere has no management API" in said.err
    assert run("show", "nobody").code == NOT_FOUND


def test_a_token_with_the_end_of_its_line_is_said_to_be_so(run: Run, daemon: Daemon) -> None:
    said = CliRunner().invoke(main, ["count", "--server", daemon.url], env={"PERDURE_API_TOKEN": f"{TOKEN}\n"})
    assert said.exit_code == USAGE
    assert "this text cannot be an API token" in said.stderr
    assert TOKEN not in said.stderr


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_an_output_that_takes_nothing_is_one_sentence(
    run: Run, fake: Callable[..., FakeClient], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    fake(list=InstanceList(items=[], cursor=None))
    monkeypatch.setattr("perdure.cli.instances.listing.show", full)
    said = run("ls")
    assert (said.code, said.err) == (1, f"Error: the output cannot be written: {os.strerror(number)}\n")
