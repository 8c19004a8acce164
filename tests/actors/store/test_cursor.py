"""A cursor has the place at which a list continues, and any other text is refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.actors.errors import CursorInvalid
from perdure.actors.store.cursor import Position, cursor_of, joined, position_of, split

numbers = st.integers(-(2**63), 2**63 - 1)


@given(value=numbers, key=numbers)
def test_a_position_by_number_is_read_back(value: int, key: int) -> None:
    position = Position("-created", value, key)
    assert position_of(cursor_of(position), "-created") == position


@given(id_=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_position_by_id_is_read_back(id_: str) -> None:
    position = Position("id", id_, 0)
    assert position_of(cursor_of(position), "id", numbers=False) == position


@given(text=st.text(max_size=40))
def test_what_no_store_has_made_is_refused(text: str) -> None:
    for numbered in (True, False):
        with suppress(CursorInvalid):
            assert cursor_of(position_of(text, "created", numbers=numbered)) == text


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**400])
def test_a_number_that_sqlite_does_not_have_is_refused(value: int) -> None:
    for position in (Position("created", value, 1), Position("created", 1, value)):
        with pytest.raises(CursorInvalid):
            position_of(cursor_of(position), "created")


def test_positions_of_one_order_compare_as_their_items_stand() -> None:
    places = [Position("created", 1, 9), Position("created", 2, 1), Position("created", 2, 3)]
    assert places[0].at < places[1].at < places[2].at


@pytest.mark.parametrize("cursors", [["a", "b"], ["a", None], [None, "b", ""], ["", ""]])
def test_a_joint_cursor_is_taken_apart_again(cursors: list[str | None]) -> None:
    assert split(joined(cursors), len(cursors)) == cursors


def test_the_first_page_begins_at_the_start_of_each_host_and_after_the_last_there_is_none() -> None:
    assert split(None, 3) == ["", "", ""]
    assert joined([None, None]) is None


def test_a_cursor_of_another_number_of_hosts_is_refused() -> None:
    with pytest.raises(CursorInvalid):
        split(joined(["a", "b"]), 3)
