"""Shells complete statuses, and ids, names, events and operations from the daemon, or nothing if it is away."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

import perdure
from perdure.cli.instances.completion import VARIABLE
from perdure.cli.instances.suggesting import is_word, last_of
from perdure.cli.main import main
from perdure.client.blocking import BlockingClient

from ...support.processes.daemon import Daemon
from ...support.processes.shop import TOKEN

Offered = Callable[..., dict[str, str | None]]


@pytest.fixture
def offered(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Offered:
    """The suggestions behind words, with their descriptions; the last word has been begun."""
    monkeypatch.setenv("PERDURE_SERVER", daemon.url)
    monkeypatch.setenv("PERDURE_API_TOKEN", TOKEN)

    def offered(*words: str) -> dict[str, str | None]:
        complete = ShellComplete(main, {}, "perdure", VARIABLE)
        return {each.value: each.help for each in complete.get_completions(list(words[:-1]), words[-1])}

    return offered


@pytest.fixture
def client(daemon: Daemon) -> Iterator[BlockingClient]:
    with perdure.connect_sync(daemon.url, token=TOKEN) as client:
        yield client


@pytest.mark.parametrize(
    ("begun", "found"),
    [
        ("su", {"suspended"}),
        ("S", {"suspended", "stalled", "set_aside"}),
        ("running,te", {"running,terminated"}),
        ("!fa", {"!failed"}),
        ("!failed,pe", {"!failed,pending"}),
        ("x", set()),
    ],
)
def test_statuses_are_offered_in_the_last_place_of_a_list(offered: Offered, begun: str, found: set[str]) -> None:
    assert set(offered("ls", "--status", begun)) == found
    assert set(offered("wait", "x", "--until", begun)) == found


def test_ids_are_offered_with_what_they_are(offered: Offered, client: BlockingClient, new_id: str) -> None:
    # Given two instances, and one whose id a shell would change,
    for suffix in (":0", ":1", " $(rm)"):
        client.start("waits", instance_id=f"{new_id}{suffix}")
    # then the two are offered in each place for an id,
    both = {f"{new_id}:0": "waits RUNNING", f"{new_id}:1": "waits RUNNING"}
    for words in (("show",), ("terminate",), ("repair",), ("ls", "--parent"), ("audit", "--id")):
        assert offered(*words, new_id) == both, words
    # but not a second time to the same command.
    assert set(offered("purge", f"{new_id}:0", new_id)) == {f"{new_id}:1"}
    assert offered("show", f"{new_id}-not") == {}


def test_names_events_and_operations_are_offered(offered: Offered, client: BlockingClient, new_id: str) -> None:
    client.start("waits", instance_id=new_id)
    begun = client.bulk("suspend", client.plan_bulk("suspend", id_prefix=new_id).plan)
    assert set(offered("start", "ha")) == {"hangs"}
    assert set(offered("ls", "--name", "order,wai")) == {"order,waits"}
    assert set(offered("event", new_id, "ap")) == {"approval"}
    assert offered("event", f"{new_id}-not", "") == {}
    assert begun.id in offered("operations", "cancel", begun.id[:4])


def test_the_words_after_the_command_say_which_daemon(
    offered: Offered, client: BlockingClient, daemon: Daemon, new_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.start("waits", instance_id=new_id)
    monkeypatch.setenv("PERDURE_SERVER", "http://127.0.0.1:1")
    assert offered("show", new_id) == {}
    assert set(offered("show", "--server", daemon.url, new_id)) == {new_id}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_daemon_that_is_away_or_hangs_is_not_noticed(shell: str, tmp_path: Path) -> None:
    with socket.socket() as hanging, socket.socket() as closed:
        hanging.bind(("127.0.0.1", 0))
        hanging.listen()
        closed.bind(("127.0.0.1", 0))
        for port in (hanging.getsockname()[1], closed.getsockname()[1]):
            environment = {
                "PERDURE_SERVER": f"http://127.0.0.1:{port}",
                "PERDURE_TOKEN_FILE": str(tmp_path / "none") if port == closed.getsockname()[1] else "",
                "COMP_WORDS": "perdure show ord",
                "COMP_CWORD": "ord" if shell == "fish" else "2",
                "COMP_LINE": "perdure show ord",
                VARIABLE: f"{shell}_complete",
            }
            command = str(Path(sys.executable).with_name("perdure"))
            ran = subprocess.run([command], env=environment, capture_output=True, text=True, check=False, timeout=30)
            assert (ran.stdout.strip(), ran.stderr) == ("", "")


@pytest.mark.parametrize(
    ("begun", "parts"),
    [
        ("", ("", "")),
        ("a", ("", "a")),
        ("!", ("!", "")),
        ("!a", ("!", "a")),
        ("a,", ("a,", "")),
        ("!a,b", ("!a,", "b")),
    ],
)
def test_a_list_is_taken_apart(begun: str, parts: tuple[str, str]) -> None:
    assert last_of(begun) == parts


@pytest.mark.parametrize("text", ["a b", "a;b", "$x", "'", "a\n", "*", "", "!", "~", "(x)", "\N{ZERO WIDTH SPACE}"])
def test_what_a_shell_would_read_otherwise_is_no_word(text: str) -> None:
    assert not is_word(text)
