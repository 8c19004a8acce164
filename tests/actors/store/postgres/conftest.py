"""Stores on the newest PostgreSQL of this machine; the conformance suites run on every release."""

from collections.abc import AsyncIterator

import pytest

from perdure.actors.store.postgres.store import PostgresStore

from ....support.actors.store_bench import SHARDS, Bench
from ....support.actors.stores import ServerOf, emptied
from ....support.postgres import PostgresServer, installed

NEWEST = max(installed(), default=0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server(postgres_server: ServerOf) -> PostgresServer:
    return postgres_server(NEWEST)


@pytest.fixture
async def url(server: PostgresServer) -> str:
    """The address of an empty store."""
    return await emptied(server, schema=f"conformance_{SHARDS}")


@pytest.fixture
async def bench(url: str) -> AsyncIterator[Bench]:
    """An open store."""
    bench = Bench(PostgresStore(url, shards=SHARDS, patience_s=5))
    await bench.store.open()
    await bench.claim()
    yield bench
    await bench.store.close()
