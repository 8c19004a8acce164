"""`perdure store ls`, `terminate`, `purge` and `release`: commands on instances while no daemon has the store open.

The rule: they begin no work of instances (`cli/offline.py`). So they can find and remove an instance that ends every
daemon that opens its store. The exit code is 0 if all was done, 3 if an instance was not found, 4 if an instance
refused.

`cli/store.py` has the commands in its group.
"""

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ...actors.errors import PerdureError
from ...daemon.config import RUN_FLAGS
from ...daemon.hints import explain
from ..instances.options import word
from ..instances.output import show_ids
from ..run_flags import STORE_OPTION

if TYPE_CHECKING:
    from ...runtime.history.attribution import By
    from ...runtime.operations.facade import Facade

NOT_FOUND = 3
REFUSED = 4

STALLED = "STALLED"
SET_ASIDE = "SET_ASIDE"  # a value of --status only: the lines show STALLED, with the mark that it is set aside
STATUSES = ("RUNNING", "COMPLETED", "FAILED", "CANCELED", "TERMINATED", "PENDING", "SUSPENDED", STALLED)
COLUMNS = ("ID", "WORKFLOW", "STATUS", "CREATED", "UPDATED", "WHY")


class InstanceLine(NamedTuple):
    """An instance in a list. The fields are the keys of `--json`."""

    id: str
    workflow: str | None
    status: str
    created_at: str | None  # RFC 3339, UTC
    updated_at: str | None
    set_aside: bool
    reason: str | None  # the reason why it is stalled or set aside


def statuses(_context: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> frozenset[str]:
    """Parse the values of --status: names in any case, separated by commas.

    Raises:
        click.BadParameter: A name is no status.
    """
    names = frozenset(name.strip().upper() for value in values for name in value.split(","))
    if unknown := sorted(names - {*STATUSES, SET_ASIDE}):
        raise click.BadParameter(f"{unknown[0]!r} is no status; they are {', '.join((*STATUSES, SET_ASIDE))}")
    return names


def example(text: str) -> str:
    """Return the example at the end of a command's help."""
    return f"\b\nExample:\n  {text}"


IDS_ARGUMENT = click.Argument(["ids"], type=word, nargs=-1, required=True, metavar="ID...")
RECURSE_OPTION = click.Option(["--recurse/--no-recurse"], default=True, show_default=True, help="Children too.")
APP_OPTION = click.Option(["--app", "app_id"], metavar="ID", help="The app.  [default: the first app of the store]")
REASON_OPTION = click.Option(["--reason"], metavar="TEXT", help="The reason, for the audit.")


@click.command(
    params=[
        STORE_OPTION,
        APP_OPTION,
        click.Option(
            ["--status"],
            multiple=True,
            callback=statuses,
            metavar="STATUS[,STATUS]",
            help="Only instances of this status: running, stalled, set_aside and so on. May be given several times.",
        ),
        click.Option(
            ["-o", "--output", "form"],
            type=click.Choice(["table", "json", "ids"]),
            default="table",
            show_default=True,
            help="The form of the output.",
        ),
        click.Option(["--json", "form"], flag_value="json", help="The same as -o json: an array of objects."),
    ],
    epilog=example("perdure store ls --data perdure.db --status stalled -o ids"),
)
def ls(data: str, app_id: str | None, status: frozenset[str], form: str) -> None:
    """List the instances of a store.

    No daemon may use the store. Each line has the id, the workflow, the status, the times of creation and of the last
    update, and the reason why the instance is stalled or set aside. An instance whose rows cannot be read is STALLED
    too.
    """
    lines: list[InstanceLine] = []

    async def collect(facade: "Facade") -> None:
        lines.extend([line async for line in instances(facade) if not status or status & words_of(line)])

    on_store(data, collect, app_id)
    if form == "json":
        click.echo(json.dumps([line._asdict() for line in lines], indent=2))
    elif form == "ids":
        show_ids(line.id for line in lines)
    else:
        click.echo(table(lines))


def words_of(line: InstanceLine) -> frozenset[str]:
    """Return the values of --status that match a line."""
    return frozenset({line.status, SET_ASIDE} if line.set_aside else {line.status})


@click.command(
    params=[IDS_ARGUMENT, STORE_OPTION, APP_OPTION, RECURSE_OPTION, REASON_OPTION],
    epilog=example("perdure store terminate order-17 --data perdure.db --reason 'it ends the daemon'"),
)
def terminate(ids: Sequence[str], data: str, app_id: str | None, recurse: bool, reason: str | None) -> None:
    """End instances without running their code.

    No daemon may use the store. An instance that is stalled or set aside can be terminated too. Its parent and its
    children are notified at the next start of a daemon at the latest.
    """
    each(
        data,
        ids,
        lambda facade, one, by: facade.terminate(one, recurse=recurse, stalled_too=True, by=by),
        "is terminated",
        reason,
        app_id,
    )


@click.command(
    params=[
        IDS_ARGUMENT,
        STORE_OPTION,
        APP_OPTION,
        RECURSE_OPTION,
        click.Option(["--force"], is_flag=True, help="Also instances that are not finished. Their work is lost."),
        REASON_OPTION,
    ],
    epilog=example("perdure store purge order-17 --data perdure.db"),
)
def purge(ids: Sequence[str], data: str, app_id: str | None, recurse: bool, force: bool, reason: str | None) -> None:
    """Delete instances.

    No daemon may use the store. Instances that are finished, stalled, set aside, or cannot be read can be purged;
    --force purges others too.
    """

    def act(facade: "Facade", one: str, by: "By") -> Awaitable[int]:
        return facade.purge(one, recurse=recurse, force=force, stalled_too=True, by=by)

    each(data, ids, act, "is purged", reason, app_id)


@click.command(
    params=[IDS_ARGUMENT, STORE_OPTION, APP_OPTION, REASON_OPTION],
    epilog=example("perdure store release order-17 --data perdure.db"),
)
def release(ids: Sequence[str], data: str, app_id: str | None, reason: str | None) -> None:
    """Release instances that are set aside.

    No daemon may use the store. The next daemon begins the open entries, and delivers the messages that have arrived
    meanwhile. If an instance ends that daemon too, it is set aside again after three ends.
    """
    each(data, ids, lambda facade, one, by: facade.release(one, begin=False, by=by), "is released", reason, app_id)


INSTANCE_COMMANDS = (ls, terminate, purge, release)


def each(
    data: str,
    ids: Sequence[str],
    act: "Callable[[Facade, str, By], Awaitable[Any]]",
    done: str,
    reason: str | None,
    app_id: str | None,
) -> None:
    """Do an action on each instance, print the results, and exit with the code of the worst result.

    Args:
        act: Does the action. Returns the status of the instance if nothing was changed.
    """
    codes = [0]

    async def act_on_all(facade: "Facade") -> None:
        from ...runtime.errors import InstanceNotFound, RequestRefused  # noqa: PLC0415  the engine is imported by now
        from ...runtime.history.attribution import OFFLINE  # noqa: PLC0415  as above
        from ...runtime.history.status import Status  # noqa: PLC0415  as above

        for instance_id in ids:
            try:
                found = await act(facade, instance_id, OFFLINE._replace(reason=reason))
                click.echo(f"{instance_id} {f'was already {found.name}' if isinstance(found, Status) else done}.")
            except InstanceNotFound:
                codes.append(NOT_FOUND)
                complain(f"{instance_id}: there is no such instance in {data}. `perdure store ls` lists them.")
            except RequestRefused as error:
                codes.append(REFUSED)
                complain(f"{instance_id}: {refusal(error)}")
            except PerdureError as error:
                codes.append(REFUSED)
                complain(f"{instance_id}: {explain(error, RUN_FLAGS)}")

    on_store(data, act_on_all, app_id)
    if code := max(codes):
        sys.exit(code)


def complain(text: str) -> None:
    """Print an error to standard error."""
    click.echo(f"Error: {text}", err=True)


def refusal(error: PerdureError) -> str:
    """Return why an instance refused, and what to do, which the engine's words (mostly Dapr's) do not say."""
    from ...runtime.errors import InstanceUnfinished  # noqa: PLC0415  as above

    if isinstance(error, InstanceUnfinished):
        return "it has not ended. Terminate it first, or purge it with --force."
    return str(error)


def on_store(data: str, do: "Callable[[Facade], Awaitable[None]]", app_id: str | None) -> None:
    """Open a store that no daemon has open, and do work on the instances of one of its apps.

    Raises:
        PerdureError: The store cannot be opened.
    """
    import anyio  # noqa: PLC0415  `perdure store --help` needs no engine

    from ..offline import offline  # noqa: PLC0415  as above

    async def main() -> None:
        async with offline(data, app_id) as facade:
            await do(facade)

    anyio.run(main)


async def instances(facade: "Facade") -> AsyncIterator[InstanceLine]:
    """Yield the lines of all instances, in the order of their ids."""
    after: str | None = None
    while True:
        page = await facade.list_ids(after=after)
        for instance_id in page.ids:
            yield await describe(facade, instance_id)
        after = page.token
        if after is None:
            return


async def describe(facade: "Facade", instance_id: str) -> InstanceLine:
    """Return the line of an instance. If it cannot be read, the line has the error."""
    try:
        state = await facade.inspect(instance_id)
    except PerdureError as error:
        return InstanceLine(instance_id, None, STALLED, None, None, False, str(error))
    if state is None:
        return InstanceLine(instance_id, None, STALLED, None, None, False, "it has no record")
    created_at, updated_at = date(state.created_us), date(state.updated_us or state.created_us)
    return InstanceLine(
        instance_id, state.name or None, state.status.name, created_at, updated_at, state.set_aside, state.stall
    )


def date(us: int) -> str:
    """Format a Unix time in microseconds as ISO 8601 in UTC."""
    from ...runtime.dates import from_us  # noqa: PLC0415  as above

    return from_us(us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def table(lines: Sequence[InstanceLine]) -> str:
    """Format lines in columns; the last column is not padded."""
    rows = [COLUMNS, *((one.id, one.workflow, one.status, one.created_at, one.updated_at, one.reason) for one in lines)]
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def printable(cell: str | None) -> str:
    """Escape a cell to one line: ids and names of workflows may have any characters."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in cell or "")
