"""A server for each story, whose log can be decoded."""

from collections.abc import Iterator

import pytest

from ..support.postgres import PostgresServer, PostgresServers, installed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = __name__.rpartition(".")[0]
    for item in items:
        if item.nodeid.startswith("tests/chaos/") or here in item.nodeid:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here"))


@pytest.fixture
def server(postgres_servers: PostgresServers) -> Iterator[PostgresServer]:
    server = postgres_servers.new(wal_level="logical")
    try:
        server.start()
        yield server
    finally:
        server.close()
