"""`perdure store`: checks, copies, restores and lays out stores, and acts on their instances.

The rule: a command never overwrites a file. `actors/store/sqlite/maintenance.py` and `actors/store/sqlite/layout.py` do
the work; the commands on instances are in `cli/stores/instances.py`, and others in `cli/stores/`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..actors.errors import PerdureError
from ..actors.store.postgres.url import is_url, without_password
from ..daemon.config import RUN_FLAGS
from ..daemon.hints import explain
from .run_flags import STORE_OPTION
from .stores.copy import copy
from .stores.databases import BACKUP, SPREAD, VACUUM, check_database, refuse_database
from .stores.instances import INSTANCE_COMMANDS
from .stores.keys import rotate_keys
from .stores.restore import restore

if TYPE_CHECKING:
    from ..actors.address import Address
    from ..actors.store.contract import Stored


class StoreGroup(click.Group):
    """A group whose commands end with a sentence if a store, or its address, cannot be used."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error of Perdure is printed as a sentence, with the flag that corrects it."""
        try:
            return super().invoke(ctx)
        except PerdureError as error:
            raise click.ClickException(explain(error, RUN_FLAGS)) from None


@click.group(cls=StoreGroup)
def store() -> None:
    """Check, copy and repair a store."""


store.add_command(restore)
store.add_command(copy)
store.add_command(rotate_keys)


@store.command(params=[STORE_OPTION])
def check(data: str) -> None:
    """Say whether a store is sound.

    Reads every page and every table, and compares tables that depend on each other, for example the timers of each
    instance with its history. A daemon may use the store meanwhile. Of a store of several processes, all files are
    read. If there are errors, they are listed, and the exit code is 1. Of a store on PostgreSQL only the rows are
    checked; PostgreSQL's own programs check the pages (pg_amcheck).
    """
    from ..actors.store.sqlite import maintenance  # noqa: PLC0415  `perdure store --help` needs no SQLite
    from ..actors.store.tables.expected import Expected  # noqa: PLC0415  as above
    from ..runtime.operations.reading.expected import timers_and_work  # noqa: PLC0415  as above

    def expect(address: "Address", stored: "Stored") -> Expected | None:
        found = timers_and_work(address, stored)
        return Expected(*found) if found is not None else None

    faults = check_database(data, expect) if is_url(data) else maintenance.check(data, expect)
    if faults:
        shown = "\n".join((f"{without_password(data)} is not sound:", *(f"  {fault}" for fault in faults)))
        raise click.ClickException(shown)
    click.echo(f"{without_password(data)} is sound.")


@store.command(params=[click.Argument(["file"], type=click.Path(path_type=Path)), STORE_OPTION])
def backup(file: Path, data: str) -> None:
    """Copy a store to FILE.

    FILE must not exist. The copy has the state of the store at one moment; a daemon may use the store meanwhile. To
    return to this state, stop the daemon and call `perdure store restore FILE`.

    A store of several processes is copied to FILE, FILE.1, FILE.2 and so on. While a daemon writes to these files they
    cannot be copied at the same moment, so the daemon must be stopped.
    """
    refuse_database(data, BACKUP)

    from ..actors.store.sqlite import maintenance  # noqa: PLC0415  as above

    maintenance.backup(data, file)
    click.echo(f"{data} is copied to {file}.")


@store.command(
    params=[
        click.Argument(["new"], type=click.Path(path_type=Path)),
        STORE_OPTION,
        click.Option(
            ["--processes"],
            type=click.IntRange(min=1),
            metavar="N",
            required=True,
            help="How many processes the daemon will have.",
        ),
    ]
)
def spread(new: Path, data: str, processes: int) -> None:
    """Copy a store to NEW, with a file for each of N processes.

    The daemon must be stopped. The new store is NEW, NEW.1, NEW.2 and so on, of which none may exist; the old one does
    not change. Then start the daemon with --data NEW --processes N. Never start a daemon on the old store again: the
    work under way would be done twice.
    """
    refuse_database(data, SPREAD)

    from ..actors.store.sqlite import layout  # noqa: PLC0415  as above

    layout.spread(data, new, parts=processes)
    click.echo(f"{data} is copied for --processes {processes} at {new}.")


@store.command(params=[STORE_OPTION])
def vacuum(data: str) -> None:
    """Give the space of deleted rows back to the disk.

    The daemon must be stopped. SQLite uses the pages of purged instances again for new ones, and its files never
    shrink by themselves. All rows are written again; that takes about a second for each 100 MB, and free space of twice
    the size of the store. A crash meanwhile leaves the store unchanged.

    For example: perdure store vacuum --data perdure.db
    """
    refuse_database(data, VACUUM)

    from ..actors.store.sqlite.offline import vacuuming  # noqa: PLC0415  as above

    for path, before, after in vacuuming.vacuum(data):
        click.echo(f"{path} had {before:,} bytes, and has {after:,} now.")


for command in INSTANCE_COMMANDS:
    store.add_command(command)
