"""`perdure completion`: shells complete commands and options, and importing none is needed for the list."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from perdure.cli.instances.completion import VARIABLE, words_of
from perdure.cli.main import COMPLETE, main

from ...support.processes.daemon import Daemon
from ...support.processes.shop import TOKEN
from ...support.processes.terminal import Terminal
from .conftest import Run


def test_the_scripts_ask_by_the_variable_that_the_command_looks_at() -> None:
    assert VARIABLE == COMPLETE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(run: Run, shell: str) -> None:
    said = run("completion", shell)
    assert said.code == 0
    assert f"_PERDURE_COMPLETE={shell}_complete" in said.out
    assert "perdure" in said.out


def test_another_shell_is_2(run: Run) -> None:
    assert run("completion", "csh").code == 2


@pytest.mark.parametrize(
    ("before", "begun", "found"),
    [
        ([], "su", {"suspend"}),
        ([], "re", {"resume", "rerun", "repair"}),
        (["ls"], "--st", {"--status", "--stuck-for"}),
        (["completion"], "f", {"fish"}),
    ],
)
def test_words_are_completed(before: list[str], begun: str, found: set[str]) -> None:
    complete = ShellComplete(main, {}, "perdure", VARIABLE)
    assert {each.value for each in complete.get_completions(before, begun)} == found


@pytest.mark.parametrize(
    ("question", "answered"),
    [
        ({"COMP_LINE": "perdure su", VARIABLE: "bash_complete"}, "plain,suspend\n"),
        ({"COMP_WORDS": "perdure su", "COMP_CWORD": "1", VARIABLE: "zsh_complete"}, "plain\nsuspend\n"),
        ({"COMP_WORDS": "perdure su", "COMP_CWORD": "su", VARIABLE: "fish_complete"}, "plain"),
        ({"COMP_LINE": "perdure su", VARIABLE: "bash_source"}, ""),
        ({"COMP_LINE": "perdure su", VARIABLE: "csh_complete"}, ""),
        ({VARIABLE: ""}, ""),
    ],
)
def test_the_command_answers_its_script_and_nothing_else(question: dict[str, str], answered: str) -> None:
    command = str(Path(sys.executable).with_name("perdure"))
    ran = subprocess.run([command], env=question, capture_output=True, text=True, check=False, timeout=30)
    assert ran.stdout.startswith(answered)
    assert bool(ran.stdout) is bool(answered)
    assert (ran.returncode, ran.stderr) == (0, "")


BREAKS = " \t\n\"'@><=;|&(:"  # bash's own


@pytest.mark.parametrize(
    ("line", "words", "begun", "kept"),
    [
        ("perdure ", [], "", ""),
        ("perdure show ord", ["show"], "ord", ""),
        ("perdure show par:1:", ["show"], "par:1:", "par:1:"),
        ("perdure show ada@ex", ["show"], "ada@ex", "ada"),
        ("perdure ls --status=fai", ["ls"], "--status=fai", "--status="),
        ('perdure show "par:1', ["show"], "par:1", ""),
        ("perdure ls --parent='par:", ["ls"], "--parent=par:", "--parent="),
        ("perdure start a\\ b --id ", ["start", "a b", "--id"], "", ""),
        ("perdure start 'a b' x", ["start", "a b"], "x", ""),
        ("perdure start a\\:b", ["start"], "a:b", ""),
    ],
)
def test_a_line_of_bash_is_taken_apart(line: str, words: list[str], begun: str, kept: str) -> None:
    assert words_of(line, BREAKS) == (words, begun, kept)


# Keys -> the words of the line, once the shell has completed them.
TYPED = {
    "perdure show {id}:": ["show", "{id}:7"],
    "perdure show {id}-a@": ["show", "{id}-a@example.com=1"],
    "perdure show '{id}:": ["show", "{id}:7"],
    "perdure ls --status=running,fai": ["ls", "--status=running,failed"],
    "perdure event {id}:7 app": ["event", "{id}:7", "approval"],
}
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source <(perdure completion bash)"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u; source <(perdure completion zsh)"),
    "fish": (["fish", "--no-config", "-i"], "perdure completion fish | source"),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_shell_completes_at_the_tab_key(
    run: Run, daemon: Daemon, new_id: str, tmp_path: Path, shell: str
) -> None:
    command, reads = SHELLS[shell]
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    # Given instances whose ids have characters that may end a word in a shell,
    for suffix in (":7", "-a@example.com=1"):
        run("start", "waits", "--id", f"{new_id}{suffix}")
    # and a shell that has read the script,
    folder = tmp_path / "bin"
    folder.mkdir()
    # whose `perdure` shows its words when the line is sent, and is the real command when the script calls it.
    real = Path(sys.executable).with_name("perdure")
    (folder / "perdure").write_text(f"""#!/bin/sh
if [ -n "$_PERDURE_COMPLETE" ] || [ "$1" = completion ]; then exec {real} "$@"; fi
for word in "$@"; do printf '<%s>' "$word"; done
echo .
""")
    (folder / "perdure").chmod(0o755)
    environment = {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "PERDURE_SERVER": daemon.url,
        "PERDURE_API_TOKEN": TOKEN,
    }
    with Terminal(command, environment, tmp_path) as terminal:
        terminal.keys(f"{reads}; perdure read''y\n")
        terminal.until("<ready>.")
        for keys, words in TYPED.items():
            # when a person types and presses the tab key, and then the return key,
            terminal.keys(f"{keys.format(id=new_id)}\t")
            terminal.keys("\n")
            # then the command has the whole words.
            terminal.until("".join(f"<{word.format(id=new_id)}>" for word in words) + ".")
