"""The common setting of the tests of the benchmarks: the event loop that their drivers are written for."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
