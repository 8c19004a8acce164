"""`perdure completion`: shells complete commands and options, and importing none is needed for the list."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from perdure.cli.instances.completion import VARIABLE
from perdure.cli.main import main

from .conftest import Run


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


def test_the_command_answers_its_script() -> None:
    environment = {"COMP_WORDS": "perdure su", "COMP_CWORD": "1", VARIABLE: "bash_complete"}
    command = str(Path(sys.executable).with_name("perdure"))
    ran = subprocess.run([command], env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert ran.stdout == "plain,suspend\n"
