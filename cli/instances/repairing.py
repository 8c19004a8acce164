"""`perdure repair`: answers an open entry of an instance in place of an activity, a child or a timer.

The rule: the history is not rewritten. Each event that is appended could have arrived by itself.
"""

from typing import TYPE_CHECKING, Any

import click
import msgspec

from .connection import Where, ask, daemon_command
from .options import ACTION_OUTPUT_OPTION, ID_ARGUMENT, REASON_OPTION, payload_option
from .output import done_line, write_line

if TYPE_CHECKING:
    from ...client.remote_client import RemoteClient

ACTIONS = ("retry", "complete", "fail", "fire", "release")


@daemon_command(
    ID_ARGUMENT,
    click.Argument(["action"], type=click.Choice(ACTIONS), metavar="|".join(ACTIONS)),
    click.Option(
        ["--event-id"],
        type=int,
        metavar="N",
        help="The id of the entry, from `perdure show`. Not for release.",
    ),
    payload_option("--result", "For complete: the result."),
    click.Option(["--failure"], metavar="TEXT", help="For fail: the message of the failure."),
    click.Option(["--failure-type"], metavar="NAME", help="For fail: the type of the failure, such as ValueError."),
    REASON_OPTION,
    ACTION_OUTPUT_OPTION,
    example="perdure repair order-17 complete --event-id 3 --result '\"paid\"' --reason 'paid by phone'",
)
def repair(
    where: Where,
    instance_id: str,
    action: str,
    event_id: int | None,
    result: msgspec.Raw | None,
    failure: str | None,
    failure_type: str | None,
    **options: Any,
) -> None:
    """Answer an open entry of an instance.

    The instance goes on as if the answer had arrived by itself; its history is not rewritten.

    \b
    retry     try an activity again now, or dispatch one that hangs again
    complete  answer an activity or a child with --result
    fail      answer an activity or a child with a failure
    fire      end a timer now
    release   resume an instance that is set aside
    """
    if (action == "release") is (event_id is not None):
        raise click.UsageError("--event-id is needed" if event_id is None else "release takes no --event-id")
    if (action == "fail") is (failure is None):
        raise click.UsageError("fail needs --failure" if failure is None else "--failure goes with fail")
    if failure_type is not None and action != "fail":
        raise click.UsageError("--failure-type goes with fail")
    if result is not None and action != "complete":
        raise click.UsageError("--result goes with complete")

    async def work(client: "RemoteClient") -> None:
        told = {"message": failure, **({"type": failure_type} if failure_type is not None else {})}
        await client.repair(
            instance_id,
            action,  # type: ignore[arg-type]
            event_id=event_id,
            result=result,
            failure=told if failure is not None else None,
            reason=options["reason"],
        )
        write_line(done_line(options["shape"], f"{instance_id} {action}: done", {"action": action, "id": instance_id}))

    ask(where, work)
