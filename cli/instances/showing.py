"""`perdure show`, `history`, `tree` and `wait`: commands on one instance.

The rule: a failure comes first, and payloads are shown only on request.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from . import suggesting
from .connection import FAILED, NOT_FOUND, TIME_OVER, CommandEnded, Where, ask, daemon_command, patiently
from .options import ID_ARGUMENT, PLAIN_OUTPUT_OPTION, length, limit_option
from .output import age, cell, fields, lines_of, show_ids, show_json, span, table, visible

if TYPE_CHECKING:
    from ...api.management.instances import FailureReport, InstanceDetails, InstanceTree, WaitingFor
    from ...client.remote_client import RemoteClient

GOOD_ENDS = ("COMPLETED",)


def missing(instance_id: str) -> CommandEnded:
    """Return the end of a command whose instance does not exist."""
    return CommandEnded(f"{instance_id}: there is no such instance", NOT_FOUND)


@daemon_command(
    ID_ARGUMENT,
    PLAIN_OUTPUT_OPTION,
    click.Option(["--input/--no-input", "with_input"], default=False, help="Also show its input, unchanged."),
    click.Option(["--result/--no-result", "with_result"], default=False, help="Its result too."),
    example="perdure show order-17",
)
def show(where: Where, instance_id: str, output: str, with_input: bool, with_result: bool) -> None:
    """Describe an instance.

    It shows the failure of the instance, or the events that it waits for. With --input or --result the payload follows
    as text. No code of the instance is run.
    """

    async def work(client: "RemoteClient") -> None:
        described = await client.describe(instance_id)
        if described is None:
            raise missing(instance_id)
        if output == "ids":
            show_ids([described.id])
            return
        given, result = None, None
        if with_input or with_result:
            given, result = await client.payloads(instance_id)
        if output == "json":
            more = {"input": given if with_input else None, "result": result if with_result else None}
            show_json({**as_dict(described), **{name: text for name, text in more.items() if text is not None}})
            return
        click.echo("\n\n".join(description(described, datetime.now(UTC))))
        for title, wanted, text in (("Input", with_input, given), ("Result", with_result, result)):
            if wanted:
                click.echo(f"\n{title}:\n{lines_of(text or 'none')}")

    ask(where, work)


def as_dict(described: "InstanceDetails") -> dict[str, Any]:
    """Return the details of an instance as plain values, for JSON."""
    import msgspec  # noqa: PLC0415

    built: dict[str, Any] = msgspec.to_builtins(described)
    return built


def description(described: "InstanceDetails", now: datetime) -> Iterator[str]:
    """Yield the paragraphs of a description."""
    yield f"{visible(described.id)}  {click.style(described.status, bold=True)}"
    if described.failure is not None:
        yield failure(described.failure)
    if described.stall is not None:
        yield f"{described.stall.kind}: {visible(described.stall.reason)}"
    entries = described.waiting_for if isinstance(described.waiting_for, list) else []
    if entries:
        rows = [waiting_row(entry, now) for entry in entries]
        columns = ("EVENT ID", "KIND", "NAME", "STATE", "ATTEMPT", "FOR", "DUE IN")
        yield "Waits for:\n" + table(columns, rows)
    children = described.children if isinstance(described.children, dict) else {}
    size = described.history
    tags = ", ".join(f"{key}={value}" for key, value in described.tags.items())
    ended = described.ended
    yield fields(
        (
            ("Workflow", described.name),
            ("Custom status", described.custom_status),
            ("Created", f"{cell(described.created)}  ({age(described.created, now)} ago)"),
            ("Changed", f"{cell(described.updated)}  ({age(described.updated, now)} ago)"),
            ("Ended", f"{cell(ended)}  (after {age(described.created, ended)})" if ended is not None else None),
            ("Parent", described.parent),
            ("Root", described.root),
            ("Children", ", ".join(f"{count} {status}" for status, count in children.items())),
            ("Tags", tags),
            ("Generation", described.generation or None),
            ("Run", described.first_execution_id),
            ("Execution", described.execution_id if described.generation else None),
            ("History", f"{size.events} events, {size.bytes:,} bytes, turns: {size.turns}"),
            ("Input", f"{described.input_bytes:,} bytes" if described.input_bytes else None),
            ("Result", f"{described.output_bytes:,} bytes" if described.output_bytes else None),
        )
    )


def waiting_row(entry: "WaitingFor", now: datetime) -> tuple[object, ...]:
    """Return a row of the table of `waiting_for`."""
    due = span((entry.due - now).total_seconds()) if entry.due is not None else None
    what = entry.name or entry.child_id
    if entry.app_id:
        what = f"{what} of {entry.app_id}"
    return entry.event_id, entry.kind, what, entry.state, entry.attempt, age(entry.since, now), due


def failure(report: "FailureReport", *, cause: bool = False) -> str:
    """Format a failure: the step, the error, its traceback, and its cause."""
    step, kind = (report.activity, "Activity") if report.activity is not None else (report.child, "Child workflow")
    what = "Caused by" if cause else "Failed"
    if step is not None:
        attempt = f" on attempt {step.attempt}" if step.attempt is not None else ""
        what = f"{what}: {kind} {step.name!r} ({step.id}) failed{attempt}"
    text = f"{what}: {report.type}: {visible(report.message)}"
    if report.traceback:
        text += f"\n{lines_of(report.traceback.rstrip())}"
    return text if report.cause is None else f"{text}\n{failure(report.cause, cause=True)}"


@daemon_command(
    ID_ARGUMENT,
    click.Option(["--newest"], is_flag=True, help="The newest event first."),
    limit_option(200, help="0: the whole history."),
    click.Option(
        ["--payloads"],
        type=click.Choice(["none", "head", "full"]),
        default="head",
        show_default=True,
        help="Show the first characters of payloads, or whole payloads up to a limit.",
    ),
    PLAIN_OUTPUT_OPTION,
    example="perdure history order-17 --newest --limit 20",
)
def history(where: Where, instance_id: str, newest: bool, limit: int, payloads: str, output: str) -> None:
    """Show the history of an instance, event by event.

    The table has the ids of events, for `perdure rerun --from-event`. JSON has Dapr's HistoryEvents.
    """

    async def work(client: "RemoteClient") -> None:
        events: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            wanted = min(limit - len(events), 500) if limit else 500
            page = await client.history(
                instance_id,
                after=after,
                limit=wanted,
                newest_first=newest,
                payloads=payloads,  # type: ignore[arg-type]
            )
            events += page.items
            if (after := page.cursor) is None or (limit and len(events) >= limit):
                break
        if output == "json":
            show_json(events)
        elif output == "ids":
            show_ids(str(event["eventId"]) for event in events if event.get("eventId", -1) >= 0)
        else:
            click.echo(table(("EVENT ID", "TIME", "EVENT", "WHAT"), [event_row(event) for event in events]))
        if after is not None:
            click.echo("There are more: --limit 0 shows the whole history.", err=True)

    ask(where, work)


NOT_KINDS = ("key", "eventId", "timestamp", "router", "payloadBytes", "isReplay")


def event_row(event: dict[str, Any]) -> tuple[object, ...]:
    """Return a row of the table of events."""
    kind = next((name for name in event if name not in NOT_KINDS), "?")
    body = event.get(kind) or {}
    number = event.get("eventId", -1)
    return number if number >= 0 else None, event.get("timestamp"), kind, words_of(kind, body, event)


def words_of(kind: str, body: dict[str, Any], event: dict[str, Any]) -> str:
    """Describe the content of an event in a line."""
    words: list[str] = []
    if (of := body.get("taskScheduledId", body.get("timerId"))) is not None:
        words.append(f"of {of}")
    words += [str(body[field]) for field in ("name", "fireAt", "instanceId") if body.get(field)]
    if kind == "executionCompleted":
        words.append(
            str(body.get("workflowStatus", body.get("orchestrationStatus", ""))).removeprefix("ORCHESTRATION_STATUS_")
        )
    if (failed := body.get("failureDetails")) is not None:
        words.append(f"{failed.get('errorType')}: {failed.get('errorMessage')}")
    for field in ("input", "result"):
        if body.get(field) is not None:
            size = event.get("payloadBytes", 0)
            text = str(body[field])
            words.append(text if len(text.encode()) >= size else f"{text}… ({size:,} bytes)")
    return " ".join(words)


@daemon_command(
    ID_ARGUMENT,
    click.Option(["--depth"], type=click.IntRange(0, 20), default=3, show_default=True, metavar="N"),
    PLAIN_OUTPUT_OPTION,
    example="perdure tree order-17 --depth 5",
)
def tree(where: Where, instance_id: str, depth: int, output: str) -> None:
    """Show an instance with its descendants."""

    async def work(client: "RemoteClient") -> None:
        root = await client.tree(instance_id, depth=depth)
        if output == "json":
            show_json(root)
        elif output == "ids":
            show_ids(ids_below(root))
        else:
            for line in branches(root):
                click.echo(line)

    ask(where, work)


def ids_below(node: "InstanceTree") -> Iterator[str]:
    """Yield the ids of a tree, a parent before its children."""
    yield node.id
    for child in node.children:
        yield from ids_below(child)


def branches(node: "InstanceTree", before: str = "", mark: str = "", below: str = "") -> Iterator[str]:
    """Yield the lines of a drawn tree."""
    yield f"{before}{mark}{visible(node.id)}  {visible(node.name)}  {node.status}"
    inside = before + below
    for position, child in enumerate(node.children, 1):
        last = position == len(node.children) and not node.more
        yield from branches(child, inside, "└─ " if last else "├─ ", "   " if last else "│  ")
    if node.more:
        yield f"{inside}└─ …"


@daemon_command(
    ID_ARGUMENT,
    click.Option(
        ["--until"],
        metavar="STATUS[,STATUS]",
        shell_complete=suggesting.statuses,
        help="Wait for one of these statuses, not for the end.",
    ),
    click.Option(["--timeout"], callback=length, metavar="LENGTH", help="Exit with 6 after this time: 90s, 15m, 2h."),
    PLAIN_OUTPUT_OPTION,
    example="perdure wait order-17 --timeout 5m && echo done",
)
def wait(where: Where, instance_id: str, until: str | None, timeout: float | None, output: str) -> None:
    """Wait until an instance has ended.

    The exit code is 0 if it has completed, 1 if it has ended otherwise, 6 if the time is over.
    """
    words = [word for word in (until or "").split(",") if word]
    if until is not None and not words:
        raise click.UsageError("--until names no status")

    async def work(client: "RemoteClient") -> int | None:
        found = await waited(client, instance_id, words, timeout)
        if found is None:
            raise CommandEnded(f"{instance_id}: it has not reached such a status in {span(timeout or 0)}", TIME_OVER)
        if output == "json":
            show_json(found)
        elif output == "ids":
            show_ids([found.id])
        else:
            click.echo(found.status)
            if found.failure is not None:
                click.echo(f"{instance_id}: {failure(found.failure)}", err=True)
        return FAILED if not words and found.status not in GOOD_ENDS else None

    ask(where, work)


async def waited(
    client: "RemoteClient", instance_id: str, words: list[str], timeout_s: float | None
) -> "InstanceDetails | None":
    """Wait for an instance, also over restarts of the daemon; None if the time is over."""
    deadline_s = time.monotonic() + timeout_s if timeout_s is not None else None

    async def once() -> "InstanceDetails | None":
        left_s = max(0.0, deadline_s - time.monotonic()) if deadline_s is not None else None
        return await client.wait_for(instance_id, until=words, timeout=left_s)

    return await patiently(once, reached=False)
