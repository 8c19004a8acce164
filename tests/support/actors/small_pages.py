"""Small limits of lists, so that a few actors have the effect of millions."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from perdure.actors.store.postgres.lists.query import PostgresQuery
from perdure.actors.store.sqlite.lists.query import SqliteQuery
from perdure.actors.store.tables import auditing, paging

STORES = (SqliteQuery, PostgresQuery)


@contextmanager
def small_pages() -> Iterator[pytest.MonkeyPatch]:
    """Shorten the pages, make sets too large to be sorted, and have kinds merged from several statements."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paging, "EXAMINED_MAX", 3)
        patch.setattr(paging, "EXAMINED_APART_MAX", 2)
        patch.setattr(paging, "EXAMINED_IN_FLIGHT_MAX", 1)
        patch.setattr(paging, "SORTED_MAX", 2)
        patch.setattr(auditing, "EXAMINED_MAX", 2)
        for store in STORES:
            patch.setattr(store, "arms_max", 2)
        yield patch
