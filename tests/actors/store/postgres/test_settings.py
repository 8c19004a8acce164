"""A session has the settings that a store was tried with, or the store does not open."""

import pytest

from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.postgres.driver import AsyncpgDriver, Statement
from perdure.actors.store.postgres.settings import SESSION, require_settings, session_settings
from perdure.actors.store.postgres.store import PostgresStore
from perdure.actors.store.postgres.url import parse_url

from ....support.postgres import PostgresServer

pytestmark = pytest.mark.anyio


async def test_every_setting_is_what_the_server_has(url: str) -> None:
    parsed = parse_url(url)
    session = await AsyncpgDriver(parsed).connect(session_settings(parsed, "test"))
    rows = await session.run(
        Statement("x", "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])"), (list(SESSION),)
    )
    assert {name: setting for name, setting in rows} == dict(SESSION)  # noqa: C416
    await require_settings(session, parsed)
    await session.close()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("SET synchronous_commit = off", "ALTER ROLE ... SET synchronous_commit = 'on'"),
        ("SET default_transaction_isolation = 'serializable'", "SET default_transaction_isolation = 'read committed'"),
        ("SET search_path = public", "SET search_path = 'conformance_8'"),
        ("SET statement_timeout = 1000", "SET statement_timeout = '0'"),
    ],
)
async def test_another_setting_is_refused_and_the_error_says_where_to_put_it(url: str, wrong: str, why: str) -> None:
    parsed = parse_url(url)
    session = await AsyncpgDriver(parsed).connect(session_settings(parsed, "test"))
    await session.run_together([wrong])
    with pytest.raises(StoreFailed) as failed:
        await require_settings(session, parsed)
    assert why in str(failed.value)
    session.terminate()


async def test_behind_a_pooler_the_role_has_to_have_them(server: PostgresServer) -> None:
    url = f"{server.url(schema='pooled')}&prepare=off"
    with pytest.raises(StoreFailed, match="A pooler takes no settings from sessions"):
        await PostgresStore(url, shards=4).open()
    server.sql("DROP ROLE IF EXISTS pooled; CREATE ROLE pooled LOGIN SUPERUSER")
    for name, value in {**SESSION, "search_path": "pooled"}.items():
        server.sql(f"ALTER ROLE pooled SET {name} = '{value}'")
    store = PostgresStore(url.replace("postgres@", "pooled@"), shards=4)
    await store.open()
    await store.close()


async def test_a_database_of_another_encoding_is_refused(server: PostgresServer) -> None:
    server.sql("DROP DATABASE IF EXISTS latin")
    server.sql("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with pytest.raises(StoreFailed, match="has the encoding LATIN1, and a store needs UTF8"):
        await PostgresStore(f"postgresql://postgres@127.0.0.1:{server.port}/latin", shards=4).open()
