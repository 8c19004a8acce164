"""One daemon for all tests of the client: each has ids of its own."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

import perdure
from perdure.client.remote_client import RemoteClient

from ..support.processes.daemon import Daemon
from ..support.processes.shop import TOKEN, shop


@pytest.fixture
def anyio_backend() -> str:
    """The client is anyio's; one story in `test_connect.py` is told on trio too."""
    return "asyncio"


@pytest.fixture(scope="package")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with shop(tmp_path_factory.mktemp("client")) as daemon:
        yield daemon


@pytest.fixture
async def client(daemon: Daemon) -> AsyncIterator[RemoteClient]:
    async with perdure.connect(daemon.url, token=TOKEN) as client:
        yield client


@pytest.fixture
def new_id() -> str:
    """An id that no other test has."""
    return f"i-{uuid4()}"
