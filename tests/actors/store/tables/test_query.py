"""A query knows its conditions, its ranges and its ways, for the SQL of each store."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.actors.store.cursor import Position
from perdure.actors.store.listing import ListFilter, Order
from perdure.actors.store.postgres.lists.query import PostgresQuery
from perdure.actors.store.sqlite.lists.query import SqliteQuery
from perdure.actors.store.tables.query import ListQuery, behind_prefix

STORES = ("sqlite", "postgres")
ASKED: dict[str, Any] = {
    "parent": "p",
    "id_prefix": "a",
    "tags": {"k": "v", "l": "w"},
    "created_from_us": 1,
    "created_to_us": 8,
    "updated_to_us": 9,
    "in_flight_since_us": 3,
}


def query(
    store: str, order: Order = Order.CREATED, behind: Position | None = None, *, all_kinds: bool = False, **wanted: Any
) -> ListQuery:
    asked: dict[str, Any] = {
        "actor_type": "wf",
        "wanted": ListFilter(**wanted),
        "kinds": [3, 4],
        "all_kinds": all_kinds,
        "order": order,
        "behind": behind,
    }
    return SqliteQuery(**asked) if store == "sqlite" else PostgresQuery(**asked, or_kinds=[5])


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(prefix=texts, text=texts)
def test_all_texts_with_a_prefix_and_no_others_stand_before_its_end(prefix: str, text: str) -> None:
    end = behind_prefix(prefix)
    for each in (text, prefix + text):
        within = each >= prefix and (end is None or each < end)
        assert within is each.startswith(prefix)
    assert end is None or end.encode()  # it has a form in UTF-8


@pytest.mark.parametrize(
    ("prefix", "end"),
    [("", None), ("a", "b"), ("order-", "order."), ("\U0010ffff", None), ("a\U0010ffff", "b"), ("\ud7ff", "\ue000")],
)
def test_the_end_of_a_prefix(prefix: str, end: str | None) -> None:
    assert behind_prefix(prefix) == end


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("store", STORES)
def test_all_sql_has_a_value_for_each_mark(store: str, order: Order, behind: bool) -> None:
    place = Position(order.value, "x" if order is Order.ID else 5, 7) if behind else None
    asked = query(store, order, place, or_statuses=frozenset({"S"}), **ASKED)
    ways = [asked.by_id(), *asked.sets()]
    if order is not Order.ID:
        ways += [asked.in_order([3, 4]), asked.children_in_order(), asked.tagged_in_order("k")]
    for way in ways:
        assert way.sql.count("?") == len(way.values), way.sql
    begin = asked.place_behind()
    for condition in (*asked.conditions().values(), *([begin] if begin is not None else [])):
        assert condition.sql.count("?") == len(condition.values), condition.sql
    for way in ways:
        for sql, own in (
            (asked.page_in_order(way, "true"), 2),
            (asked.edge(way), 1),
            (asked.page_sorted(way, "true"), 1),
            (asked.counted(way, "true"), 1),
        ):
            assert sql.count("?") == len(way.values) + own, sql


@pytest.mark.parametrize("store", STORES)
def test_the_conditions_and_the_sets_of_a_filter_are_named_alike(store: str) -> None:
    asked = query(store, **ASKED)
    names = ["kinds", "parent", "prefix", "tag k", "tag l", "created", "updated", "in flight"]
    assert list(asked.conditions()) == names
    fulfilled = [sorted(way.fulfils) for way in asked.sets()]
    assert fulfilled == [
        ["tag k"],
        ["tag l"],
        ["parent"],
        ["prefix"],
        [],
        ["created", "kinds"],
        ["kinds", "updated"],
    ]


@pytest.mark.parametrize("store", STORES)
def test_kinds_alone_are_a_set_unless_they_are_all(store: str) -> None:
    assert [sorted(way.fulfils) for way in query(store).sets()] == [["created", "kinds"]]
    assert query(store, all_kinds=True).sets() == []
    assert len(query(store, all_kinds=True, updated_from_us=3).sets()) == 1


@pytest.mark.parametrize("order", [Order.CREATED, Order.NEWEST, Order.UPDATED, Order.LATEST])
@pytest.mark.parametrize("store", STORES)
def test_a_range_is_that_of_the_time_by_which_a_list_is_ordered(store: str, order: Order) -> None:
    asked = query(store, order, created_from_us=1, updated_to_us=9)
    of_creation = order in (Order.CREATED, Order.NEWEST)
    assert asked.column == ("created_us" if of_creation else "updated_us")
    assert asked.bounds("x.", asked.column) == (
        (" AND x.created_us >= ?", [1]) if of_creation else (" AND x.updated_us < ?", [9])
    )
    assert query(store, order).bounds("", asked.column) == ("", [])
