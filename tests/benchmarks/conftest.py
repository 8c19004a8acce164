"""What the tests of the benchmarks share: the loop that their drivers are written for."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
