"""A statement that does not return was refused, or is lost; and nothing but the server's word is a refusal."""

import asyncio
import socket
import subprocess
import sys

import anyio
import pytest

from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.postgres.driver import SILENT_MS, AsyncpgDriver, AsyncpgSession, Lost, Refused, Statement
from perdure.actors.store.postgres.settings import session_settings
from perdure.actors.store.postgres.url import parse_url

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
