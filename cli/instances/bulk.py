"""Runs an action on all instances that match: shows the number, asks, and shows the progress.

The rule: the operation runs in the daemon. It goes on if the command ends.
"""

import sys
from typing import TYPE_CHECKING, Any

import anyio
import click

from .connection import DONE, FAILED, patiently
from .listing import show
from .output import show_json

if TYPE_CHECKING:
    from ...api.management.bulk import OperationInfo
    from ...client.remote_client import RemoteClient

LOOK_S = 0.5
TOLD_EVERY_S = 10.0  # between two lines, if the output is no terminal
GOING = ("RUNNING",)
SAMPLE = 10


async def run_bulk(
    client: "RemoteClient", action: str, filters: dict[str, Any], options: dict[str, Any], bulk: dict[str, Any]
) -> int:
    """Plan a bulk operation, ask for confirmation, begin it and follow it.

    Args:
        filters: The filter of the instances.
        options: `yes`, `rate`, `no_wait` and `shape` of the command.
        bulk: Further values for the plan.
    """
    planned = await client.plan_bulk(action, rate=options["rate"], **bulk, **filters)  # type: ignore[arg-type]
    if not planned.matches:
        click.echo("No instance matches.", err=True)
        if options["shape"] == "json":
            show_json(nothing_done(action))
        return DONE
    number = f"{'more than ' if planned.more else ''}{planned.matches:,} instances"
    if not options["yes"]:
        show(planned.sample[:SAMPLE], "table")
        click.confirm(f"{action} {number}?", abort=True, err=True)
    begun = await client.bulk(action, planned.plan)  # type: ignore[arg-type]
    if options["no_wait"]:
        if options["shape"] == "json":
            show_json(begun)
        else:
            click.echo(begun.id)
        return DONE
    click.echo(
        f"Operation {begun.id} has begun: {number}. It continues if this command ends; "
        f"`perdure operations cancel {begun.id}` stops it.",
        err=True,
    )
    return await follow(client, begun.id, options["shape"])


def nothing_done(action: str) -> dict[str, Any]:
    """Return the result if no instance matches: the fields of an operation, without an id."""
    counts = dict.fromkeys(("done", "failed", "skipped"), 0)
    return {"id": None, "state": "COMPLETED", "action": action, "matches": 0, "more": False, **counts, "errors": []}


async def follow(client: "RemoteClient", operation_id: str, shape: str = "table") -> int:
    """Follow a bulk operation to its end, and show its progress: in place in a terminal, else in lines."""
    looked_on = sys.stderr.isatty()
    told_s = anyio.current_time()
    while True:
        # A restarted daemon goes on with the operation, so the command waits for it.
        operation = await patiently(lambda: client.operation(operation_id), reached=True)
        if looked_on:
            click.echo(f"\r{progress(operation)}\033[K", nl=False, err=True)
        if operation.state not in GOING:
            break
        if not looked_on and anyio.current_time() - told_s >= TOLD_EVERY_S:
            told_s = anyio.current_time()
            click.echo(progress(operation), err=True)
        await anyio.sleep(LOOK_S)
    if looked_on:
        click.echo("", err=True)
    for error in operation.errors:
        click.echo(f"Error: {error.id}: {error.message}", err=True)
    if shape == "json":
        show_json(operation)
    else:
        click.echo(operation.id if shape == "ids" else progress(operation))
    return FAILED if operation.failed else DONE


def progress(operation: "OperationInfo") -> str:
    """Describe the progress of an operation."""
    counts = [(operation.done, "done"), (operation.failed, "failed"), (operation.skipped, "skipped")]
    told = ", ".join(f"{count:,} {word}" for count, word in counts if count or word == "done")
    more = "+" if operation.more else ""
    return f"{operation.action} {operation.state}: {told}, of {operation.matches:,}{more}"
