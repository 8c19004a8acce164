"""Every store lists, counts and audits in the same way: each filter, each order, and reliable pages."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest

from perdure.actors.address import Address, shard_of
from perdure.actors.errors import CursorInvalid
from perdure.actors.store.contract import Write
from perdure.actors.store.listing import Facets, Grouped, ListFilter, ListPage, Order

from ...support.actors.store_bench import PART, SHARDS, Bench, write
from ...support.actors.stores import WHOLE_STORES

# A part of a store has lists like a store of one part.
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("variant", WHOLE_STORES, ids="-".join),
]


@pytest.fixture
def anyio_backend(variant: tuple[str, str]) -> str:
    return variant[1]


# Actors of the conformance suite: id, name, status, created, updated, and further fields.
ACTORS: dict[str, dict[str, Any]] = {
    "order-1": {"name": "Order", "status": "RUNNING", "created_us": 100, "updated_us": 900, "tags": (("k", "1"),)},
    "order-12": {"name": "Order", "status": "COMPLETED", "created_us": 200, "updated_us": 300, "ended_us": 300},
    "order-2": {"name": "Order", "status": "FAILED", "created_us": 300, "updated_us": 310, "ended_us": 310},
    "pay-1": {"name": "Pay", "status": "RUNNING", "created_us": 400, "updated_us": 400, "parent": "order-1"},
    "pay-2": {"name": "Pay", "status": "FAILED", "created_us": 50, "updated_us": 800, "parent": "order-2"},
    "pay-3": {"name": "Pay", "status": "RUNNING", "created_us": 400, "updated_us": 400, "parent": "order-1"},
    "ü-1": {"name": "Ünï", "status": "STALLED", "created_us": 600, "updated_us": 600, "tags": (("a", "x"), ("k", "1"))},
}
IDLE = {"order-1": 5, "pay-1": 50}  # in flight, and when their last entries came


def padded(id_: str) -> str:
    """An id that belongs to the part of the store that the suite writes to."""
    return next(i for i in (f"{id_}/{n}" for n in range(99)) if PART.holds(shard_of(i, SHARDS)))


IDS = {id_: padded(id_) for id_ in ACTORS}


def facets(id_: str, **changed: Any) -> Facets:
    fields = {**ACTORS[id_], **changed}
    if fields.get("parent") is not None:
        fields["parent"] = IDS[fields["parent"]]
    return Facets(**fields)


@pytest.fixture
async def keys(bench: Bench) -> dict[str, int]:
    """Keys of all actors, which are in the store."""
    keys = {id_: bench.store.new_key() for id_ in ACTORS}
    await bench.commit(*(made(id_, key) for id_, key in keys.items()))
    # Actors that belong to no list: one without facets, and one of another type.
    other, alien = (Address("wf", padded("other")), Address("alien", padded("order-1")))
    await bench.commit(
        write(bench.store.new_key(), other, record=b"r", active=True),
        write(bench.store.new_key(), alien, record=b"r", facets=facets("order-1"), active=True),
    )
    return keys


def made(id_: str, key: int) -> Write:
    idle = IDLE.get(id_)
    more: dict[str, Any] = {} if idle is None else {"active": True, "entry": b"e", "at_us": idle}
    return write(key, Address("wf", IDS[id_]), record=id_.encode(), facets=facets(id_), **more)


async def listed(bench: Bench, *, order: Order = Order.CREATED, limit: int = 100, **wanted: Any) -> list[str]:
    """The ids of a list, read page by page."""
    return names(await pages(bench, ListFilter(**wanted), order=order, limit=limit))


async def pages(bench: Bench, wanted: ListFilter, *, order: Order, limit: int) -> list[ListPage]:
    found: list[ListPage] = []
    cursor: str | None = None
    while True:
        page = await bench.store.list("wf", wanted, order=order, cursor=cursor, limit=limit)
        found.append(page)
        cursor = page.cursor
        if cursor is None:
            return found


def names(found: Sequence[ListPage]) -> list[str]:
    short = {long: id_ for id_, long in IDS.items()}
    return [short[each.id] for page in found for each in page.listed]


CREATED = ["pay-2", "order-1", "order-12", "order-2", "pay-1", "pay-3", "ü-1"]
FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, CREATED),
    ({"statuses": frozenset({"RUNNING"})}, ["order-1", "pay-1", "pay-3"]),
    ({"statuses": frozenset({"FAILED", "STALLED"})}, ["pay-2", "order-2", "ü-1"]),
    ({"statuses": frozenset({"NO SUCH"})}, []),
    ({"statuses": frozenset()}, []),
    ({"not_statuses": frozenset({"RUNNING", "FAILED"})}, ["order-12", "ü-1"]),
    ({"names": frozenset({"Pay", "Ünï"})}, ["pay-2", "pay-1", "pay-3", "ü-1"]),
    ({"not_names": frozenset({"Pay"})}, ["order-1", "order-12", "order-2", "ü-1"]),
    ({"names": frozenset({"Pay"}), "statuses": frozenset({"FAILED"})}, ["pay-2"]),
    ({"root": True}, ["order-1", "order-12", "order-2", "ü-1"]),
    ({"root": False}, ["pay-2", "pay-1", "pay-3"]),
    ({"id_prefix": "order-1"}, ["order-1", "order-12"]),
    ({"id_prefix": "ü"}, ["ü-1"]),
    ({"id_prefix": "zzz"}, []),
    ({"id_prefix": "%"}, []),
    ({"parent": IDS["order-1"]}, ["pay-1", "pay-3"]),
    ({"parent": "nobody"}, []),
    ({"created_from_us": 200, "created_to_us": 400}, ["order-12", "order-2"]),
    ({"created_from_us": 400}, ["pay-1", "pay-3", "ü-1"]),
    ({"updated_from_us": 310, "updated_to_us": 800}, ["order-2", "pay-1", "pay-3", "ü-1"]),
    ({"updated_to_us": 310}, ["order-12"]),
    ({"tags": {"k": "1"}}, ["order-1", "ü-1"]),
    ({"tags": {"k": "1", "a": "x"}}, ["ü-1"]),
    ({"tags": {"k": "2"}}, []),
    ({"in_flight_since_us": 50}, ["order-1"]),
    ({"in_flight_since_us": 51}, ["order-1", "pay-1"]),
    ({"in_flight_since_us": 51, "root": False, "names": frozenset({"Pay"})}, ["pay-1"]),
    ({"tags": {"k": "1"}, "root": True, "updated_from_us": 700, "id_prefix": "o"}, ["order-1"]),
    ({"parent": IDS["order-1"], "statuses": frozenset({"RUNNING"}), "created_from_us": 400}, ["pay-1", "pay-3"]),
]
BY_UPDATE = ["order-12", "order-2", "pay-1", "pay-3", "ü-1", "pay-2", "order-1"]
ORDERS = {
    Order.CREATED: CREATED,
    Order.NEWEST: CREATED[::-1],
    Order.UPDATED: BY_UPDATE,
    Order.LATEST: BY_UPDATE[::-1],
    Order.ID: sorted(ACTORS, key=lambda id_: IDS[id_]),
}


@pytest.mark.untraced
@pytest.mark.parametrize("order", list(Order))
@pytest.mark.usefixtures("keys")
async def test_a_list_has_what_its_filter_lets_through_in_its_order(bench: Bench, order: Order) -> None:
    for (wanted, expected), limit in product(FILTERS, (1, 2, 100)):
        found = await listed(bench, order=order, limit=limit, **wanted)
        assert found == [id_ for id_ in ORDERS[order] if id_ in expected], wanted


@pytest.mark.usefixtures("keys")
async def test_a_list_shows_facets_and_record(bench: Bench) -> None:
    (page,) = await pages(bench, ListFilter(), order=Order.CREATED, limit=100)
    assert [(each.facets, each.record) for each in page.listed] == [(facets(id_), id_.encode()) for id_ in CREATED]


@pytest.mark.usefixtures("keys")
async def test_no_page_is_larger_than_asked_and_the_last_has_no_cursor(bench: Bench) -> None:
    for limit in (1, 3, 6, 7, 8):
        found = await pages(bench, ListFilter(), order=Order.NEWEST, limit=limit)
        assert all(len(page.listed) <= limit for page in found)
        assert [bool(page.cursor) for page in found] == [True] * (len(found) - 1) + [False]
        assert names(found) == CREATED[::-1]


@pytest.mark.usefixtures("keys")
async def test_an_empty_type_has_an_empty_list(bench: Bench) -> None:
    page = await bench.store.list("nothing", ListFilter(), order=Order.ID, cursor=None, limit=5)
    assert (list(page.listed), page.cursor) == ([], None)
    counted = await bench.store.count("nothing", ListFilter(), by=())
    assert counted.groups == [Grouped((), 0)]


# Changes.


async def test_the_facets_of_a_write_are_those_of_the_list(bench: Bench, keys: dict[str, int]) -> None:
    # When one changes all that can change, another ends, and a third is forgotten,
    changed = facets("order-1", name="Other", status="PENDING", created_us=1, updated_us=2, tags=(("k", "2"),))
    await bench.commit(
        write(keys["order-1"], Address("wf", IDS["order-1"]), record=b"new", facets=changed),
        write(keys["pay-1"], Address("wf", IDS["pay-1"]), facets=facets("pay-1", status="COMPLETED", ended_us=9)),
        write(keys["ü-1"], Address("wf", IDS["ü-1"]), delete=True),
    )
    # then lists say so, by each of the filters and in each order.
    assert await listed(bench) == ["order-1", "pay-2", "order-12", "order-2", "pay-1", "pay-3"]
    assert await listed(bench, statuses=frozenset({"RUNNING"})) == ["pay-3"]
    assert await listed(bench, names=frozenset({"Other"})) == ["order-1"]
    assert await listed(bench, tags={"k": "1"}) == []
    assert await listed(bench, tags={"k": "2"}) == ["order-1"]
    assert await listed(bench, order=Order.UPDATED, limit=1) == ["order-1", *BY_UPDATE[:4], "pay-2"]
    assert await listed(bench, id_prefix="ü") == []
    # The same holds after a restart.
    await bench.reopen()
    assert await listed(bench) == ["order-1", "pay-2", "order-12", "order-2", "pay-1", "pay-3"]
    assert await counts(bench, "name") == {("Order",): 2, ("Other",): 1, ("Pay",): 3}


async def test_a_write_without_facets_leaves_them_as_they_were(bench: Bench, keys: dict[str, int]) -> None:
    await bench.commit(write(keys["pay-1"], Address("wf", IDS["pay-1"]), record=b"other", entry=b"e", at_us=999))
    (page,) = await pages(bench, ListFilter(id_prefix="pay-1"), order=Order.ID, limit=9)
    assert [(each.facets, each.record) for each in page.listed] == [(facets("pay-1"), b"other")]


async def test_the_last_facets_of_a_batch_count(bench: Bench) -> None:
    key, address = bench.store.new_key(), Address("wf", IDS["pay-1"])
    begun, ended = facets("pay-1"), facets("pay-1", status="COMPLETED", updated_us=500, ended_us=500)
    await bench.commit(write(key, address, record=b"", facets=begun), write(key, address, facets=ended))
    assert await listed(bench) == ["pay-1"]
    assert await counts(bench, "status") == {("COMPLETED",): 1}


async def test_an_actor_that_is_deleted_and_created_again_is_listed_as_it_is_now(bench: Bench) -> None:
    old, new, address = bench.store.new_key(), bench.store.new_key(), Address("wf", IDS["order-1"])
    await bench.commit(write(old, address, record=b"", facets=facets("order-1")))
    again = facets("order-1", status="PENDING", tags=())
    await bench.commit(write(old, address, delete=True), write(new, address, record=b"", facets=again))
    assert await listed(bench) == ["order-1"]
    assert await listed(bench, tags={"k": "1"}) == []
    assert await counts(bench, "status") == {("PENDING",): 1}


async def test_an_actor_that_a_batch_creates_and_deletes_was_never_listed(bench: Bench) -> None:
    key, address = bench.store.new_key(), Address("wf", IDS["order-1"])
    await bench.commit(write(key, address, record=b"", facets=facets("order-1")), write(key, address, delete=True))
    assert await listed(bench) == []
    assert await counts(bench) == {(): 0}


async def test_a_commit_that_is_refused_changes_no_list_and_no_count(bench: Bench, keys: dict[str, int]) -> None:
    before = await counts(bench, "status", "name", "root")
    old = bench.fences
    await bench.claim()
    new_kind = facets("pay-1", name="New")
    with pytest.raises(Exception, match="shard"):
        await bench.store.commit([write(keys["pay-1"], Address("wf", IDS["pay-1"]), facets=new_kind)], old)
    assert await counts(bench, "status", "name", "root") == before
    # The next commit writes the kind that the failed one was about to write for the first time.
    await bench.commit(write(keys["pay-1"], Address("wf", IDS["pay-1"]), facets=new_kind))
    await bench.reopen()
    assert await listed(bench, names=frozenset({"New"})) == ["pay-1"]
    assert await counts(bench, "name", names=frozenset({"New"})) == {("New",): 1}


# Cursors.


@pytest.mark.parametrize("order", list(Order))
async def test_a_cursor_survives_what_is_created_and_deleted_meanwhile(
    bench: Bench, keys: dict[str, int], order: Order
) -> None:
    expected = ORDERS[order]
    # Given a reader behind the third of a list,
    page = await bench.store.list("wf", ListFilter(), order=order, cursor=None, limit=3)
    assert names([page]) == expected[:3]
    # when the third and one before it are deleted, and others begin before and behind it,
    gone = [write(keys[id_], Address("wf", IDS[id_]), delete=True) for id_ in (expected[2], expected[0])]
    begun = [
        write(bench.store.new_key(), Address("wf", padded(id_)), record=b"", facets=facets("order-2", **times))
        for id_, times in (("!", {"created_us": 1, "updated_us": 1}), ("￿", {"created_us": 999, "updated_us": 999}))
    ]
    await bench.commit(*gone, *begun)
    # then each of those that stayed comes once.
    found: list[str] = []
    while page.cursor is not None:
        page = await bench.store.list("wf", ListFilter(), order=order, cursor=page.cursor, limit=2)
        found += [each.id for each in page.listed]
    assert [id_ for id_ in found if id_ in IDS.values()] == [IDS[id_] for id_ in expected[3:]]
    assert len(found) == len(set(found)) == len(expected[3:]) + 1


@pytest.mark.usefixtures("keys")
async def test_anything_but_a_cursor_is_refused(bench: Bench) -> None:
    for cursor in ("", "x", "!", "é", "-created", "LWNyZWF0ZWQgMSAx", "AAAA", "c" * 999):
        with pytest.raises(CursorInvalid, match="Begin again without a cursor"):
            await bench.store.list("wf", ListFilter(), order=Order.UPDATED, cursor=cursor, limit=1)


@pytest.mark.usefixtures("keys")
async def test_a_cursor_of_another_order_is_refused(bench: Bench) -> None:
    for order in Order:
        page = await bench.store.list("wf", ListFilter(), order=order, cursor=None, limit=1)
        for other in set(Order) - {order}:
            with pytest.raises(CursorInvalid):
                await bench.store.list("wf", ListFilter(), order=other, cursor=page.cursor, limit=1)


# Counts.


async def counts(bench: Bench, *by: str, **wanted: Any) -> dict[tuple[str | bool, ...], int]:
    counted = await bench.store.count("wf", ListFilter(**wanted), by=by)
    assert not counted.more
    assert len({group.values for group in counted.groups}) == len(counted.groups)
    return dict(counted.groups)


@pytest.mark.usefixtures("keys")
async def test_a_count_is_as_long_as_the_list(bench: Bench) -> None:
    for wanted, expected in FILTERS:
        assert await counts(bench, **wanted) == {(): len(expected)}, wanted
        by_name = await counts(bench, "name", **wanted)
        assert sum(by_name.values()) == len(expected)
        assert by_name.keys() == {(ACTORS[id_]["name"],) for id_ in expected}


@pytest.mark.usefixtures("keys")
async def test_a_count_is_grouped_in_the_order_asked(bench: Bench) -> None:
    assert await counts(bench, "status", "root") == {
        ("COMPLETED", True): 1, ("FAILED", False): 1, ("FAILED", True): 1, ("RUNNING", False): 2,
        ("RUNNING", True): 1, ("STALLED", True): 1,
    }  # fmt: skip
    assert await counts(bench, "root", "name", names=frozenset({"Pay"})) == {(False, "Pay"): 3}
    await bench.reopen()
    assert await counts(bench, "root") == {(False,): 3, (True,): 4}
