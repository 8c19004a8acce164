"""The commands below `perdure bench`."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from .budget.budget import DEFAULT_PATH, beyond_limits, compared, counts_table, failures, read_budget, write_budget
from .budget.counts import count_all
from .report import compare as comparing
from .report.charts import charts
from .report.page import write_page
from .report.results import Results, cases_of
from .report.vega import demand_vl_convert
from .terminal import colored, show
from .workloads.table import BY_NAME

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--budget", "path", type=NEW_FILE, default=DEFAULT_PATH, show_default=True, help="The file with the allowed counts."
)
@click.option("--accept", is_flag=True, help="Make these counts the new budget.")
def gate(path: Path, *, accept: bool) -> None:
    """Compare the counts of a fixed load with a budget.

    The counts are commits, statements, rows, bytes, calls and memory for each step. Unlike seconds, they are the same
    on a busy machine as on a quiet one.
    """
    if not accept and not path.exists():
        raise click.ClickException(f"there is no {path}. Name another file with --budget, or make it with --accept.")
    with tempfile.TemporaryDirectory(prefix="perdure-gate-") as folder:
        found = count_all(Path(folder))
    budget = read_budget(path)
    show(counts_table(compared(budget, found)))
    if accept:
        write_budget(path, found)
        click.echo(f"{path} is written. Commit it together with the change that caused these counts, and say why.")
    if wrong := list(beyond_limits(found)) if accept else failures(budget, found):
        click.echo("\n".join(wrong), err=True)
        if not accept:
            click.echo("If this is intended: perdure bench gate --accept", err=True)
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("files", metavar="RESULTS.json...", type=FILE, nargs=-1, required=True)
@click.option("--html", type=NEW_FILE, help="Write a page that needs no network.")
@click.option("--png", type=click.Path(file_okay=False, path_type=Path), help="Write each drawing into this folder.")
def report(files: Sequence[Path], html: Path | None, png: Path | None) -> None:
    """Draw the figures of results documents.

    Runs with the same options on the same machine are combined, also from several files. The charts show medians and
    ranges.
    """
    if html is None and png is None:
        raise click.UsageError("Name the output: --html FILE, --png FOLDER or both.")
    draw([read(file) for file in files], html=html, png=png)


def draw(documents: Sequence[Results], *, html: Path | None, png: Path | None = None) -> None:
    demand_vl_convert()
    if html is not None:
        write_page(documents, html)
        click.echo(f"{html} is written.", err=True)
    if png is not None:
        png.mkdir(parents=True, exist_ok=True)
        for chart in charts(cases_of(documents)):
            click.echo(f"{chart.write_png(png)} is written.", err=True)


@click.command()
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@click.option(
    "--fail-above",
    "percent",
    type=click.FloatRange(0),
    metavar="PERCENT",
    help="End with 1 if a figure got worse by more than this, beyond the spread of the runs.",
)
def compare(before: Path, after: Path, percent: float | None) -> None:
    """Compare two results documents.

    A difference within the spread of the runs is noise. So both need several runs of each (--repeat).
    """
    first, second = read(before), read(after)
    differences = comparing.compared(first, second)
    if not differences:
        raise click.ClickException("these have nothing in common: no workload, driver and load is in both.")
    single = [each for each in differences if each.verdict == comparing.UNKNOWN]
    if percent is not None and single:
        raise click.UsageError(f"--fail-above needs several runs in both, and of {single[0].key} there is one.")
    show(comparing.differences_table(differences), comparing.summary(differences))
    show(*(colored(f"not the same: {warning}", "yellow") for warning in comparing.warnings(first, second)))
    worse = [each for each in differences if percent is not None and each.worse_percent > percent]
    for each in worse:
        click.echo(f"{each.key}: {each.figure} is worse by {each.worse_percent:.0f} %", err=True)
    if worse:
        raise click.exceptions.Exit(1)


def read(path: Path) -> Results:
    """Read a document of this release or of an earlier one."""
    try:
        found = Results.read(path)
    except msgspec.DecodeError as error:
        raise click.ClickException(f"{path} holds no results: {error}") from None
    if strangers := {result.run.workload for result in found.results} - set(BY_NAME):
        raise click.ClickException(f"{path} has workloads that this release does not know: {', '.join(strangers)}")
    if not found.results:
        raise click.ClickException(f"{path} holds no runs.")
    return found
