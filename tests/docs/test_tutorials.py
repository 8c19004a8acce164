"""The programs of the tutorials run as they stand, and their output is what the page shows.

A page has comments before its blocks: `file` and a name before a program, `change` and a name before a diff, and `run`
before commands with what they print. Of the output, a page shows lines that follow one another; numbers that another
version of the engine may change (times, counts of worlds) are not compared.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.docs.changes import changed
from ..support.examples import SEEDS
from ..support.paths import ROOT

TUTORIALS = ROOT / "docs" / "tutorials"
BLOCK = re.compile(r"^<!-- (file|change|run)(?:: (\S+))? -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTEST = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir=.", "-p", "perdure.testing.plugin", *SEEDS]


def blocks(page: str) -> Iterator[tuple[str, str, str]]:
    """What there is to do, to which file, and the block."""
    for found in BLOCK.finditer(page):
        yield found[1], found[2] or "", found[3]


def commands(block: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that it is said to print."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        yield command, shown


def run(command: str, folder: Path) -> list[str]:
    """Run a command of a page; give the lines that it prints, as pages show them."""
    words = shlex.split(command)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GIT_"))}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "x", f"GIT_{who}_EMAIL": "x@example.com"}
    ran = subprocess.run(
        [*PYTEST, *words[1:]] if words[0] == "pytest" else words,
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=300,
    )
    assert ran.returncode in ((0, 1) if words[0] == "pytest" else (0,)), ran.stdout + ran.stderr
    text = re.sub(r"^E   perdure\.\S+: ", "E   ", ran.stdout, flags=re.MULTILINE)
    return [re.sub(r"^(E   |    )", "", line).rstrip() for line in text.splitlines()]


def compared(line: str) -> str:
    """A line without what another version of the engine, or another machine, may change."""
    line = re.sub(r" *\d+\.\d+ s", " # s", line)
    if line.startswith(("Found", "test_")) or " passed" in line or " failed" in line:
        line = re.sub(r"\d+(\.\d+)?", "#", line)
    if line.startswith("Also: "):
        line = "Also: #"
    return re.sub(r"\s+", " ", line)


def shows(printed: list[str], shown: list[str]) -> bool:
    """Whether the lines that are shown follow one another in what was printed."""
    real, said = [compared(line) for line in printed], [compared(line) for line in shown]
    return any(real[at : at + len(said)] == said for at in range(len(real) - len(said) + 1))


# What the deploys show tests/testing/test_simulated.py shows too, in fewer worlds.
@pytest.mark.parametrize(
    "name", [pytest.param("a-deploy-and-its-way-back.md", marks=pytest.mark.slow), "charged-at-most-once.md"]
)
def test_a_tutorial_runs_as_it_stands(name: str, tmp_path: Path) -> None:
    for what, file, block in blocks((TUTORIALS / name).read_text()):
        if what == "file":
            (tmp_path / file).write_text(block)
        elif what == "change":
            (tmp_path / file).write_text(changed((tmp_path / file).read_text(), block))
        else:
            for command, shown in commands(block):
                printed = run(command, tmp_path)
                assert shows(printed, shown), "\n".join([f"$ {command}", *printed, "is not", *shown])


def test_what_is_not_printed_is_found_out() -> None:
    printed = ["a", "  0.12 s  x 1", "Found by 7 of 8", "z"]
    assert shows(printed, ["  0.34 s  x 1", "Found by 5 of 9"])
    assert not shows(printed, ["  0.34 s  x 2", "Found by 5 of 9"])
    assert not shows(printed, ["a", "Found by 5 of 9"])
    with pytest.raises(AssertionError):
        changed("a\n", "-b\n+c\n")
    assert changed("a\nb\nc\n", " a\n-b\n+d\n+e\n") == "a\nd\ne\nc\n"
