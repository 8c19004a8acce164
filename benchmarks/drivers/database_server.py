"""The PostgreSQL server of a measured database: its address, its processes, and fresh databases for peers.

The rule: the usage of a server on this machine is counted, apart from the engine's. For a server elsewhere no usage is
reported.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit
from uuid import uuid4

from ...actors.store.postgres.driver import AsyncpgDriver, DatabaseSession, Statement
from ...actors.store.postgres.url import is_url, parse_url

NAME = {"application_name": "perdure bench"}
WHO = Statement("who", "SELECT pg_backend_pid(), extract(epoch FROM pg_postmaster_start_time())::float8")
# On this machine both use the same clock; times of processes have ticks of 10 ms.
SAME_START_S = 2.0


def check_address(data: str) -> str:
    if not is_url(data):
        raise ValueError(f"{data!r} is not the address of a PostgreSQL database")
    if urlsplit(data).password is not None or "password=" in data:
        raise ValueError("leave the password out, and set PGPASSWORD: results name the address")
    return data


@asynccontextmanager
async def session_with(database: str) -> AsyncIterator[DatabaseSession]:
    session = await AsyncpgDriver(parse_url(database)).connect(NAME)
    try:
        yield session
    finally:
        await session.close()


async def pid_of_server(database: str) -> int | None:
    """The first process of a database's server, the parent of all others; None if it is not on this machine."""
    async with session_with(database) as session:
        ((backend, started_s),) = await session.run(WHO)
        return parent_of(backend, started_s)


def parent_of(backend: int, started_s: float) -> int | None:
    """The parent of a process, if it is the server that started at this time (Unix time, seconds)."""
    import psutil  # noqa: PLC0415  the extra

    try:
        parent = psutil.Process(backend).parent()
        if parent is not None and abs(parent.create_time() - started_s) < SAME_START_S:
            return parent.pid
    except psutil.Error:  # no such process, or no permission to see it
        pass
    return None


@asynccontextmanager
async def fresh_database(database: str) -> AsyncIterator[str]:
    """Yield the address of a new database on the server of another one, and drop it at the end.

    Args:
        database: The address of a database whose user may make databases.
    """
    name = f"bench_{uuid4().hex[:12]}"
    async with session_with(database) as session:
        await session.run(Statement("create database", f"CREATE DATABASE {name}"))
    try:
        yield address_of(name, database)
    finally:
        async with session_with(database) as session:
            await session.run(Statement("drop database", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def address_of(name: str, database: str) -> str:
    """The address of another database on the same server, without Perdure's own parameters."""
    split = urlsplit(parse_url(database).dsn)
    query = urlencode(parse_qsl(split.query), quote_via=quote)
    return urlunsplit(split._replace(path=f"/{name}", query=query))
