"""`perdure ls` and `perdure count`: list and count instances.

The rule: no payload is read. `cli/main.py` has the commands in its list.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

from .connection import Where, ask, daemon_command
from .options import FILTER_OPTIONS, OUTPUT_OPTION, PLAIN_OUTPUT_OPTION, filter_of, limit_option
from .output import age, cell, show_ids, show_json, table

if TYPE_CHECKING:
    from ...api.management.instances import InstanceSummary
    from ...client.remote_client import RemoteClient

LIMIT = 100
PAGE_MAX = 500
WITH_MAX = 50  # the most rows for which the API has `waiting_for`

ORDERS = ("-created", "created", "-updated", "updated", "id")


@daemon_command(
    *FILTER_OPTIONS,
    click.Option(
        ["--order"],
        type=click.Choice(ORDERS),
        default="-created",
        show_default=True,
        help="A leading - means newest first.",
    ),
    limit_option(LIMIT, help="The highest number of instances; 0: all."),
    OUTPUT_OPTION,
    example="perdure ls --status failed,stalled --updated-after 1h",
)
def ls(where: Where, order: str, limit: int, output: str, **options: Any) -> None:
    """List instances, the newest first.

    `-o wide` also shows the events that each of the first 50 waits for.
    """
    filters = filter_of(options)

    async def work(client: "RemoteClient") -> None:
        if output == "ids":
            # Page by page: there may be a million instances.
            more = await listed(client, filters, order, limit, lambda items: show(items, output))
        else:
            items: list[InstanceSummary] = []
            more = await listed(client, filters, order, limit, items.extend, waits=output == "wide")
            show(items, output)
        if more:
            click.echo(f"There are more: --limit {limit * 10} or --limit 0 shows them.", err=True)

    ask(where, work)


async def listed(
    client: "RemoteClient",
    filters: dict[str, Any],
    order: str,
    limit: int,
    take: "Callable[[list[InstanceSummary]], None]",
    *,
    waits: bool = False,
) -> bool:
    """Read a list up to a limit, and return whether there are more instances.

    Args:
        take: Called with each page.
        waits: Also read `waiting_for` of the first instances.
    """
    read = 0
    cursor: str | None = None
    while True:
        with_waits = waits and read < WITH_MAX
        most = WITH_MAX - read if with_waits else PAGE_MAX
        page = await client.list(
            order=order,  # type: ignore[arg-type]
            limit=min(limit - read, most) if limit else most,
            cursor=cursor,
            extras=("waiting_for",) if with_waits else (),
            **filters,
        )
        take(page.items)
        read += len(page.items)
        cursor = page.cursor
        if cursor is None or (limit and read >= limit):
            return cursor is not None


def show(items: "Sequence[InstanceSummary]", output: str) -> None:
    """Print a list."""
    match output:
        case "json":
            show_json(items)
        case "ids":
            show_ids(item.id for item in items)
        case "wide":
            click.echo(table(WIDE, [wide(item) for item in items]))
        case _:
            now = datetime.now(UTC)
            rows = [(item.id, item.name, item.status, age(item.created, now), age(item.updated, now)) for item in items]
            click.echo(table(("ID", "NAME", "STATUS", "AGE", "CHANGED"), rows))


WIDE = ("ID", "NAME", "STATUS", "CREATED", "UPDATED", "GENERATION", "PARENT", "TAGS", "CUSTOM STATUS", "WAITS FOR")


def wide(item: "InstanceSummary") -> tuple[object, ...]:
    """Return a row of the wide table."""
    tags = ",".join(f"{key}={value}" for key, value in item.tags.items())
    waits = "" if item.waiting_for is msgspec.UNSET else "; ".join(waiting(each) for each in item.waiting_for)
    generation = item.generation or None
    return (
        *(item.id, item.name, item.status, item.created, item.updated),
        *(generation, item.parent, tags, item.custom_status, waits),
    )


def waiting(entry: Any) -> str:
    """Describe an entry of `waiting_for` in a few words."""
    words = [entry.kind, entry.name or "", entry.state or ""]
    if entry.attempt is not None and entry.attempt > 1:
        words.append(f"attempt {entry.attempt}")
    if entry.due is not None:
        words.append(f"until {cell(entry.due)}")
    return " ".join(word for word in words if word)


@daemon_command(
    *FILTER_OPTIONS,
    click.Option(
        ["--by"],
        default="status",
        show_default=True,
        metavar="status,name,root",
        help="The fields to group by; empty: none.",
    ),
    PLAIN_OUTPUT_OPTION,
    example="perdure count --by status,name --root",
)
def count(where: Where, by: str, output: str, **options: Any) -> None:
    """Count instances.

    By status, name and root the count is exact at any size. With other filters it stops at 100 000.
    """
    if output == "ids":
        raise click.UsageError("A count has no ids. `perdure ls -o ids` prints those of the instances.")
    filters = filter_of(options)
    groups = [each for each in by.split(",") if each]

    async def work(client: "RemoteClient") -> None:
        counted = await client.count(by=groups, **filters)
        if output == "json":
            show_json(counted)
            return
        rows = sorted(
            ([getattr(group, name) for name in groups] + [group.count] for group in counted.counts),
            key=lambda row: -int(row[-1]),
        )
        columns = [*(name.upper() for name in groups), "COUNT"]
        click.echo(table(columns, [[str(value) for value in row] for row in rows]))
        if counted.more:
            click.echo("There are more: the count stopped at its limit.", err=True)

    ask(where, work)
