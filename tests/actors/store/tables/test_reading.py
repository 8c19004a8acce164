"""An actor is read as it was written, or is an error that reports its damage."""

from typing import Any

import pytest

from perdure.actors.address import Address
from perdure.actors.store.contract import Inspection, Stored
from perdure.actors.store.errors import StoreDamaged
from perdure.actors.store.listing import Facets
from perdure.actors.store.tables.checksums import ALL_SEALED, seal_entry, seal_record
from perdure.actors.store.tables.reading import inspection_of, stored_of

A = Address("wf", "a")
FACETS = Facets("N", "R", 1, 2)
RECORD = seal_record(3, *A, b"record")
LOG = [(7, 9, seal_entry(3, 7, 9, b"first")), (8, 10, seal_entry(3, 8, 10, b"last"))]
ENDS = [*LOG[0], *LOG[1]]


def test_an_actor_is_read_whole_and_from_outside() -> None:
    assert stored_of(A, 3, RECORD, LOG, ALL_SEALED, active=True, facets=FACETS) == Stored(
        key=3, record=b"record", entries=(b"first", b"last"), active=True, facets=FACETS
    )
    assert inspection_of(A, 3, RECORD, ENDS, ALL_SEALED, facets=FACETS) == Inspection(
        record=b"record", first=b"first", last=b"last", updated_us=10, facets=FACETS
    )


@pytest.mark.parametrize(
    ("record", "log"), [(b"record", LOG), (RECORD, [LOG[0], (8, 10, LOG[0][2])]), (RECORD, [(7, "9", LOG[0][2])] * 2)]
)
def test_one_that_is_not_what_was_written_is_damaged_and_named(record: bytes, log: list[Any]) -> None:
    whole = stored_of(A, 3, record, log, ALL_SEALED, active=False, facets=None)
    outside = inspection_of(A, 3, record, [*log[0], *log[1]], ALL_SEALED, facets=None)
    for found in (whole, outside):
        assert isinstance(found, StoreDamaged)
        assert (found.address, found.key) == (A, 3)
