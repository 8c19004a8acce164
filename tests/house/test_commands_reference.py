"""The reference of the commands has each command with all its options, and is up to date."""

import subprocess
import sys

import click

from perdure.cli.main import COMMANDS, SECTIONS, main

from ..support.paths import ROOT

PAGE = (ROOT / "docs" / "reference" / "commands.md").read_text()


def commands(command: click.Command, path: str) -> dict[str, click.Command]:
    """A command and all below it, by their names."""
    found = {path: command}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            found |= commands(below, f"{path} {name}")
    return found


def test_the_page_is_that_of_the_commands() -> None:
    # In a process of its own: click keeps the form of `--help` that a process has asked for first.
    made = subprocess.run([sys.executable, ROOT / "docs/site/commands.py"], capture_output=True, text=True, check=True)
    assert made.stdout == PAGE, ".venv/bin/python docs/site/commands.py > docs/reference/commands.md"


def test_each_command_and_each_of_its_options_are_there() -> None:
    missing = []
    for name, command in commands(main, "perdure").items():
        _, found, part = PAGE.partition(f"### {name}\n" if name != "perdure" else "# Commands\n")
        told = part.partition("\n### ")[0]
        options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
        missing += [name] if not found else [f"{name} {each.opts[0]}" for each in options if each.opts[0] not in told]
    assert missing == []


def test_every_command_is_in_one_section() -> None:
    assert sorted(name for names in SECTIONS.values() for name in names.split()) == sorted(COMMANDS)
