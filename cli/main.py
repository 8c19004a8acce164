"""The `perdure` command.

The rule: a command is imported when it is called, not before, so that `perdure --help` answers at once.
"""

import importlib

import click

from ..daemon.process.early_signals import EarlySignals
from .first_line import FirstLine

# Name of a command -> its module, its attribute there, and its line in the list of commands. The line stands here so
# that the list imports no command; a test compares it with the command's own.
COMMANDS = {
    "run": (".run", "run", "Host an app, or serve SDK workers."),
    "store": (".store", "store", "Look after a store."),
    "daprd": (".daprd", "daprd", "Stand in for Dapr's sidecar."),
    "bench": ("..benchmarks.cli", "bench", "Measure this build on this machine."),
}


DAEMONS = ("run", "daprd")  # commands that stop in order at a signal; it ends the others


class LazyGroup(FirstLine, click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in DAEMONS and isinstance(ctx.obj, EarlySignals):
            ctx.obj.leave()
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module, __package__), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="perdure", message="perdure %(version)s")
def main() -> None:
    """A durable workflow engine that speaks the Dapr Workflow API."""
