"""`perdure suspend`, `resume`, `terminate`, `purge` and `rerun`: for given instances, or for all that match.

The rule: --all-matching shows the number of instances first, and acts only after a person has confirmed it, or with
--yes.
"""

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from .bulk import run_bulk
from .connection import DaemonCommand, Where, ask, daemon_command, for_each, ids_of
from .options import ACTION_OUTPUT_OPTION, FILTER_OPTIONS, IDS_ARGUMENT, REASON_OPTION, filter_of, payload_option, word
from .output import done_line, json_of, visible

if TYPE_CHECKING:
    from ...api.management.actions import ActionDone, RerunStepInfo
    from ...client.remote_client import RemoteClient

PAST = {
    "suspend": "suspended",
    "resume": "resumed",
    "terminate": "terminated",
    "purge": "purged",
    "rerun": "begun anew",
}

SELECTION_OPTIONS = (
    click.Option(["--all-matching"], is_flag=True, help="All instances that the filters match, in place of IDs."),
    click.Option(["--yes"], is_flag=True, help="With --all-matching: do not ask for confirmation."),
    click.Option(
        ["--rate"],
        type=click.FloatRange(min=0, min_open=True),
        metavar="N",
        help="With --all-matching: instances a second.",
    ),
    click.Option(
        ["--no-wait"], is_flag=True, help="With --all-matching: print the id of the operation, and do not wait for it."
    ),
    ACTION_OUTPUT_OPTION,
    *FILTER_OPTIONS,
)
RECURSE = click.Option(["--recurse/--no-recurse"], default=True, show_default=True, help="Include all descendants.")
RECURSE_OFF = click.Option(
    ["--recurse/--no-recurse"], default=False, show_default=True, help="Include all descendants."
)


def act(
    action: str,
    where: Where,
    ids: tuple[str, ...],
    one: Callable[["RemoteClient", str], Awaitable[str | None]],
    options: dict[str, Any],
    **bulk: Any,
) -> None:
    """Do an action on the instances that a command selects.

    Args:
        one: Does the action on one instance.
        options: The values of `SELECTION_OPTIONS`.
        bulk: Further values for the bulk operation.

    Raises:
        click.UsageError: There are neither ids nor --all-matching, or both.
    """
    filters = filter_of(options)
    if options["all_matching"]:
        if ids:
            raise click.UsageError("IDs and --all-matching select twice. Leave one out.")
        if "output" in bulk:
            raise click.UsageError("--output is the result of a single instance: give IDs, or leave it out.")
        if not options["yes"] and not at_a_terminal():
            raise click.UsageError("--all-matching asks before it begins, and there is no terminal: give --yes.")
        ask(where, lambda client: run_bulk(client, action, filters, options, bulk))
        return
    if filters or options["rate"] is not None or options["no_wait"]:
        raise click.UsageError("filters, --rate and --no-wait go with --all-matching.")
    selected = ids_of(ids)
    if not selected and "-" not in ids:
        raise click.UsageError("give IDs (- reads them from standard input), or --all-matching with filters.")
    ask(where, lambda client: for_each(selected, lambda instance_id: one(client, instance_id)))


def at_a_terminal() -> bool:
    """Whether a person can answer questions."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _action(
    action: str, *params: click.Parameter, example: str, describe: str
) -> Callable[[Callable[..., dict[str, Any]]], DaemonCommand]:
    """Make the command of an action of the API. The decorated function returns the options of the action."""

    def make(options_of: Callable[..., dict[str, Any]]) -> DaemonCommand:
        def command(where: Where, ids: tuple[str, ...], reason: str | None, **options: Any) -> None:
            names = [str(param.name) for param in params]
            how = options_of(**{name: options.pop(name) for name in names})

            async def one(client: "RemoteClient", instance_id: str) -> str:
                done = await client.act(action, instance_id, reason=reason, **how)  # type: ignore[arg-type]
                told = {"action": action, **msgspec.to_builtins(done)}
                return done_line(options["shape"], f"{instance_id} {words_of(action, done)}", told)

            act(action, where, ids, one, options, reason=reason, **how)

        command.__doc__ = describe
        made = daemon_command(IDS_ARGUMENT, *params, REASON_OPTION, *SELECTION_OPTIONS, example=example, name=action)
        return made(command)

    return make


def words_of(action: str, done: "ActionDone") -> str:
    """Describe the result of an action."""
    if isinstance(done.already, str):
        return f"was already {done.already}"
    many = f" ({done.affected} instances)" if isinstance(done.affected, int) and done.affected > 1 else ""
    return f"{PAST[action]}{many}"


@_action(
    "suspend",
    RECURSE_OFF,
    example="perdure suspend order-17 --reason 'stock is being counted'",
    describe="Suspend instances until they are resumed. Messages that arrive meanwhile are kept.",
)
def suspend(recurse: bool) -> dict[str, Any]:
    """Return the options of a suspension."""
    return {"recurse": recurse}


@_action("resume", RECURSE_OFF, example="perdure resume order-17", describe="Resume suspended instances.")
def resume(recurse: bool) -> dict[str, Any]:
    """Return the options of a resumption."""
    return {"recurse": recurse}


@_action(
    "terminate",
    RECURSE,
    payload_option("--output", "The result of the instance."),
    example="perdure terminate order-17 --reason 'customer called'",
    describe="End instances without running their code. Instances that are stalled or set aside end too.",
)
def terminate(recurse: bool, output: msgspec.Raw | None) -> dict[str, Any]:
    """Return the options of a termination."""
    return {"recurse": recurse, **({"output": output} if output is not None else {})}


@_action(
    "purge",
    RECURSE,
    click.Option(["--force"], is_flag=True, help="With any status."),
    example="perdure purge --all-matching --status completed --updated-before 7d",
    describe="Delete instances that have ended. With --force also instances that have not ended.",
)
def purge(recurse: bool, force: bool) -> dict[str, Any]:
    """Return the options of a purge."""
    return {"recurse": recurse, "force": force}


@daemon_command(
    IDS_ARGUMENT,
    click.Option(
        ["--from-event"],
        type=int,
        metavar="N",
        help="Keep the events before this event id, which `perdure history` shows.",
    ),
    click.Option(["--id", "new_id"], type=word, metavar="ID", help="The new instance's id; a new one by default."),
    payload_option("--input", "Another input; with --from-event for that event."),
    click.Option(["--dry-run"], is_flag=True, help="Only show which steps are kept and which are repeated."),
    REASON_OPTION,
    *SELECTION_OPTIONS,
    example="perdure rerun order-17 --from-event 4",
)
def rerun(
    where: Where,
    ids: tuple[str, ...],
    from_event: int | None,
    new_id: str | None,
    input: msgspec.Raw | None,  # noqa: A002
    dry_run: bool,
    reason: str | None,
    **options: Any,
) -> None:
    """Run instances again, each as a new one, and print the new ids. The old ones are not changed."""
    single = from_event is not None or new_id is not None or input is not None or dry_run
    if single and (options["all_matching"] or len(ids) != 1):
        raise click.UsageError("--from-event, --id, --input and --dry-run go with a single ID.")

    async def one(client: "RemoteClient", instance_id: str) -> str:
        if dry_run:
            plan = await client.plan_rerun(instance_id, from_event=from_event)
            if options["shape"] == "json":
                return json_of(plan)
            return "\n".join(steps("kept", plan.kept) + steps("repeated", plan.repeated))
        given = {"input": input} if input is not None else {}
        begun = await client.rerun(instance_id, from_event=from_event, new_id=new_id, reason=reason, **given)
        return done_line(options["shape"], begun.id, {"action": "rerun", "id": begun.id, "source": instance_id})

    act("rerun", where, ids, one, options, reason=reason)


def steps(what: str, found: "Sequence[RerunStepInfo]") -> list[str]:
    """Format steps, one a line."""
    return [f"{what:<8}  {step.event_id:>4}  {step.kind}  {visible(step.name or '')}".rstrip() for step in found]
