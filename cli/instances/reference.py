"""The reference of the commands on instances, made from the commands themselves.

    python -m perdure.cli.instances.reference > docs/reference/commands.md

The rule: what the page says is what `--help` says. A test holds that the page in `docs/reference/` is up to date.
"""

from importlib import import_module

import click

from ..main import COMMANDS, SECTIONS
from .connection import EXIT_CODES

WIDTH = 96  # of the help in the page

HEAD = """# Commands on instances

This page lists the commands that see and steer the instances of a running daemon. Each takes
`--server URL` (or `PERDURE_SERVER`) and `--token-file FILE` behind its name. The same for a store
that no daemon has: `perdure store ls`, `terminate`, `purge`, `release`.

It is made from the commands:
`python -m perdure.cli.instances.reference > docs/reference/commands.md`.

## Exit codes

| Code | Meaning |
|---|---|
{codes}

"""


def reference() -> str:
    """Make the page."""
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES)
    parts = [HEAD.format(codes=codes)]
    for title, names in SECTIONS.items():
        listed = [name for name in names.split() if COMMANDS[name][0].startswith(".instances.")]
        parts += [f"## {title}\n\n", *(_section(name) for name in listed)] if listed else []
    return "".join(parts).rstrip() + "\n"


def _section(name: str) -> str:
    module, attribute, line = COMMANDS[name]
    command = getattr(import_module(f"..{module.removeprefix('.')}", __package__), attribute)
    assert isinstance(command, click.Command)
    context = click.Context(
        command,
        info_name=f"perdure {name}",
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=["-h", "--help"],
    )
    return f"### perdure {name}\n\n{line}\n\n```text\n{command.get_help(context)}\n```\n\n"


if __name__ == "__main__":
    click.echo(reference(), nl=False)
