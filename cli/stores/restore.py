"""`perdure store restore`: replaces a store by a backup.

The rule: as for all of `perdure store`, no file is overwritten. `actors/store/sqlite/offline/restoring.py` does
the work.
"""

from pathlib import Path

import click

from ..run_flags import STORE_OPTION
from .databases import RESTORE, refuse_database


@click.command(params=[click.Argument(["backup"], type=click.Path(path_type=Path)), STORE_OPTION])
def restore(backup: Path, data: str) -> None:
    """Replace a store by BACKUP.

    The daemon must be stopped. BACKUP is a file that `perdure store backup` has made; it is checked and copied, and
    does not change. The replaced files are kept as PATH.before-1 and so on. Work that was acknowledged after the backup
    is not in the restored store.

    Of a store of several processes all files are replaced.
    """
    refuse_database(data, RESTORE)

    from ...actors.store.sqlite.offline import restoring  # noqa: PLC0415  `perdure store --help` needs no SQLite

    aside = restoring.restore(backup, data)
    click.echo(f"{data} is restored from {backup}.")
    if aside is not None:
        click.echo(f"The replaced store is kept as {aside}.")
