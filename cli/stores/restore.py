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
    """Put BACKUP in the place of a store.

    The daemon must be stopped. BACKUP is one that `perdure store backup` has made; it is checked, copied and stays as
    it is. The files of the store that it replaces are kept, as PATH.before-1 and so on. What was acknowledged after the
    backup is not in the store any more.

    Of a store of several processes all files are put in place.
    """
    refuse_database(data, RESTORE)

    from ...actors.store.sqlite.offline import restoring  # noqa: PLC0415  `perdure store --help` needs no SQLite

    aside = restoring.restore(backup, data)
    click.echo(f"{data} is as it was in {backup}.")
    if aside is not None:
        click.echo(f"The store that was there is {aside} now.")
