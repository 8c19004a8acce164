"""`perdure store`: look after a store, whether a daemon is using it or not."""

from pathlib import Path

import click

from ..actors.errors import PerdureError
from .config import DATA_OPTION


@click.group()
def store() -> None:
    """Look after a store."""


@store.command(params=[DATA_OPTION])
def check(data: str) -> None:
    """Say whether a store is sound.

    Reads every page and every table, and compares what they say of each other. A daemon may go on working meanwhile.
    What is wrong is listed, and the exit code is 1 then.
    """
    from ..actors.store import maintenance  # noqa: PLC0415  `perdure store --help` needs no SQLite

    try:
        faults = maintenance.check(data)
    except PerdureError as error:
        raise click.ClickException(str(error)) from None
    if faults:
        raise click.ClickException("\n".join((f"{data} is not sound:", *(f"  {fault}" for fault in faults))))
    click.echo(f"{data} is sound.")


@store.command(params=[click.Argument(["file"], type=click.Path(path_type=Path)), DATA_OPTION])
def backup(file: Path, data: str) -> None:
    """Copy a store to FILE.

    FILE must not exist. It will hold the store as it was at one moment; a daemon may go on working meanwhile. To go
    back to it, stop the daemon and start it with --data FILE.
    """
    from ..actors.store import maintenance  # noqa: PLC0415

    try:
        maintenance.backup(data, file)
    except PerdureError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{data} is copied to {file}.")
