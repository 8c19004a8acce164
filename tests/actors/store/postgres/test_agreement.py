"""The store on PostgreSQL and the store in memory agree, whatever is written to both."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.actors.store.listing import ListFilter, Order
from perdure.actors.store.memory import MemoryStore
from perdure.actors.store.postgres.checking import check
from perdure.actors.store.postgres.store import PostgresStore

from ....support.actors.small_pages import small_pages
from ....support.actors.store_bench import SHARDS
from ....support.actors.stores import emptied
from ....support.postgres import PostgresServer
from ..test_agreement import batch_of, filters, listed, outcome_of, picture_of, steps

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True, scope="module")
def small_limits() -> Iterator[None]:
    with small_pages():
        yield


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(st.tuples(st.lists(steps(), min_size=1, max_size=12), st.booleans()), max_size=6),
    wanted=st.lists(filters(), min_size=2, max_size=4),
)
async def test_postgres_and_memory_agree_whatever_is_written(
    server: PostgresServer, batches: list[tuple[list[dict[str, Any]], bool]], wanted: list[ListFilter]
) -> None:
    url = await emptied(server, schema=f"conformance_{SHARDS}")
    model, store = MemoryStore(shards=SHARDS), PostgresStore(url, shards=SHARDS)
    await model.open()
    await store.open()
    try:
        keys: dict[str, int] = {}
        fences = await store.claim("host", now_us=1)
        assert await model.claim("host", now_us=1) == fences
        for steps_, restart in batches:
            # When the same batch goes into both,
            changed = dict(keys)
            writes = batch_of(steps_, changed, store)
            outcomes = [await outcome_of(each, writes, fences) for each in (model, store)]
            # then both take it or both refuse it, and look alike.
            assert outcomes[0] == outcomes[1]
            if outcomes[0] is None:
                keys = changed
            if restart:
                await store.close()
                await store.open()
                fences = await store.claim("host", now_us=1)
                await model.claim("host", now_us=1)
            assert await picture_of(store) == await picture_of(model)
        for each in wanted:
            for order in Order:
                assert await listed(store, each, order) == await listed(model, each, order)
            by = ("root", "status", "name")
            assert await store.count("wf", each, by=by) == await model.count("wf", each, by=by)
        # And the rows are sound, apart from reminders that deletions forgot on purpose.
        assert not [fault for fault in await check(url) if "reminders" not in fault]
    finally:
        await store.close()
        await model.close()
