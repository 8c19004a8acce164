"""`perdure store rotate-keys`: makes a new authority for the certificates of the hosts that share a store.

The rule: running hosts go on, and trust the new authority as soon as they see it. Certificates of the previous
authority are trusted until the next rotation.
"""

import click

from ...actors.store.postgres.url import is_url, without_password
from ..run_flags import STORE_OPTION

PATIENCE_S = 10.0


@click.command("rotate-keys", params=[STORE_OPTION])
def rotate_keys(data: str) -> None:
    """Make new keys for the connections between hosts.

    Hosts that share a PostgreSQL database recognise each other by certificates that the store signs. After this command
    a host that starts has a certificate with new keys, and hosts with older certificates still reach it. To make leaked
    certificates invalid: rotate the keys, restart all hosts one after the other, rotate the keys again, and restart all
    hosts once more.

    For example: perdure store rotate-keys --data postgresql://me@db.example.com/orders
    """
    if not is_url(data):
        raise click.ClickException(
            f"{data} is a file: its hosts are on one machine, and have no keys. Only a store on PostgreSQL has some."
        )
    import anyio  # noqa: PLC0415  `perdure store --help` needs no loop

    try:
        anyio.run(_rotate, data)
    except ModuleNotFoundError:
        raise click.ClickException("the package cryptography is missing: pip install 'perdure[postgres]'") from None
    except ValueError as error:  # this release does not know the secret's form; the error says what to do
        raise click.ClickException(str(error)) from None
    click.echo(f"{without_password(data)} has new keys. Hosts use them from their next start on.")


async def _rotate(data: str) -> None:
    from ...actors.cluster.transport import certificates  # noqa: PLC0415  needs `perdure[postgres]`
    from ...actors.store.postgres.cluster_store import PostgresClusterStore  # noqa: PLC0415  as above

    store = PostgresClusterStore(data, patience_s=PATIENCE_S)
    await store.open()
    try:
        secret = await store.secret(certificates.AUTHORITIES, certificates.make_secret)
        await store.replace_secret(certificates.AUTHORITIES, certificates.with_new_authority(secret))
    finally:
        await store.close()
