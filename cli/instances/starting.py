"""`perdure start` and `perdure event`: start an instance, and send it an event.

The rule: a payload is sent unchanged. It must be JSON, so that quotes that a shell has removed are noticed here.
"""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from . import suggesting
from .connection import FAILED, TIME_OVER, CommandEnded, Where, ask, daemon_command
from .options import ACTION_OUTPUT_OPTION, ID_ARGUMENT, OUTPUTS, date, length, pairs, payload_option, word
from .output import done_line, lines_of, show_ids, show_json, span, write_line
from .showing import failure, waited

if TYPE_CHECKING:
    from ...client.remote_client import RemoteClient

KEY_OPTION = click.Option(
    ["--idempotency-key"], metavar="TEXT", help="Requests with the same key have their effect once."
)


@daemon_command(
    click.Argument(["workflow"], type=word, metavar="WORKFLOW", shell_complete=suggesting.workflows),
    payload_option("--input", "The input."),
    click.Option(["--id", "instance_id"], type=word, metavar="ID", help="Its id; a new one by default."),
    click.Option(
        ["--start-at"], callback=date, metavar="MOMENT", help="The time at which its code begins, in RFC 3339."
    ),
    click.Option(
        ["--tag", "tags"], multiple=True, callback=pairs, metavar="KEY=VALUE", help="A tag; up to 16 may be given."
    ),
    click.Option(
        ["--if-exists"],
        type=click.Choice(["reject", "return", "restart"]),
        help="If an instance has the id: refuse (the default); return it; start again if it has ended.",
    ),
    click.Option(["--force"], is_flag=True, help="With restart: first terminate an instance that has not ended."),
    KEY_OPTION,
    click.Option(["--wait", "wait"], is_flag=True, help="Wait for its end, and print its result."),
    click.Option(["--timeout"], callback=length, metavar="LENGTH", help="With --wait: exit with 6 after this time."),
    click.Option(
        ["-o", "--output"],
        type=click.Choice(OUTPUTS),
        default="ids",
        show_default=True,
        help="json prints the description of the instance in place of its id or its result.",
    ),
    example="perdure start OrderProcessing --id order-17 --input '{\"total\": 99.95}'",
)
def start(where: Where, workflow: str, wait: bool, timeout: float | None, output: str, **options: Any) -> None:
    """Start an instance of a workflow, and print its id."""
    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait")
    if options["force"] and options["if_exists"] != "restart":
        raise click.UsageError("--force goes with --if-exists restart")

    async def work(client: "RemoteClient") -> int | None:
        if options["if_exists"] is None:
            options["if_exists"] = "reject"
        handle = await client.start(workflow, **options)
        if not wait:
            if output == "json":
                show_json(await client.describe(handle.id))
            else:
                show_ids([handle.id])
            return None
        found = await waited(client, handle.id, [], timeout)
        if found is None:
            raise CommandEnded(f"{handle.id}: it has not ended in {span(timeout or 0)}", TIME_OVER)
        if output == "json":
            show_json(found)
        if found.status != "COMPLETED":
            why = f": {failure(found.failure)}" if found.failure is not None else ""
            raise CommandEnded(f"{handle.id}: it has ended {found.status}{why}", FAILED)
        if output != "json":
            _, result = await client.payloads(handle.id)
            click.echo(lines_of(result or "null"))
        return None

    ask(where, work)


@daemon_command(
    ID_ARGUMENT,
    click.Argument(["name"], type=word, metavar="NAME", shell_complete=suggesting.events),
    payload_option("--input", "What it carries."),
    KEY_OPTION,
    ACTION_OUTPUT_OPTION,
    example="perdure event order-17 approval --input '{\"approved\": true}'",
)
def event(
    where: Where,
    instance_id: str,
    name: str,
    input: msgspec.Raw | None,  # noqa: A002
    idempotency_key: str | None,
    shape: str,
) -> None:
    """Send an event to an instance. The event is kept until the instance waits for it."""

    async def work(client: "RemoteClient") -> None:
        await client.raise_event(instance_id, name, input, idempotency_key=idempotency_key)
        if shape in ("json", "ids"):
            write_line(done_line(shape, "", {"action": "event", "id": instance_id, "name": name}))

    ask(where, work)
