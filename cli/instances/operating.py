"""`perdure operations` and `perdure audit`: the bulk operations of a daemon, and the audit of changes.

The rule: the same as in `cli/instances/connection.py`. `cli/main.py` has the commands in its list.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from . import suggesting
from .bulk import progress
from .connection import Where, ask, daemon_command
from .options import PLAIN_OUTPUT_OPTION, moment, word
from .output import age, show_ids, show_json, table

if TYPE_CHECKING:
    from ...api.management.bulk import OperationInfo
    from ...client.remote_client import RemoteClient


@daemon_command(
    click.Argument(["what"], type=click.Choice(["list", "show", "cancel"]), default="list", metavar="[show|cancel]"),
    click.Argument(["operation_id"], type=word, required=False, metavar="[ID]", shell_complete=suggesting.operations),
    PLAIN_OUTPUT_OPTION,
    example="perdure operations cancel 01a2178e-b5ee-7148-a9d3-8668f3dad50a",
)
def operations(where: Where, what: str, operation_id: str | None, output: str) -> None:
    """List bulk operations, show one, or cancel one."""
    if (what == "list") is (operation_id is not None):
        raise click.UsageError(f"{what} needs the ID of an operation" if operation_id is None else "list takes no ID")

    async def work(client: "RemoteClient") -> None:
        if operation_id is None:
            answer: Any = await client.operations()
        elif what == "cancel":
            answer = await client.cancel_operation(operation_id)
        else:
            answer = await client.operation(operation_id)
        if output == "json":
            show_json(answer)
        elif output == "ids":
            show_ids([each.id for each in answer.items] if operation_id is None else [answer.id])
        elif operation_id is None:
            now = datetime.now(UTC)
            rows = [operation_row(each, now) for each in answer.items]
            click.echo(table(("ID", "ACTION", "STATE", "DONE", "FAILED", "OF", "AGE", "ACTOR"), rows))
        else:
            for error in answer.errors:
                click.echo(f"{error.id}: {error.message}", err=True)
            click.echo(progress(answer))

    ask(where, work)


def operation_row(operation: "OperationInfo", now: datetime) -> tuple[object, ...]:
    """Return a row of the table of operations."""
    counts = (operation.done, operation.failed, operation.matches)
    return operation.id, operation.action, operation.state, *counts, age(operation.created, now), operation.actor


COLUMNS = ("at", "actor", "door", "action", "id", "reason", "operation")


@daemon_command(
    click.Option(
        ["--id", "instance_id"],
        type=word,
        metavar="ID",
        shell_complete=suggesting.ids,
        help="Only changes of this instance.",
    ),
    click.Option(["--actor"], type=word, metavar="NAME", help="Only changes by the owner of this token."),
    click.Option(["--action"], type=word, metavar="ACTION", help="Only this action: suspend, purge, repair and so on."),
    click.Option(["--before"], callback=moment, metavar="MOMENT|AGO", help="Only before it."),
    click.Option(["--limit"], type=click.IntRange(1, 500), default=50, show_default=True, metavar="N"),
    PLAIN_OUTPUT_OPTION,
    example="perdure audit --id order-17",
)
def audit(
    where: Where,
    instance_id: str | None,
    actor: str | None,
    action: str | None,
    before: str | None,
    limit: int,
    output: str,
) -> None:
    """Show the changes, with author and reason, newest first."""

    async def work(client: "RemoteClient") -> None:
        page = await client.audit(instance_id=instance_id, actor=actor, action=action, before=before, limit=limit)
        if output == "json":
            show_json(page.items)
        elif output == "ids":
            show_ids(dict.fromkeys(row.id for row in page.items))
        else:
            rows = [[getattr(row, name) for name in COLUMNS] for row in page.items]
            click.echo(table([name.upper() for name in COLUMNS], rows))
        if page.cursor is not None:
            click.echo("There are more: a larger --limit, or --before, shows them.", err=True)

    ask(where, work)
