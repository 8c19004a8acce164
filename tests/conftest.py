"""What all tests share: the always-replay switch and fresh engines."""

import pytest

from perdure import Settings


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--always-replay",
        action="store_true",
        help="evict every instance after each turn, so that each turn starts from the store",
    )


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Settings:
    """Settings for an engine under test; those of production, but for a short grace and the switch above."""
    return Settings(always_replay=request.config.getoption("--always-replay"), stop_grace_s=1.0)
