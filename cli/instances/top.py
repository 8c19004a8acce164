"""`perdure top`: shows counts of instances live in the terminal.

The rule: it requests only counts and short lists, so that the cost for the daemon does not depend on the size of the
store.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Never

import anyio
import click
from click.core import ParameterSource

from ...actors.errors import PerdureError
from .advice import worded
from .connection import UNREACHABLE, Where, ask, code_of, daemon_command
from .listing import waiting
from .output import COLORS, age, cell, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ...api.management.instances import CountResult, InstanceSummary
    from ...api.management.overview import AttentionView
    from ...client.remote_client import RemoteClient

STATUSES = (
    *("RUNNING", "PENDING", "SUSPENDED", "STALLED", "SET_ASIDE"),
    *("COMPLETED", "FAILED", "TERMINATED", "CANCELED"),
)
TROUBLE = ["failed", "stalled", "set_aside"]
# field of the API's attention report -> its text
CONCERNS = {
    "stalled": "stalled",
    "set_aside": "set aside",
    "failed": "failed within the last hour",
    "timers_overdue": "with a timer overdue",
    "workers_gone": "without their worker",
}
ROWS = 10
WORKFLOWS_MAX = 15


@daemon_command(
    click.Option(
        ["--every"],
        type=click.FloatRange(min=0.2),
        default=2.0,
        show_default=True,
        metavar="SECONDS",
        help="The time between two updates.",
    ),
    click.Option(["--once"], is_flag=True, help="Print once, and end. The default if the output is no terminal."),
    example="perdure top --every 5",
)
def top(where: Where, every: float, once: bool) -> None:
    """Watch the instances of a daemon.

    It shows counts by workflow and status, running instances, and instances that need attention. Ctrl-C ends it. Into
    a file or a pipe it prints once, and again and again if --every is given.
    """
    from rich.console import Console  # noqa: PLC0415  `--help` does not need it
    from rich.live import Live  # noqa: PLC0415

    asked_for = click.get_current_context().get_parameter_source("every") is not ParameterSource.DEFAULT

    async def work(client: "RemoteClient") -> None:
        console = Console()
        first = await look(client)
        if once or not (console.is_terminal or asked_for):
            console.print(first)
        elif console.is_terminal:
            with Live(first, console=console, screen=True, auto_refresh=False) as live:
                await show(client, every, partial(live.update, refresh=True))
        else:
            console.print(first)
            await show(client, every, console.print)

    ask(where, work)


async def show(client: "RemoteClient", every: float, write: "Callable[[RenderableType], object]") -> Never:
    """Look again and again, until cancelled.

    Args:
        every: The time between two looks; seconds.
        write: Gets what each look has found.
    """
    while True:
        await anyio.sleep(every)
        try:
            found = await look(client)
        except PerdureError as error:
            # A daemon that is restarted answers again later.
            if code_of(error) != UNREACHABLE:
                raise
            found = f"{datetime.now(UTC):%H:%M:%S}  {worded(error)}"
        write(found)


async def look(client: "RemoteClient") -> "RenderableType":
    """Request all data, and lay it out."""
    counted = await client.count(by=("status", "name"))
    running = await client.list(limit=ROWS, order="-updated", status="running", extras=("waiting_for",))
    trouble = await client.list(limit=ROWS, order="-updated", status=TROUBLE)
    attention = await client.report("attention")
    return frame(client.url, counted, running.items, trouble.items, attention, datetime.now(UTC))


def frame(
    url: str,
    counted: "CountResult",
    running: "Sequence[InstanceSummary]",
    trouble: "Sequence[InstanceSummary]",
    attention: "AttentionView",
    now: datetime,
) -> "RenderableType":
    """Lay the data of one request out."""
    from rich.console import Group  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    totals = dict.fromkeys(STATUSES, 0)
    names: dict[str, dict[str, int]] = {}
    for group in counted.counts:
        totals[str(group.status)] = totals.get(str(group.status), 0) + group.count
        names.setdefault(str(group.name), {})[str(group.status)] = group.count
    heading = Text(f"{url}  {now:%H:%M:%S}Z  ")
    for word, count in totals.items():
        if count:
            heading.append(f"{count:,} {word}  ", style=COLORS.get(word, ""))
    worries = [(getattr(attention, name), words) for name, words in CONCERNS.items()]
    concerns = [f"{found.count:,}{'+' if found.more else ''} {words}" for found, words in worries if found.count]
    if concerns:
        heading.append("\n" + ", ".join(concerns), style="bold")
    largest = sorted(names.items(), key=lambda entry: (-sum(entry[1].values()), entry[0]))
    shown = [word for word in STATUSES if totals[word]]
    by_workflow = grid("Workflows", ("WORKFLOW", *shown))
    for name, counts in largest[:WORKFLOWS_MAX]:
        by_workflow.add_row(visible(name), *(f"{counts[word]:,}" if word in counts else "" for word in shown))
    active = grid("Running, the last changed first", ("ID", "WORKFLOW", "AGE", "WAITS FOR"))
    for item in running:
        waits = "; ".join(waiting(each) for each in item.waiting_for) if isinstance(item.waiting_for, list) else ""
        active.add_row(visible(item.id), visible(item.name), age(item.created, now), visible(waits))
    parts: list[Any] = [heading, by_workflow, active]
    if trouble:
        worried = grid("Needs a look, the last changed first", ("ID", "WORKFLOW", "STATUS", "SINCE", "CUSTOM STATUS"))
        for item in trouble:
            status = Text(item.status, style=COLORS.get(item.status, ""))
            worried.add_row(
                visible(item.id), visible(item.name), status, age(item.updated, now), cell(item.custom_status)
            )
        parts.append(worried)
    return Group(*parts)


def grid(title: str, columns: Sequence[str]) -> Any:
    """Make an empty table."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in STATUSES else "left", overflow="fold")
    return table
