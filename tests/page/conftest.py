"""A real browser, and daemons with something to see."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..support.processes.daemon import Daemon
from .browsing import Visitor, browser_or_skip
from .stores import many_instances, seeded

SHOP = Path(__file__).with_name("shop.py")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with browser_or_skip() as browser:
        yield browser


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon whose instances have ended in all ways, and wait for all kinds of things."""
    with Daemon(SHOP, tmp_path_factory.mktemp("shop") / "perdure.db") as daemon:
        seeded(daemon)
        yield daemon


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 100 000 instances, one of which has a history of 50 000 events, and one a result of 5 MB."""
    path = tmp_path_factory.mktemp("many") / "perdure.db"
    many_instances(path)
    return path


@pytest.fixture
def visitor(browser: Any, shop: Daemon) -> Iterator[Visitor]:
    """A visitor with a browser who looks at the shop."""
    with Visitor(browser, shop.url) as visitor:
        yield visitor
