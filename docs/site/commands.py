"""Write the reference of the commands:  .venv/bin/python docs/site/commands.py > docs/reference/commands.md

The rule: the page says what `--help` says, for each command and each command of a group.
`tests/house/test_commands_reference.py` holds the page to the commands.
"""

from collections.abc import Iterator

import click

from perdure.cli.instances.connection import EXIT_CODES
from perdure.cli.main import COMMANDS, SECTIONS, main

WIDTH = 96  # of the help in the page
CONTEXT = {"terminal_width": WIDTH, "max_content_width": WIDTH, "help_option_names": ["-h", "--help"]}
HEAD = """# Commands

This page has each command of `perdure` with all its options, as `--help` shows them: the ones that
[serve](#serving), the ones that [see](#seeing-the-instances-of-a-daemon) and the ones that
[steer](#steering-them) the instances of a running daemon. The latter two take `--server URL` (or
`PERDURE_SERVER`) and `--token-file FILE` behind their name.

`perdure --version` prints the version. The page is made from the commands:
`.venv/bin/python docs/site/commands.py > docs/reference/commands.md`.

## Exit codes

| Code | Meaning |
|---|---|
{codes}

"""


def page() -> str:
    """Return the page in Markdown."""
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES)
    parts = [HEAD.format(codes=codes)]
    top = click.Context(main, info_name="perdure", **CONTEXT)
    for title, names in SECTIONS.items():
        parts.append(f"## {title}\n\n")
        for name in names.split():
            command = main.get_command(top, name)
            assert command is not None
            parts += sections(command, name, COMMANDS[name][2], top)
    return "".join(parts).rstrip() + "\n"


def sections(command: click.Command, name: str, line: str, above: click.Context) -> Iterator[str]:
    """The help of a command, and then that of each command in it."""
    context = click.Context(command, parent=above, info_name=name, **CONTEXT)
    yield f"### {context.command_path}\n\n{line}\n\n```text\n{command.get_help(context)}\n```\n\n"
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from sections(found, below, found.get_short_help_str(WIDTH), context)


if __name__ == "__main__":
    click.echo(page(), nl=False)
