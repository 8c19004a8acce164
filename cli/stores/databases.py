"""The commands of `perdure store` for a store on a database, and the database's programs in place of the others.

The rule: a command for files refuses a database, and names the program that does the same for a database.
`cli/store.py` and `cli/stores/restore.py` use it.
"""

from typing import TYPE_CHECKING

import click

from ...actors.store.postgres.url import is_url, parse_url, without_password

if TYPE_CHECKING:
    from ...actors.store.tables.expected import Expect

# The replacement for each command. {schema} is the schema of the tables.
BACKUP = (
    "Back it up with the server, or with `pg_dump --format=custom --schema={schema}`. A daemon may use the store "
    "meanwhile; the dump has the state of one moment"
)
RESTORE = (
    "Stop the daemon, drop the schema, and call `pg_restore --dbname=...` with a dump, or restore the server. Work "
    "that was acknowledged after the backup is not in the restored store"
)
SPREAD = "It has no files. `perdure store copy` copies it into one"
VACUUM = "The server gives space back by itself (autovacuum); `VACUUM FULL` returns it to the disk"


def refuse_database(data: str, instead: str) -> None:
    """Refuse a database for a command that works on files.

    Raises:
        click.ClickException: The store is on a database; the message says what to do.
    """
    if is_url(data):
        schema = parse_url(data).schema
        raise click.ClickException(f"{without_password(data)} is on PostgreSQL. {instead.format(schema=schema)}.")


def check_database(data: str, expect: "Expect") -> list[str]:
    """Check a store on a database. Returns a sentence for each fault."""
    import anyio  # noqa: PLC0415  `perdure store --help` needs no loop

    from ...actors.store.postgres.checking import check  # noqa: PLC0415  as above

    return anyio.run(check, data, expect)
