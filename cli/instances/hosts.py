"""`perdure hosts`: lists the processes that form one daemon, on one machine or on several.

The rule: every host answers for all. Facts of a host that does not answer are empty, never guessed.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from .connection import Where, ask, daemon_command
from .options import output_option
from .output import age, show_ids, show_json, span, table

if TYPE_CHECKING:
    from ...api.management.overview import HostList, HostView
    from ...client.remote_client import RemoteClient

COLUMNS = ("NAME", "STATE", "MACHINE", "VERSION", "SHARDS", "IN MEMORY", "TURNS", "WORKERS", "RUNS FOR")
WIDE = (*COLUMNS, "PID", "ADDRESS", "BEAT", "SILENT", "KILLS", "COMMITS", "PASSED ON", "LACKS", "AWAITING")


@daemon_command(
    output_option("-o", "--output", help="The form of the output; wide has addresses and beats; ids is a name a line."),
    example="perdure hosts -o wide",
)
def hosts(where: Where, output: str) -> None:
    """List the hosts of a daemon, with their shards and their states.

    A daemon of several machines on one database has a host for each process. IN MEMORY counts the loaded instances,
    TURNS the turns since the host began, and WORKERS the SDK workers that are connected to the host; they work for all
    hosts.
    """

    async def work(client: "RemoteClient") -> None:
        found = await client.report("hosts")
        if output == "json":
            show_json(found)
        elif output == "ids":
            show_ids(each.name for each in found.items)
        else:
            click.echo(table_of(found, datetime.now(UTC), wide=output == "wide"))
            if found.free:
                click.echo(f"{found.free} of {found.shards} shards have no owner now.", err=True)

    ask(where, work)


def table_of(found: "HostList", now: datetime, *, wide: bool) -> str:
    """Format hosts as a table, one a line."""
    return table(WIDE if wide else COLUMNS, [row(each, now, wide=wide) for each in found.items])


def row(host: "HostView", now: datetime, *, wide: bool) -> tuple[object, ...]:
    """Return a row of the table of hosts."""
    began = age(host.began, now) if host.began is not None else None
    shown = (
        *(host.name, state(host), host.machine, host.version, host.shards, host.activations, host.turns),
        *(host.workers, began),
    )
    if not wide:
        return shown
    silent = span(host.silent) if host.silent is not None else None
    lacks = len(host.lacks) if host.lacks is not None else None
    return (
        *(*shown, host.pid, host.address, host.beat, silent, host.kills, host.commits, host.passed_on),
        *(lacks, host.awaiting),
    )


def state(host: "HostView") -> str:
    """Return the state of a host in a word."""
    if host.state is not None and (host.state != "serving" or host.ready):
        return host.state
    return "ready" if host.ready else "away"
