"""One daemon for all tests of the client: each test has its own ids."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

import perdure
from perdure import Engine, Settings
from perdure.client.management_client import ManagementClient

from ..support.processes.daemon import Daemon
from ..support.processes.shop import TOKEN, shop
from ..support.processes.shop_app import app

# The person and the door of a change, as in the audit.
Author = tuple[str, str]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


@pytest.fixture(scope="package")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with shop(tmp_path_factory.mktemp("client")) as daemon:
        yield daemon


@pytest.fixture(params=["daemon", "engine"])
def where(request: pytest.FixtureRequest) -> str:
    """The daemon or engine whose instances the client sees."""
    where: str = request.param
    return where


@pytest.fixture
async def client(where: str, request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[ManagementClient]:
    """Each kind of client."""
    if where == "engine":
        async with Engine(app, data=":memory:", settings=settings) as engine:
            yield engine.client
    else:
        async with perdure.connect(request.getfixturevalue("daemon").url, token=TOKEN) as client:
            yield client


@pytest.fixture
def author(where: str) -> Author:
    return ("embedded", "embedded") if where == "engine" else ("ada", "api")


@pytest.fixture
def new_id() -> str:
    """An id that no other test has."""
    return f"i-{uuid4()}"
