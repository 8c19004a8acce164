"""A server on this machine is measured, and a database that was made for a run is deleted after it."""

import os
import time
from collections.abc import Callable

import psutil
import pytest

from perdure.benchmarks.drivers import database_server

from ...support.postgres import PostgresServer, installed

ServerOf = Callable[[int], PostgresServer]
needs_server = pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")


def address(server: PostgresServer) -> str:
    return server.url().partition("?")[0]


@pytest.mark.anyio
@needs_server
async def test_the_first_process_of_a_server_on_this_machine_is_found(postgres_server: ServerOf) -> None:
    server = postgres_server(max(installed()))
    pid = await database_server.pid_of_server(server.url())
    assert pid is not None
    assert str(server.data) in " ".join(psutil.Process(pid).cmdline())


def test_a_process_that_only_has_the_number_is_no_server() -> None:
    # The backend's process number on another machine may be that of an unrelated process here.
    assert database_server.parent_of(os.getpid(), time.time() + 3600) is None
    assert database_server.parent_of(2**22 + 1, 0.0) is None


@pytest.mark.anyio
@needs_server
async def test_a_fresh_database_is_empty_and_is_gone_afterwards(postgres_server: ServerOf) -> None:
    server = postgres_server(max(installed()))
    async with database_server.fresh_database(address(server)) as made:
        assert made != address(server)
        async with database_server.session_with(made) as session:
            await session.run_together(["CREATE TABLE t (a int)"])
        assert server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'bench_%'") == "1"
    assert server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'bench_%'") == "0"


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        ("postgresql://me@h:5/d", "postgresql://me@h:5/b"),
        ("postgresql://h/d?schema=s&sslmode=require", "postgresql://h/b?sslmode=require"),
        ("postgresql://me@/d?host=/var/run&prepare=off", "postgresql://me@/b?host=%2Fvar%2Frun"),
    ],
)
def test_the_address_of_another_database_has_what_every_driver_reads(database: str, expected: str) -> None:
    assert database_server.address_of("b", database).replace("host=/var/run", "host=%2Fvar%2Frun") == expected


@pytest.mark.parametrize(
    "data", ["postgresql://me:secret@h/d", "postgresql://h/d?password=secret", "mysql://h/d", "folder"]
)
def test_an_address_with_a_password_and_what_is_none_are_refused(data: str) -> None:
    with pytest.raises(ValueError, match=r"PGPASSWORD|not the address"):
        database_server.check_address(data)
