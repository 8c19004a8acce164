"""`perdure store`: look after a store, running or not."""

from pathlib import Path
from typing import NoReturn

import click

from ..actors.errors import PerdureError
from .config import DATA_OPTION


@click.group()
def store() -> None:
    """Look after a store."""


@store.command(params=[DATA_OPTION])
def check(data: str) -> None:
    """Say whether the file is sound: its pages, its tables, and what they say of each other.

    A daemon may go on working on it meanwhile. Exits with 1 when something is wrong.
    """
    from ..actors.store.maintenance import check as find_faults  # noqa: PLC0415  only this command needs SQLite

    require(data)
    try:
        faults = find_faults(data)
    except PerdureError as error:
        fail(error)
    if faults:
        click.echo(f"{data} is not sound:", err=True)
        for fault in faults:
            click.echo(f"  {fault}", err=True)
        raise SystemExit(1)
    click.echo(f"{data} is sound.")


@store.command(params=[click.Argument(["file"], type=click.Path(path_type=Path)), DATA_OPTION])
def backup(file: Path, data: str) -> None:
    """Copy the store to FILE, which must not exist, while a daemon may go on working on it.

    The copy is the store as it was at one moment. To go back to it, stop the daemon and put it in the store's place.
    """
    from ..actors.store.maintenance import backup as copy_store  # noqa: PLC0415  only this command needs SQLite

    require(data)
    if file.exists():
        raise click.ClickException(f"{file} exists already; a backup does not overwrite.")
    try:
        copy_store(data, str(file))
    except (PerdureError, OSError) as error:
        fail(error)
    click.echo(f"{data} is copied to {file}.")


def require(data: str) -> None:
    """Refuse a path with no file, which SQLite would create."""
    if not Path(data).is_file():
        raise click.ClickException(f"there is no store at {data}. Name one with --data.")


def fail(error: Exception) -> NoReturn:
    raise click.ClickException(str(error)) from None
