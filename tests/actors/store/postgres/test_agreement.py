"""The store on PostgreSQL and the store in memory agree after any writes to both."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from perdure.actors.store.listing import ListFilter
from perdure.actors.store.postgres.checking import check
from perdure.actors.store.postgres.store import PostgresStore

from ....support.actors.small_pages import small_pages
from ....support.actors.store_bench import SHARDS
from ....support.actors.stores import emptied
from ....support.examples import examples
from ....support.postgres import PostgresServer
from ..test_agreement import Batches, agree, some_batches, some_filters

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True, scope="module")
def small_limits() -> Iterator[None]:
    with small_pages():
        yield


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=some_batches, wanted=some_filters)
async def test_postgres_and_memory_agree_whatever_is_written(
    server: PostgresServer, batches: Batches, wanted: list[ListFilter]
) -> None:
    url = await emptied(server, schema=f"conformance_{SHARDS}")
    await agree(PostgresStore(url, shards=SHARDS), batches, wanted)
    # The rows are sound, apart from reminders that deletions forgot on purpose.
    assert not [fault for fault in await check(url) if "reminders" not in fault]
