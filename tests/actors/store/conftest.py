"""The stores that keep the contract: each test of a conformance suite runs against every one of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from perdure.actors.store.contract import Store
from perdure.actors.store.memory import MemoryStore
from perdure.actors.store.part import WHOLE, Part
from perdure.actors.store.sqlite.store import SqliteStore

from ...support.actors.store_bench import PART, SHARDS, Bench


# SQLite needs asyncio; the memory store must not.
@pytest.fixture(
    params=[
        *(("memory", "asyncio"), ("memory", "trio"), ("sqlite", "asyncio")),
        *(("memory part", "asyncio"), ("sqlite part", "asyncio")),
    ],
    ids="-".join,
)
def variant(request: pytest.FixtureRequest) -> tuple[str, str]:
    variant: tuple[str, str] = request.param
    return variant


@pytest.fixture
def part(variant: tuple[str, str]) -> Part:
    return PART if variant[0].endswith("part") else WHOLE


@pytest.fixture
async def bench(variant: tuple[str, str], part: Part, tmp_path: Path) -> AsyncIterator[Bench]:
    store: Store = MemoryStore(shards=SHARDS, part=part)
    if variant[0].startswith("sqlite"):
        store = SqliteStore(tmp_path / "store.db", shards=SHARDS, part=part)
    await store.open()
    bench = Bench(store)
    await bench.claim()
    yield bench
    await store.close()
