"""A way to find actors uses one index, and names the conditions that it does not cover."""

from typing import Any

import pytest

from perdure.actors.store.cursor import Position
from perdure.actors.store.listing import ListFilter, Order
from perdure.actors.store.postgres.lists.query import PostgresQuery, in_kinds, numbered


def query(order: Order = Order.CREATED, behind: Position | None = None, **wanted: Any) -> PostgresQuery:
    return PostgresQuery(
        actor_type="wf",
        wanted=ListFilter(**wanted),
        kinds=[3, 4],
        or_kinds=[],
        all_kinds=False,
        order=order,
        behind=behind,
    )


def test_values_get_their_numbers_in_order() -> None:
    assert numbered("a = ? AND b = ANY(?::int[])") == "a = $1 AND b = ANY($2::int[])"
    assert numbered("nothing") == "nothing"


@pytest.mark.parametrize("order", list(Order))
def test_each_way_has_a_value_for_each_mark(order: Order) -> None:
    behind = Position(order.value, "x" if order is Order.ID else 5, 7)
    asked = query(
        order,
        behind,
        parent="p",
        id_prefix="a",
        tags={"k": "v"},
        created_from_us=1,
        updated_to_us=9,
        in_flight_since_us=3,
    )
    ways = [asked.by_id(), *asked.sets()]
    if order is not Order.ID:
        ways += [asked.in_order([3, 4]), asked.children_in_order(), asked.tagged_in_order("k")]
    for way in ways:
        assert way.sql.count("?") == len(way.values), way.sql
    for condition in asked.conditions().values():
        assert condition.sql.count("?") == len(condition.values)


def test_a_way_in_order_begins_behind_the_cursor() -> None:
    way = query(Order.NEWEST, Position("-created", 5, 7)).in_order([3])
    assert "(a.created_us, a.key) < (?::bigint, ?::bigint)" in way.sql
    assert way.values == [3, 5, 7]
    assert way.sql.endswith("ORDER BY at DESC, key DESC")


def test_every_filter_asks_for_a_kind() -> None:
    # Actors without facets have no kind, and are in no list.
    assert list(query().conditions()) == ["kinds"]


def test_only_kinds_with_a_wanted_status_are_chosen() -> None:
    assert in_kinds(frozenset({"R"}), [(1, "R"), (2, "C")]) == [1]
