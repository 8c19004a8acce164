"""A page keeps to its limits, and short pages together have all items, by each way."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.actors.store.cursor import Position, cursor_of
from perdure.actors.store.listing import COUNTED_MAX, EXAMINED_MAX, ListFilter, Order
from perdure.actors.store.sqlite.lists.query import SqliteQuery
from perdure.actors.store.tables.asking import Asking, Question
from perdure.actors.store.tables.paging import (
    EXAMINED_APART_MAX,
    EXAMINED_IN_FLIGHT_MAX,
    SORTED_MAX,
    Found,
    count,
    examined_max,
    find,
    left_to_ask,
    list_page,
    merged,
    way_in_order,
)


def query(order: Order = Order.CREATED, *, kinds: Sequence[int] = (1,), all_kinds: bool = False, **wanted: Any) -> Any:
    return SqliteQuery(actor_type="wf", wanted=ListFilter(**wanted), kinds=kinds, all_kinds=all_kinds, order=order)


def answered(asking: Asking[Any], *answers: Sequence[Sequence[Any]]) -> tuple[list[Question], Any]:
    """Send these answers, one after the other; return the requests and the result."""
    asked = [next(asking), *(asking.send(rows) for rows in answers[:-1])]
    with pytest.raises(StopIteration) as end:
        asking.send(answers[-1])
    return asked, end.value.value


def test_without_a_kind_that_fits_nothing_is_asked() -> None:
    for asking, expected in ((find(query(kinds=()), 5), Found((), None)), (count(query(kinds=())), ({}, False))):
        with pytest.raises(StopIteration) as end:
            next(asking)
        assert end.value.value == expected


def test_a_page_in_order_asks_for_one_more_and_ends_there() -> None:
    (asked,), found = answered(find(query(), 2), [(5, 1), (6, 2), (7, 3)])
    assert asked.values == [EXAMINED_MAX + 1, 3]
    assert found == Found([(5, 1), (6, 2)], (6, 2))
    assert found.keys == [1, 2]


def test_a_short_page_asks_whether_more_stands_behind_what_it_has_examined() -> None:
    (_, edge), found = answered(find(query(), 2), [(5, 1)], [(90, 8), (91, 9)])
    assert edge.values == [EXAMINED_MAX]
    assert found == Found([(5, 1)], (90, 8))
    _, found = answered(find(query(), 2), [(5, 1)], [(90, 8)])
    assert found == Found([(5, 1)], None)


def test_a_short_set_is_sorted_where_conditions_are_left() -> None:
    asked, found = answered(find(query(parent="p", id_prefix="a"), 2), [(9,)], [(7,)], [(7,)], [(5, 1)])
    assert [each.values[-1] for each in asked] == [SORTED_MAX + 1, 9, 7, 3]
    assert "ORDER BY" in asked[-1].sql
    assert "substr(a.id" not in asked[-1].sql  # the set of the prefix, which is the smallest, fulfils it
    assert found == Found([(5, 1)], None)


def test_sets_that_are_too_large_are_not_sorted() -> None:
    too_many = [(SORTED_MAX + 1,)]
    asked, _ = answered(find(query(parent="p", id_prefix="a"), 2), too_many, too_many, too_many, [], [])
    assert EXAMINED_MAX in asked[-2].values


def test_many_kinds_are_merged_from_several_statements_that_share_what_may_be_examined() -> None:
    kinds = range(1, SqliteQuery.arms_max * 2 + 2)
    asked, found = answered(find(query(kinds=kinds), 2), [(9, 9)], [], [(8, 8)], [], [(7, 7)], [])
    assert [each.values[0] for each in asked[::2]] == [EXAMINED_MAX // 3 + 1] * 3
    assert found == Found([(7, 7), (8, 8)], (8, 8))


def test_a_count_takes_the_smallest_set_and_says_that_it_stopped() -> None:
    size = COUNTED_MAX + 1
    asked, (counts, more) = answered(
        count(query(parent="p", created_from_us=4)), [(size,)], [(3,)], [(1, 2), (2, 1)], [(3,)]
    )
    assert "created_us >= ?" in asked[2].sql
    assert (counts, more) == ({1: 2, 2: 1}, False)
    _, (_, more) = answered(count(query(parent="p")), [(size,)], [(size,)], [(1, COUNTED_MAX)], [(size,)])
    assert more


@pytest.mark.parametrize("order", list(Order))
def test_fewer_are_examined_where_each_is_on_a_page_of_its_own(order: Order) -> None:
    apart = EXAMINED_MAX if order in (Order.CREATED, Order.NEWEST) else EXAMINED_APART_MAX
    assert examined_max(order, set()) == apart
    assert examined_max(order, {"in flight"}) == EXAMINED_IN_FLIGHT_MAX


@pytest.mark.parametrize(
    ("order", "wanted", "fulfils"),
    [
        (Order.ID, {"parent": "p"}, {"prefix"}),
        (Order.NEWEST, {"parent": "p", "tags": {"k": "v"}}, {"tag k", "created"}),
        (Order.NEWEST, {"parent": "p"}, {"parent", "created"}),
        (Order.NEWEST, {}, {"kinds", "created"}),
        (Order.LATEST, {"parent": "p", "tags": {"k": "v"}}, {"kinds", "updated"}),
    ],
)
def test_the_way_in_order_is_that_of_the_rarest_condition(
    order: Order, wanted: dict[str, Any], fulfils: set[str]
) -> None:
    asked = query(order, **wanted)
    way = way_in_order(asked)
    assert way.fulfils == fulfils
    # The conditions that it fulfils are not checked again, and all others are.
    where, values = left_to_ask(asked.conditions(), way)
    left = [clause for name, clause in asked.conditions().items() if name not in fulfils]
    assert where.split(" AND ")[0] == "true"
    assert all(clause.sql in where for clause in left)
    assert len(values) == sum(len(clause.values) for clause in left)


places = st.tuples(st.integers(0, 9), st.integers(0, 99))


@given(
    rows=st.lists(st.lists(places, unique_by=lambda place: place[1], max_size=8), min_size=1, max_size=4),
    examined=st.integers(1, 4),
    limit=st.integers(1, 5),
    descending=st.booleans(),
)
def test_pages_that_are_merged_have_all_together_each_once(
    rows: list[list[tuple[int, int]]], examined: int, limit: int, descending: bool
) -> None:
    # Given parts, of which each examines a few rows behind a place at a time,
    parts = [sorted(((at, key * 10 + i) for at, key in part), reverse=descending) for i, part in enumerate(rows)]

    def behind(part: list[tuple[int, int]], place: tuple[int, int] | None) -> Found:
        left = [each for each in part if place is None or (each < place if descending else each > place)]
        seen, more = left[:examined], len(left) > examined
        if len(seen) > limit:
            return Found(seen[:limit], seen[limit - 1])
        return Found(seen, seen[-1] if more else None)

    # when they are merged page by page,
    found: list[tuple[int, int]] = []
    place = None
    for _ in range(100):
        page = merged([behind(part, place) for part in parts], limit, descending=descending)
        assert len(page.places) <= max(limit, examined if len(parts) == 1 else limit)
        found += page.places
        if (place := page.examined_to) is None:
            break
    # then all come, in order, each once.
    assert found == sorted((each for part in parts for each in part), reverse=descending)


def test_a_page_says_where_the_next_begins() -> None:
    assert list_page(Order.NEWEST, Found([(5, 1)], None), ()).cursor is None
    assert list_page(Order.NEWEST, Found([(5, 1)], (5, 1)), ()).cursor == cursor_of(Position("-created", 5, 1))
