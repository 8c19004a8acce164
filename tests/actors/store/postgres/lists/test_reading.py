"""A page of a list goes along an index, and examines a bounded number of actors; the conformance suite reads pages."""

from collections.abc import Iterator

import pytest

from perdure.actors.address import Address
from perdure.actors.store.listing import Facets, ListFilter, Order
from perdure.actors.store.postgres.driver import AsyncpgDriver, Statement
from perdure.actors.store.postgres.lists.query import PostgresQuery, numbered
from perdure.actors.store.postgres.settings import session_settings
from perdure.actors.store.postgres.url import parse_url

from .....support.actors.small_pages import small_pages
from .....support.actors.store_bench import Bench, write

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def small_limits() -> Iterator[None]:
    with small_pages():
        yield


def facets(i: int) -> Facets:
    parent = "00" if i % 7 == 0 else None
    return Facets("AB"[i % 2], "RCF"[i % 3], i, 100 - i, None, parent, (("k", f"{i % 3}"),))


@pytest.fixture
async def filled(bench: Bench) -> Bench:
    """Thirty actors of six kinds, in the order of their creation."""
    await bench.commit(
        *(
            write(
                bench.store.new_key(),
                Address("wf", f"{i:02}"),
                record=b"r",
                active=i % 2 == 0,
                facets=Facets(
                    "AB"[i % 2], "RCF"[i % 3], i, 100 - i, None, "00" if i % 7 == 0 else None, (("k", f"{i % 3}"),)
                ),
            )
            for i in range(30)
        )
    )
    return bench


@pytest.mark.parametrize("order", list(Order))
async def test_short_pages_have_all_together(filled: Bench, order: Order) -> None:
    for wanted, expected in (
        (ListFilter(), range(30)),
        (ListFilter(statuses=frozenset("R"), tags={"k": "0"}), range(0, 30, 3)),
        (ListFilter(parent="00", updated_from_us=80), (0, 7, 14)),
        (ListFilter(names=frozenset("A"), id_prefix="1"), range(10, 20, 2)),
        (ListFilter(in_flight_since_us=5), range(0, 30, 2)),
        (ListFilter(tags={"k": "1"}, created_from_us=20), (22, 25, 28)),
    ):
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = await filled.store.list("wf", wanted, order=order, cursor=cursor, limit=4)
            found += [each.id for each in page.listed]
            if (cursor := page.cursor) is None:
                break
        backwards = order in (Order.NEWEST, Order.UPDATED)
        ids = [f"{i:02}" for i in expected]
        assert found == (ids[::-1] if backwards else ids), wanted
        counted = await filled.store.count("wf", wanted, by=())
        assert counted.groups[0].total == len(ids)


async def test_a_page_of_many_kinds_merges_ranges_of_an_index(filled: Bench, url: str) -> None:
    # Given that the plan is made while the table is nearly empty, as in a new store,
    parsed = parse_url(url)
    session = await AsyncpgDriver(parsed).connect(session_settings(parsed, "test"))
    query = PostgresQuery(
        actor_type="wf", wanted=ListFilter(), kinds=[1, 2, 3], or_kinds=[], all_kinds=True, order=Order.NEWEST
    )
    way = query.in_order([1, 2, 3])
    rows = await session.run(Statement("x", f"EXPLAIN {numbered(way.sql)} LIMIT 100"), way.values)
    plan = "\n".join(line for (line,) in rows)
    # then it sorts nothing, and reads no table from its start.
    assert "Merge Append" in plan
    assert plan.count("Index Scan Backward using actors_created") == 3
    assert "Sort  " not in plan
    assert "Seq Scan" not in plan
    await session.close()
