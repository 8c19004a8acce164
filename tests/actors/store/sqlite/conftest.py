"""The fixtures of all tests of SQLite stores: asyncio, and the name of a file."""

from pathlib import Path

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # which aiosqlite needs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"
