"""`perdure store rotate-keys`: the newest authority signs, the one before is trusted still, and the oldest is gone."""

from collections.abc import Callable

import anyio
import pytest
from click.testing import CliRunner, Result

from perdure.actors.cluster.transport.certificates import AUTHORITIES, Authority, authorities_in, make_secret
from perdure.actors.store.postgres.cluster_store import PostgresClusterStore
from perdure.cli.main import main

from ...support.postgres import PostgresServer, installed


def rotate(data: str) -> Result:
    return CliRunner().invoke(main, ["store", "rotate-keys", "--data", data])


def authorities(url: str) -> list[Authority]:
    async def read() -> bytes:
        store = PostgresClusterStore(url)
        await store.open()
        try:
            return await store.secret(AUTHORITIES, make_secret)
        finally:
            await store.close()

    return authorities_in(anyio.run(read))


@pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")
def test_each_rotation_makes_an_authority_and_the_one_before_is_kept(
    postgres_server: Callable[[int], PostgresServer],
) -> None:
    url = postgres_server(max(installed())).url()
    [first] = authorities(url)
    assert "has new keys" in rotate(url).output
    second, kept = authorities(url)
    assert kept == first
    assert rotate(url).exit_code == 0
    third, kept = authorities(url)
    assert kept == second
    assert len({first, second, third}) == 3


def test_a_file_has_no_keys() -> None:
    refused = rotate("x.db")
    assert refused.exit_code == 1
    assert "Only a store on PostgreSQL has some" in refused.output


def test_a_database_that_is_not_there_is_told_in_a_sentence() -> None:
    refused = rotate("postgresql://me@127.0.0.1:1/orders")
    assert refused.exit_code == 1
    assert refused.output.startswith("Error: ")
    assert "127.0.0.1:1/orders" in refused.output
