"""Doing something to all instances that match: the number, the question, the progress.

The rule: the operation runs in the daemon. This end may go at any moment, and the operation goes on.
"""

import sys
from typing import TYPE_CHECKING, Any

import anyio
import click

from .connection import DONE, FAILED
from .listing import show

if TYPE_CHECKING:
    from ...client.remote_client import RemoteClient

LOOK_S = 0.5
GOING = ("RUNNING", "PENDING")
SAMPLE = 10


async def run_bulk(
    client: "RemoteClient", action: str, filters: dict[str, Any], options: dict[str, Any], bulk: dict[str, Any]
) -> int:
    """Plan a bulk operation, ask, begin it and follow it.

    Args:
        filters: Which instances.
        options: `yes`, `rate` and `no_wait` of the command.
        bulk: What the plan is told besides.
    """
    planned = await client.plan_bulk(action, rate=options["rate"], **bulk, **filters)
    matches = planned["matches"]
    if not matches:
        click.echo("No instance matches.", err=True)
        return DONE
    if not options["yes"]:
        if sample := planned.get("sample"):
            show_sample(sample)
        click.confirm(f"{action} {matches:,} instances?", abort=True, err=True)
    operation_id = await client.bulk(action, planned["plan"], reason=bulk.get("reason"))
    if options["no_wait"]:
        click.echo(operation_id)
        return DONE
    click.echo(
        f"Operation {operation_id} has begun: {matches:,} instances. It goes on if this command ends; "
        f"`perdure operations cancel {operation_id}` stops it.",
        err=True,
    )
    return await follow(client, operation_id)


def show_sample(sample: list[dict[str, Any]]) -> None:
    """Show some of the instances that match."""
    import msgspec  # noqa: PLC0415

    from ...api.management.instances import InstanceSummary  # noqa: PLC0415

    show([msgspec.convert(each, InstanceSummary) for each in sample[:SAMPLE]], "table")


async def follow(client: "RemoteClient", operation_id: str) -> int:
    """Follow a bulk operation to its end, and say how far it is where a person looks on."""
    looked_on = sys.stderr.isatty()
    while True:
        operation = await client.operation(operation_id)
        if looked_on:
            click.echo(f"\r{progress(operation)}\033[K", nl=False, err=True)
        if operation["state"].upper() not in GOING:
            break
        await anyio.sleep(LOOK_S)
    if looked_on:
        click.echo("", err=True)
    for error in operation.get("errors", ()):
        click.echo(
            f"Error: {error['id']}: {error.get('message', error)}" if isinstance(error, dict) else error, err=True
        )
    click.echo(progress(operation))
    return FAILED if operation.get("failed") else DONE


def progress(operation: dict[str, Any]) -> str:
    """Say how far an operation is."""
    done, matches, failed = operation["done"], operation["matches"], operation.get("failed", 0)
    return f"{operation['action']}: {done:,} of {matches:,} done, {failed:,} failed, {operation['state']}"
