"""What one does with results, and without any: the commands below `perdure bench`."""

import tempfile
from pathlib import Path

import click
from rich.console import Console

from .budget import DEFAULT_PATH, beyond_limits, compared, failures, read_budget, table, write_budget
from .counts import count_all


@click.command()
@click.option(
    "--budget",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=DEFAULT_PATH,
    show_default=True,
    help="The file with what is allowed.",
)
@click.option("--accept", is_flag=True, help="Take what is counted now for the budget.")
def gate(path: Path, *, accept: bool) -> None:
    """Compare the counts of a fixed load with a budget.

    Commits, statements, rows, bytes, calls and memory for each step, rather than seconds: the same on a busy
    machine as on a quiet one.
    """
    if not accept and not path.exists():
        raise click.ClickException(f"there is no {path}. Name another file with --budget, or make it with --accept.")
    with tempfile.TemporaryDirectory(prefix="perdure-gate-") as folder:
        found = count_all(Path(folder))
    budget = read_budget(path)
    Console().print(table(compared(budget, found)))
    if accept:
        write_budget(path, found)
        click.echo(f"{path} is written. Commit it with what changed these counts, and say why.")
    if wrong := list(beyond_limits(found)) if accept else failures(budget, found):
        click.echo("\n".join(wrong), err=True)
        if not accept:
            click.echo("If that is meant: perdure bench gate --accept", err=True)
        raise click.exceptions.Exit(1)
