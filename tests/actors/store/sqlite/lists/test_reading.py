"""Reading lists from SQLite: the cost of a page, and its handling of damaged rows."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.store.contract import Stored, Write
from perdure.actors.store.listing import Facets, ListFilter, ListPage, Order
from perdure.actors.store.sqlite.lists.query import SqliteQuery
from perdure.actors.store.sqlite.store import SqliteStore
from perdure.actors.store.tables import paging

from .....support.actors.sqlite_file import change, opened, write

pytestmark = pytest.mark.anyio

NAMES = 7


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """Sixty actors of seven names; every tenth is tagged, and every twentieth has failed."""
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        await store.commit([made(store, n) for n in range(60)], fences)
        yield store


def made(store: SqliteStore, n: int) -> Write:
    facets = Facets(
        name=f"N{n % NAMES}",
        status="FAILED" if n % 20 == 0 else "RUNNING",
        created_us=n,
        updated_us=n * 37 % 61,
        parent=None if n % 2 else "p",
        tags=(("k", "v"),) if n % 10 == 0 else (),
    )
    return write(store.new_key(), Address("wf", f"{n:02}"), record=b"r", entry=b"e", facets=facets, active=n % 3 == 0)


async def page(store: SqliteStore, order: Order = Order.CREATED, cursor: str | None = None, **wanted: Any) -> ListPage:
    return await store.list("wf", ListFilter(**wanted), order=order, cursor=cursor, limit=10)


async def whole(store: SqliteStore, order: Order, **wanted: Any) -> tuple[list[str], int]:
    """All ids of a list, and the number of their pages."""
    found: list[str] = []
    cursor, pages = None, 0
    while pages < 100:
        got = await page(store, order, cursor, **wanted)
        found += [each.id for each in got.listed]
        pages += 1
        if (cursor := got.cursor) is None:
            return found, pages
    raise AssertionError("the list has no end")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"tags": {"k": "v"}, "statuses": frozenset({"FAILED"})}, ["00", "20", "40"]),
        ({"id_prefix": "5", "root": True}, ["51", "53", "55", "57", "59"]),
        ({"updated_to_us": 3, "names": frozenset({"N0", "N1"})}, None),
        ({"in_flight_since_us": 5, "not_names": frozenset({"N1", "N3"})}, None),
    ],
)
@pytest.mark.parametrize("order", [Order.CREATED, Order.LATEST, Order.ID])
async def test_a_page_that_has_examined_enough_is_short_and_the_next_goes_on(
    store: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    order: Order,
    wanted: dict[str, Any],
    expected: list[str] | None,
) -> None:
    entire, pages = await whole(store, order, **wanted)
    assert expected is None or sorted(entire) == expected
    # When a page may examine few actors, and no set is small enough to be sorted,
    for name, most in (
        ("EXAMINED_MAX", 4),
        ("EXAMINED_APART_MAX", 3),
        ("EXAMINED_IN_FLIGHT_MAX", 2),
        ("SORTED_MAX", 0),
    ):
        monkeypatch.setattr(paging, name, most)
    # then it takes more pages, and the list is the same.
    again, more_pages = await whole(store, order, **wanted)
    assert again == entire
    assert more_pages >= pages + (order is Order.CREATED)


@pytest.mark.parametrize("order", list(Order))
async def test_more_kinds_than_a_statement_merges_are_merged_all_the_same(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, order: Order
) -> None:
    entire, _ = await whole(store, order)
    assert len(entire) == 60
    monkeypatch.setattr(SqliteQuery, "arms_max", 3)
    assert await whole(store, order) == (entire, 6)


async def test_a_count_that_is_not_kept_stops_at_its_limit_and_says_so(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "COUNTED_MAX", 6)
    for wanted, total, more in (
        (ListFilter(tags={"k": "v"}), 6, False),
        (ListFilter(tags={"k": "v"}, id_prefix="0"), 1, False),
        (ListFilter(id_prefix="0"), 6, True),
        (ListFilter(created_from_us=1), 6, True),
        (ListFilter(names=frozenset({"N1"})), 9, False),
        (ListFilter(), 60, False),
    ):
        counted = await store.count("wf", wanted, by=())
        assert (counted.groups[0].total, counted.more) == (total, more), wanted


async def test_a_record_that_is_not_what_was_written_is_listed_empty(store: SqliteStore, path: Path) -> None:
    change(path, "UPDATE actors SET record = substr(record, 1, 5) || x'00' WHERE id = '01'")
    found = (await page(store)).listed
    assert [each.record for each in found[:3]] == [b"r", b"", b"r"]


@pytest.mark.parametrize("damage", ["tags = '['", "kind = 99", "tags = '[5]'", "parent = CAST(x'FF' AS TEXT)"])
async def test_facets_that_cannot_be_read_keep_no_other_actor_from_its_list(
    store: SqliteStore, path: Path, damage: str
) -> None:
    change(path, f"UPDATE facets SET {damage} WHERE created_us = 1")
    assert [each.id for each in (await page(store)).listed][:2] == ["00", "02"]
    first, second = await store.load([Address("wf", "00"), Address("wf", "01")])
    assert isinstance(first, Stored)
    assert first.facets is not None
    # The actor is loaded without its facets, or not at all.
    assert not isinstance(second, Stored) or second.facets is None


async def test_a_list_sees_its_actors_at_one_moment(store: SqliteStore) -> None:
    # An actor that changes its kind while lists are read is in each of them once.
    fences = await store.claim("host", now_us=1)
    (stored,) = await store.load([Address("wf", "30")])
    assert isinstance(stored, Stored)
    for turn in range(30):
        facets = Facets("N2", f"TURN {turn}", 30, 30)
        write_ = write(stored.key, Address("wf", "30"), facets=facets)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.commit, [write_], fences)
            found = await page(store, created_from_us=30, created_to_us=31)
        assert [each.id for each in found.listed] == ["30"]
