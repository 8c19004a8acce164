"""The stores that keep the contract: each test of a conformance suite runs against every one of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from perdure.actors.store.part import WHOLE, Part

from ...support.actors.store_bench import PART, SHARDS, Bench
from ...support.actors.stores import ALL_STORES, ServerOf, Variant, make_store


@pytest.fixture(params=ALL_STORES, ids="-".join)
def variant(request: pytest.FixtureRequest) -> Variant:
    variant: Variant = request.param
    return variant


@pytest.fixture
def part(variant: Variant) -> Part:
    return PART if variant[0].endswith("part") else WHOLE


@pytest.fixture
async def bench(variant: Variant, part: Part, tmp_path: Path, postgres_server: ServerOf) -> AsyncIterator[Bench]:
    store = await make_store(variant, tmp_path, postgres_server, shards=SHARDS, part=part)
    await store.open()
    bench = Bench(store)
    await bench.claim()
    yield bench
    await store.close()
