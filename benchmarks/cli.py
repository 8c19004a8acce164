"""`perdure bench`: its options, and the commands below it.

The rule: the module of a run, or of a command, is imported only when it is called, so that `--help` imports no engine.
`benchmarks/running.py` chooses the runs and carries them out.
"""

import importlib
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..daemon.config import PROCESSES_MAX
from .peers.peers import PEERS
from .workloads.table import BY_NAME, SUITES, WORKLOADS
from .workloads.workload import ALL, ARRIVING, BASIC, BOTH, DRIVERS, SDK, SECONDS, SECONDS_QUICK

# Name of a command -> its module, and its line in the list of commands, which a test compares with the command's help.
COMMANDS = {
    "compare": (".commands", "Compare two results documents."),
    "gate": (".commands", "Compare the counts of a fixed load with a budget."),
    "lists": (".studies.lists", "Measure pages and counts in a store with many instances."),
    "report": (".commands", "Draw what was measured."),
    "state": (".studies.state", "Measure saves and gets of the state API."),
}

NEW_FILE = click.Path(dir_okay=False, path_type=Path)

option = partial(click.Option, show_default=True)
FOLDER = click.Path(file_okay=False, path_type=Path)


def listed(suite: str) -> str:
    lines = (f"  {of.name}  {of.title}: {of.what}" for of in WORKLOADS if of.suite == suite)
    return "\n".join(("\b", f"{suite}: {SUITES[suite]}", *lines))


def folder_or_database(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Path | str | None:
    if value is None or "://" not in value:
        return Path(value) if value is not None else None
    from .drivers.database_server import check_address  # noqa: PLC0415  the rule above

    try:
        return check_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


# fmt: off
OPTIONS: list[click.Parameter] = [
    option(["--suite"], type=click.Choice([*SUITES, ALL]), default=BASIC, help="Which workloads to run."),
    option(["--workload", "names"], multiple=True, type=click.Choice(list(BY_NAME)), metavar="NAME",
           help="Run only this workload, of any suite; may be repeated."),
    option(["--driver"], type=click.Choice([*DRIVERS, BOTH, SDK]), default=BOTH,
           help="process: the engine in the load's process. http: a daemon. sdk: a daemon, and a worker on Dapr's "
           "Python SDK, beside a server that stores nothing (W1, W2 and a long history)."),
    option(["--sdk-python"], type=click.Path(exists=True, dir_okay=False, path_type=Path),
           help="For --driver sdk: a Python that has dapr==1.19.0."),
    option(["--peer", "peer_names"], multiple=True, type=click.Choice(list(PEERS)),
           help="Run another engine too, next to each run of Perdure; may be repeated. Of the basic suite it has W1 to "
           "W4."),
    option(["--peers"], type=FOLDER, help="The folder with the installed peers. Without --peer: run all of them."),
    option(["--install-peers"], is_flag=True, help="Install missing peers into that folder first."),
    option(["--in-flight"], multiple=True, type=click.IntRange(1),
           help="Instances under way at once; repeat it for a curve.  [default: each workload's own]"),
    option(["--rate", "rates"], multiple=True, type=click.FloatRange(0, min_open=True),
           help="Start this number of instances a second, even if earlier ones still run; repeat it for a curve. Runs "
           f"{ARRIVING} unless a workload is named."),
    option(["--seconds"], type=click.FloatRange(0, min_open=True),
           help="The length of a run, for workloads without a fixed number of instances.  "
           f"[default: {SECONDS:g}, or the workload's own]"),
    option(["--instances"], type=click.IntRange(10), help="The number of instances of a run, in place of its length."),
    option(["--quick"], is_flag=True, help=f"Only check that it works: {SECONDS_QUICK:g} seconds each."),
    option(["--repeat"], type=click.IntRange(1), default=1, help="Runs of each; medians are shown."),
    option(["--durability"], type=click.Choice(["full", "relaxed"]), default="full",
           help="full: a commit survives a power cut. relaxed: it only survives a crash of the process."),
    option(["--processes"], type=click.IntRange(1, PROCESSES_MAX), default=1,
           help="Processes that share the work, each with a part of the store. Only loops with at least this number "
           "of instances in flight are run then, and over HTTP also events and rates."),
    option(["--hosts"], multiple=True, type=click.IntRange(1, PROCESSES_MAX),
           help="With a database: run the loops also on this number of hosts that share it, each with the same number "
           "of instances in flight; repeat it for a curve. The CPU of a step, hosts and server together, is compared "
           "with one host."),
    option(["--always-replay"], is_flag=True, help="Rebuild each instance from its history at every turn."),
    option(["--data"], metavar="DIRECTORY", callback=folder_or_database,
           help="A folder on the disk to measure, by default the system's temporary folder; or the address of a "
           "PostgreSQL database: each loop is run on it too, next to each run on SQLite, and by the peer that uses "
           "PostgreSQL."),
    option(["--json"], type=NEW_FILE, help="Write all figures here."),
    option(["--html"], type=NEW_FILE, help="Write a page with drawings here."),
]
# fmt: on


class LazyCommands(click.Group):
    """A group that imports the module of a command when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, without an import."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of this name; None: there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name][0], __package__), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands into the help, without an import."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyCommands,
    params=OPTIONS,
    epilog="\n\n".join(("Workloads, by suite:", *map(listed, SUITES))),
    invoke_without_command=True,
)
@click.pass_context
def bench(context: click.Context, /, **values: Any) -> None:
    """Measure this build on this machine.

    Each run has its own process and store. The engine's defaults apply unless an option changes them, so all figures
    are of commits that were flushed to the disk.
    """
    if context.invoked_subcommand is not None:
        refuse_options(context)
        return
    from .running import Options, measure  # noqa: PLC0415  the rule above

    measure(Options(**values))


def refuse_options(context: click.Context) -> None:
    """Refuse options before a subcommand, which would have no effect."""
    for parameter in context.command.params:
        if parameter.name and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            command = f"{context.command_path} {context.invoked_subcommand}"
            raise click.UsageError(f"{parameter.opts[0]} is an option of a run, not of `{command}`.")
