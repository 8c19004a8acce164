"""Which commands of `perdure store` work on a store on a database, and which of the database's programs do the rest.

The rule: a command that is about files says so, and names the program that does the same for a database.
`cli/store.py` and `cli/stores/restore.py` ask here.
"""

from typing import TYPE_CHECKING

import click

from ...actors.store.postgres.url import is_url, parse_url, without_password

if TYPE_CHECKING:
    from ...actors.store.tables.expected import Expect

# The command to use instead, by command. {schema} is where the tables are.
BACKUP = (
    "Back it up with the server, or with `pg_dump --format=custom --schema={schema}`. A daemon may go on working; the "
    "dump is of one moment"
)
RESTORE = (
    "Stop the daemon, drop the schema, and call `pg_restore --dbname=...` with a dump, or restore the server. What was "
    "acknowledged after the backup is not in the store then"
)
SPREAD = "It has no files to lay out. `perdure store copy` makes a store of another kind of it"
VACUUM = "The server gives space back by itself (autovacuum); `VACUUM FULL` returns it to the disk"


def refuse_database(data: str, instead: str) -> None:
    """Refuse a command that is about files.

    Raises:
        click.ClickException: The store is on a database; it says what to do.
    """
    if is_url(data):
        schema = parse_url(data).schema
        raise click.ClickException(f"{without_password(data)} is on PostgreSQL. {instead.format(schema=schema)}.")


def check_database(data: str, expect: "Expect") -> list[str]:
    """Check a store on a database; a sentence for each fault."""
    import anyio  # noqa: PLC0415  `perdure store --help` needs no loop

    from ...actors.store.postgres.checking import check  # noqa: PLC0415  as above

    return anyio.run(check, data, expect)
