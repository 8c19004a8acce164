"""Facets are read from a row as they were written, or not at all."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.actors.store.listing import Facets
from perdure.actors.store.tables.facets import facets_in, tag_rows, tags_in, tags_of
from perdure.actors.store.tables.kinds import Kind

KINDS = {1: Kind("wf", "R", "N", True)}


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3))
def test_tags_come_back_as_they_were(tags: dict[str, str]) -> None:
    facets = Facets("N", "R", 2, 3, tags=tuple(tags.items()))
    assert facets_in(KINDS, 1, 2, 3, None, None, tags_of(facets)) == facets
    assert tags_in(tags_of(facets)) == facets.tags
    assert tag_rows(7, 2, facets.tags) == [(name, value, 2, 7) for name, value in tags.items()]


def test_no_tags_are_no_text() -> None:
    assert tags_of(Facets("N", "R", 2, 3)) is None
    assert tags_in(None) == ()


@pytest.mark.parametrize("tags", ["no json", "[5]", "7", '[["a"]]'])
def test_a_row_that_is_not_what_was_written_has_no_facets(tags: Any) -> None:
    assert facets_in(KINDS, 1, 2, 3, None, None, tags) is None


def test_a_row_of_no_kind_that_is_known_has_no_facets() -> None:
    for kinds, kind in ((KINDS, None), (KINDS, 9), (None, 1)):
        assert facets_in(kinds, kind, 2, 3, None, None, None) is None
