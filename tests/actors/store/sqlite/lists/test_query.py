"""The statements of a filter in SQLite: every way in order is read from an index, and nothing is sorted."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from perdure.actors.store.cursor import Position
from perdure.actors.store.listing import ListFilter, Order
from perdure.actors.store.sqlite import schema
from perdure.actors.store.sqlite.lists.query import SqliteQuery
from perdure.actors.store.tables.query import Way


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.create(connection, shards=1, created_us=1)
        yield connection


def query(order: Order, *, behind: Position | None = None, **wanted: Any) -> SqliteQuery:
    return SqliteQuery(
        actor_type="wf", wanted=ListFilter(**wanted), kinds=(1, 2, 3), all_kinds=False, order=order, behind=behind
    )


def plan_of(connection: sqlite3.Connection, way: Way) -> str:
    rows = connection.execute(f"EXPLAIN QUERY PLAN {way.sql} LIMIT 9", way.values).fetchall()
    return "\n".join(row[-1] for row in rows)


RANGED = {"created_from_us": 1, "created_to_us": 9, "updated_from_us": 1, "updated_to_us": 9}
BY_TIME = [Order.CREATED, Order.NEWEST, Order.UPDATED, Order.LATEST]


@pytest.mark.parametrize("ranged", [{}, RANGED], ids=["all", "ranged"])
@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("order", BY_TIME)
def test_ways_in_order_seek_in_an_index_and_sort_nothing(
    connection: sqlite3.Connection, order: Order, behind: bool, ranged: dict[str, int]
) -> None:
    asked = query(
        order,
        behind=Position(order.value, 5, 5) if behind else None,
        parent="p",
        tags={"k": "v"},
        **ranged,
    )
    index = "facets_created" if order in (Order.CREATED, Order.NEWEST) else "facets_updated"
    ways = [(asked.in_order((1, 2, 3)), f"USING COVERING INDEX {index} (kind=?")]
    if index == "facets_created":
        ways += [
            (asked.children_in_order(), "USING COVERING INDEX facets_parent (parent=?"),
            (asked.tagged_in_order("k"), "USING PRIMARY KEY (name=? AND value=?"),
        ]
    for way, seek in ways:
        plan = plan_of(connection, way)
        assert seek in plan
        assert "SCAN facets" not in plan
        assert "USE TEMP B-TREE" not in plan
        if behind or ranged:
            assert ("created_us" in plan) or ("updated_us" in plan), plan


@pytest.mark.parametrize("prefix", ["", "order-"])
@pytest.mark.parametrize("behind", [False, True])
def test_ids_are_read_in_the_order_of_their_index(connection: sqlite3.Connection, behind: bool, prefix: str) -> None:
    asked = query(Order.ID, behind=Position("id", "order-5", 0) if behind else None, id_prefix=prefix)
    plan = plan_of(connection, asked.by_id())
    assert "SEARCH actors USING COVERING INDEX sqlite_autoindex_actors_1 (type=? AND id>?" in plan
    assert "USE TEMP B-TREE" not in plan


def test_sets_are_read_from_an_index_each(connection: sqlite3.Connection) -> None:
    asked = query(
        Order.LATEST,
        parent="p",
        tags={"k": "v", "l": "w"},
        id_prefix="o",
        in_flight_since_us=5,
        **RANGED,  # type: ignore[arg-type]
    )
    plans = [plan_of(connection, way) for way in asked.sets()]
    assert len(plans) == 7
    assert all("INDEX" in plan or "PRIMARY KEY" in plan or plan == "SCAN active" for plan in plans), plans


def test_a_filter_that_asks_nothing_has_no_conditions() -> None:
    asked = SqliteQuery(actor_type="wf", wanted=ListFilter(), kinds=(1,), all_kinds=True)
    assert asked.conditions() == {}
    assert asked.sets() == []
