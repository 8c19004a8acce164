"""A session has the settings with which stores were tested, or the store does not open."""

import asyncio
import time

import pytest

from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.postgres.cluster_store import PostgresClusterStore
from perdure.actors.store.postgres.driver import AsyncpgDriver, Lost, Refused, Statement
from perdure.actors.store.postgres.settings import SESSION, figures_of, require_settings, session_settings, why_closed
from perdure.actors.store.postgres.store import PostgresStore
from perdure.actors.store.postgres.url import parse_url

from ....chaos.standby import paired
from ....support.cutting_proxy import cutting_proxy
from ....support.postgres import PostgresServer, PostgresServers, installed

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


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Lost("connection refused"), "db does not answer: connection refused"),
        (Refused("08P01", "unsupported startup parameter: x"), "db is a pooler, which takes no settings from sessions"),
        (Refused("28P01", "password authentication failed"), "db does not let this user in: password"),
        (Refused("22023", "CERTIFICATE_VERIFY_FAILED: self-signed"), "db has a certificate that this machine does not"),
        (Refused("22023", "invalid port"), "db cannot be an address of a database: invalid port"),
        (Refused("3D000", 'database "x" does not exist'), 'db is not there: database "x" does not exist. Make it:'),
        (
            Refused("42501", "permission denied"),
            "db does not allow this user to make the tables of a store: permission",
        ),
        (Refused("53300", "too many clients"), "db cannot be opened: too many clients (SQLSTATE 53300)"),
    ],
)
async def test_a_store_that_cannot_be_opened_says_why(error: Exception, why: str) -> None:
    assert why_closed("db", error).startswith(why)


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


# The settings that a server reports.

AHEAD_US = 3_600_000_000


def an_hour_ahead() -> int:
    return time.time_ns() // 1000 + AHEAD_US


async def test_a_clock_is_compared_with_the_servers_and_who_follows_it_is_counted(server: PostgresServer) -> None:
    parsed = parse_url(server.url(schema="public"))
    session = await AsyncpgDriver(parsed).connect(session_settings(parsed, "test"))
    found = await figures_of(session, an_hour_ahead)
    assert abs(found.clock_offset_s - AHEAD_US / 1e6) < 60
    assert (found.followers, found.lags) == (0, [])
    # A program that keeps a copy of the log replays nothing, so its position in a replay is unknown.
    with server.standby():
        assert (await figures_of(session, an_hour_ahead)).followers == 1
    session.terminate()


async def test_a_standby_tells_how_far_it_is_behind_to_those_who_may_know(postgres_servers: PostgresServers) -> None:
    with paired(postgres_servers, max(installed())) as pair:
        parsed = parse_url(pair.old.url(schema="public"))
        session = await AsyncpgDriver(parsed).connect(session_settings(parsed, "test"))
        while (found := await figures_of(session, an_hour_ahead)).lags[0].behind_bytes:
            await asyncio.sleep(0.05)
        assert (found.followers, found.lags[0].behind_s) == (1, 0.0)
        # It gets the whole log, and replays none of it.
        pair.copy.sql("SELECT pg_wal_replay_pause()")
        pair.old.sql("CREATE TABLE more AS SELECT generate_series(1, 1000)")
        while not (found := await figures_of(session, an_hour_ahead)).lags[0].behind_bytes:
            await asyncio.sleep(0.05)
        assert found.lags[0].name == "walreceiver"
        pair.old.sql("CREATE ROLE plain LOGIN")
        other = parse_url(pair.old.url(schema="public", user="plain"))
        plain = await AsyncpgDriver(other).connect(session_settings(other, "test"))
        found = await figures_of(plain, an_hour_ahead)
        assert (found.followers, found.lags) == (1, [])
        for each in (session, plain):
            each.terminate()


async def test_a_server_that_does_not_answer_has_no_figures_and_delays_no_scrape(server: PostgresServer) -> None:
    async with cutting_proxy(server.port) as proxy:
        store = PostgresClusterStore(server.url().replace(f":{server.port}/", f":{proxy.port}/"))
        await store.open()
        assert await store.figures() is not None
        proxy.refuses = True
        began = time.monotonic()
        assert await store.figures() is None
        assert time.monotonic() - began < 30
        proxy.refuses = False
        await store.close()
