"""A statement that does not return was refused, or is lost; only an error of the server is a refusal."""

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import anyio
import anyio.lowlevel
import asyncpg
import pytest

from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.postgres.driver import (
    ADDRESS_S,
    CHECKS_CLIENT,
    SILENT_MS,
    AsyncpgDriver,
    AsyncpgSession,
    Lost,
    Refused,
    Statement,
)
from perdure.actors.store.postgres.settings import session_settings
from perdure.actors.store.postgres.store import PostgresStore
from perdure.actors.store.postgres.url import parse_url

from ....support.postgres import PostgresServer

pytestmark = pytest.mark.anyio


async def session_of(url: str) -> AsyncpgSession:
    parsed = parse_url(url)
    session = await AsyncpgDriver(parsed).connect(session_settings(parsed, "test"))
    assert isinstance(session, AsyncpgSession)
    return session


async def test_rows_come_back_and_a_refusal_has_its_state(url: str) -> None:
    session = await session_of(url)
    assert [tuple(row) for row in await session.run(Statement("x", "SELECT $1::int, $2::text[]"), (1, ["a"]))] == [
        (1, ["a"])
    ]
    with pytest.raises(Refused) as refused:
        await session.run(Statement("x", "SELECT 1 / 0"))
    assert (refused.value.state, refused.value.passes) == ("22012", False)
    with pytest.raises(Refused):
        await session.run(Statement("x", "SELECT $1::int"), (2**70,))
    assert not session.lost
    await session.close()
    assert session.lost


async def test_a_session_that_the_server_ends_is_lost(url: str) -> None:
    session = await session_of(url)
    with pytest.raises(Lost):
        await session.run(Statement("x", "SELECT pg_terminate_backend(pg_backend_pid())"))
    assert session.lost
    with pytest.raises(Lost):
        await session.run(Statement("x", "SELECT 1"))


async def test_a_session_that_is_terminated_loses_what_is_under_way(url: str) -> None:
    session = await session_of(url)
    sleeping = asyncio.ensure_future(session.run(Statement("x", "SELECT pg_sleep(1)")))
    await anyio.sleep(0.05)
    session.terminate()
    with pytest.raises(Lost):
        await sleeping


async def test_a_server_that_is_not_there_is_no_refusal() -> None:
    with pytest.raises(Lost):
        await session_of("postgresql://postgres@127.0.0.1:1/postgres")


async def test_a_plan_that_a_migration_made_void_is_made_again(url: str) -> None:
    session = await session_of(url)
    other = await session_of(url)
    select = Statement("x", "SELECT * FROM changing")
    await session.run_together(["CREATE TABLE IF NOT EXISTS public.changing (a int)", "SET search_path = public"])
    try:
        assert await session.run(select) == []
        added = "ALTER TABLE public.changing ADD COLUMN b int"
        await other.run_together([added, "INSERT INTO public.changing VALUES (1, 2)"])
        assert [tuple(row) for row in await session.run(select)] == [(1, 2)]
    finally:
        await other.run_together(["DROP TABLE public.changing"])
        await session.close()
        await other.close()


async def test_statements_together_are_one_transaction(url: str) -> None:
    session = await session_of(url)
    with pytest.raises(Refused):
        await session.run_together(["CREATE TABLE public.half (a int)", "SELECT 1 / 0"])
    assert await session.run(Statement("x", "SELECT to_regclass('public.half')::text")) == [(None,)]
    await session.close()


async def test_a_connection_that_acknowledges_nothing_is_cut_by_the_machine(url: str) -> None:
    session = await session_of(url)
    transport = session._connection._transport
    found = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert found == SILENT_MS
    assert [tuple(row) for row in await session.run(Statement("x", "SHOW tcp_user_timeout"))] == [("5000",)]
    await session.close()


def test_without_the_driver_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(StoreFailed, match=r"pip install 'perdure\[postgres\]'"):
        AsyncpgDriver(parse_url("postgresql://h/d"))


def test_a_store_is_imported_without_the_driver() -> None:
    code = "import sys, perdure, perdure.actors.store.postgres.store; sys.exit('asyncpg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd="/").returncode == 0


class Silent:
    """A port of this machine that takes connections, and answers nothing."""

    def __enter__(self) -> int:
        self._socket = socket.create_server(("127.0.0.1", 0))
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._socket.close()


async def test_of_several_addresses_the_one_that_takes_writes_is_found_though_another_is_silent(
    server: PostgresServer, url: str
) -> None:
    with Silent() as silent:
        several = url.replace("@127.0.0.1:", f"@127.0.0.1:{silent},127.0.0.1:1,127.0.0.1:")
        began_s = anyio.current_time()
        session = await session_of(several)
        assert anyio.current_time() - began_s < ADDRESS_S
        await session.run(Statement("x", "SELECT 1"))
        await session.close()


async def test_a_server_that_only_reads_is_not_taken(own_server: PostgresServer, url: str) -> None:
    own_server.sql("ALTER SYSTEM SET default_transaction_read_only = on")
    own_server.sql("SELECT pg_reload_conf()")
    both = url.replace("@127.0.0.1:", f"@127.0.0.1:{own_server.port},127.0.0.1:")
    for _ in range(3):
        session = await session_of(both)
        ((writes,),) = await session.run(Statement("x", "SHOW transaction_read_only"))
        assert writes == "off"
        await session.close()
    with pytest.raises(Lost, match="it takes no writes: it is a standby, or default_transaction_read_only is on"):
        await session_of(own_server.url())


async def test_the_word_of_a_server_that_does_not_know_the_database_counts_at_once(server: PostgresServer) -> None:
    with Silent() as silent:
        url = f"postgresql://postgres@127.0.0.1:{silent},127.0.0.1:{server.port}/nowhere"
        with pytest.raises(Refused) as refused:
            await session_of(url)
    assert refused.value.state == "3D000"


REFUSALS = {
    "a pooler": (asyncpg.ProtocolViolationError("unsupported startup parameter: jit"), r"is a pooler.*\?prepare=off"),
    "a pooler whose server is away": (
        asyncpg.ProtocolViolationError("pgbouncer cannot connect to server"),
        "does not answer: ProtocolViolationError",
    ),
    "a certificate": (
        ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] IP address mismatch"),
        "has a certificate that this machine does not accept: .*IP address mismatch.*sslrootcert",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
async def test_a_start_says_what_is_in_the_way(what: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error, says = REFUSALS[what]

    async def connect(*_: object, **__: object) -> None:
        raise error

    store = PostgresStore(url, shards=4, patience_s=0.0)
    monkeypatch.setattr(AsyncpgDriver, "_connect_to", connect)
    with pytest.raises(StoreFailed, match=says):
        await store.open()


async def test_a_schema_may_have_a_word_of_sql_as_its_name(server: PostgresServer) -> None:
    store = PostgresStore(server.url(schema="select"), shards=4)
    await store.open()
    await store.close()
    server.sql('DROP SCHEMA "select" CASCADE')


async def test_connections_that_come_second_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[object] = []

    class Connection:
        def terminate(self) -> None:
            ended.append(self)

    async def connect(settings: object, **where: object) -> Connection:
        return Connection()

    driver = AsyncpgDriver(parse_url("postgresql://me@one,two:7,three/db"))
    monkeypatch.setattr(driver, "_connect_to", connect)
    chosen = await driver._connect_first({})
    await anyio.lowlevel.checkpoint()
    assert len(ended) == 2
    assert chosen not in ended


async def test_a_server_that_cannot_look_at_its_clients_is_taken_all_the_same(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = parse_url(url)
    driver, tried = AsyncpgDriver(parsed), []
    really = driver._connect_to

    async def connect(settings: Mapping[str, str], **where: Any) -> Any:
        tried.append(CHECKS_CLIENT in settings)
        if CHECKS_CLIENT in settings:
            raise asyncpg.InvalidParameterValueError(f'invalid value for parameter "{CHECKS_CLIENT}": 1000')
        return await really(settings, **where)

    monkeypatch.setattr(driver, "_connect_to", connect)
    for _ in range(2):
        (await driver.connect(session_settings(parsed, "test"))).terminate()
    assert tried == [True, False, False]
