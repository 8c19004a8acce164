"""The `perdure` command.

The rule: the module of a command is imported only when the command is called, so that `perdure --help` is fast.
"""

import importlib
import os
from contextlib import nullcontext
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..daemon.process.early_signals import EarlySignals
from ..daemon.process.garbage_collector import frozen_imports
from .first_line import FirstLine

# Name of a command -> its module, its attribute there, and its line in the list of commands. The line is here so that
# the list imports no command; a test compares it with the command's own help.
COMMANDS = {
    "run": (".run", "run", "Host apps, or serve SDK workers."),
    "store": (".store", "store", "Check, copy and repair a store."),
    "daprd": (".daprd", "daprd", "Stand in for Dapr's sidecar."),
    "bench": ("..benchmarks.cli", "bench", "Measure this build on this machine."),
    "ls": (".instances.listing", "ls", "List instances, the newest first."),
    "count": (".instances.listing", "count", "Count instances."),
    "show": (".instances.showing", "show", "Describe an instance."),
    "history": (".instances.showing", "history", "Show the history of an instance, event by event."),
    "tree": (".instances.showing", "tree", "Show an instance with its descendants."),
    "wait": (".instances.showing", "wait", "Wait until an instance has ended."),
    "top": (".instances.top", "top", "Watch the instances of a daemon."),
    "start": (".instances.starting", "start", "Start an instance of a workflow, and print its id."),
    "event": (".instances.starting", "event", "Send an event to an instance."),
    "suspend": (".instances.acting", "suspend", "Suspend instances until they are resumed."),
    "resume": (".instances.acting", "resume", "Resume suspended instances."),
    "terminate": (".instances.acting", "terminate", "End instances without running their code."),
    "purge": (".instances.acting", "purge", "Delete instances that have ended."),
    "rerun": (".instances.acting", "rerun", "Run instances again, each as a new one, and print the new ids."),
    "repair": (".instances.repairing", "repair", "Answer an open entry of an instance."),
    "export": (".instances.transferring", "export_history", "Write the whole history of an instance."),
    "import": (".instances.transferring", "import_history", "Import an instance that `perdure export` has written."),
    "operations": (".instances.operating", "operations", "List bulk operations, show one, or cancel one."),
    "hosts": (".instances.hosts", "hosts", "List the hosts of a daemon, with their shards and their states."),
    "audit": (".instances.operating", "audit", "Show the changes, with author and reason, newest first."),
    "completion": (".instances.completion", "completion", "Let a shell complete perdure's commands."),
}

# The sections of the list of commands.
SECTIONS = {
    "Serving": "run daprd store bench completion",
    "Seeing the instances of a daemon": "ls count show history tree wait top hosts audit operations",
    "Steering them": "start event suspend resume terminate purge rerun repair export import",
}


COMPLETE = "_PERDURE_COMPLETE"  # the variable with the instruction of a shell's script
DAEMONS = ("run", "daprd")  # commands that stop in order at a signal; the others end at once


class LazyGroup(FirstLine, click.Group):
    """A group that imports the module of a command when the command is called."""

    def main(self, *positional: Any, **named: Any) -> Any:
        """Run a command, or answer a shell's script for completion."""
        # Not click's own answer, which bash does not accept, and no shell for a value after `=`.
        if (asked := os.environ.get(COMPLETE)) is None:
            return super().main(*positional, **named)
        module = importlib.import_module(COMMANDS["completion"][0], __package__)
        for line in module.answer(self, asked):
            click.echo(line)
        return None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, without an import."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of this name; None: there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in DAEMONS and isinstance(ctx.obj, EarlySignals):
            ctx.obj.leave()
        module, attribute, _ = COMMANDS[cmd_name]
        with frozen_imports() if cmd_name in DAEMONS else nullcontext():
            command = getattr(importlib.import_module(module, __package__), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands into the help, by section."""
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, COMMANDS[name][2]) for name in names.split()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command without an import."""
        found = [
            CompletionItem(name, help=line) for name, (_, _, line) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return found or super().shell_complete(ctx, incomplete)


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="perdure", message="perdure %(version)s")
def main() -> None:
    """A durable workflow engine that speaks the Dapr Workflow API."""
