"""Rows of items: the last change counts, and a damaged value is reported and not returned."""

from typing import Any

import pytest

from perdure.actors.address import Address
from perdure.actors.store.contract import Expiring, FoundItems, Item, Write
from perdure.actors.store.errors import StoreDamaged
from perdure.actors.store.tables.checksums import ALL_SEALED, seal_item, seal_record
from perdure.actors.store.tables.items import ItemBatch, found_expiring, found_items

A = Address("state", "s")
RECORD = seal_record(7, *A, b"r")


def write(*items: tuple[str, Item | None], key: int = 7) -> Write:
    return Write(key=key, address=A, shard=0, at_us=1, items=items)


def test_of_several_changes_of_an_item_the_last_counts() -> None:
    batch = ItemBatch()
    batch.add(write(("a", Item(b"1", 1)), ("b", Item(b"1", 1)), ("a", None)))
    batch.add(write(("b", Item(b"2", 2, 9))))
    batch.add(write(("a", None), key=8))
    assert batch.put() == [(7, b"b", 2, 9, seal_item(7, b"b", 2, 9, b"2"))]
    assert batch.dropped() == [(7, b"a"), (8, b"a")]


def test_what_was_written_is_read_back() -> None:
    batch = ItemBatch()
    batch.add(write(("ä", Item(b"v", 3, 5))))
    rows = [row[1:] for row in batch.put()]
    assert found_items(A, (7, RECORD), rows, ALL_SEALED) == FoundItems(b"r", {"ä": Item(b"v", 3, 5)})


@pytest.mark.parametrize("place", range(4))
def test_a_change_of_any_column_is_damage_of_that_item_alone(place: int) -> None:
    sound = (b"sound", 1, 0, seal_item(7, b"sound", 1, 0, b"v"))
    blob = seal_item(7, b"a", 3, 5, b"v")
    row: list[Any] = [b"a", 3, 5, blob]
    row[place] = [b"b", 4, 0, blob[:-1]][place]
    found = found_items(A, (7, RECORD), [tuple(row), sound], ALL_SEALED)
    assert found.items == {"sound": Item(b"v", 1)}
    assert list(found.damaged) == [row[0].decode()]


def test_a_version_that_is_no_number_is_damage() -> None:
    found = found_items(A, (7, RECORD), [(b"a", "x", 0, seal_item(7, b"a", 0, 0, b"v"))], ALL_SEALED)
    assert "is no number" in found.damaged["a"]


def test_those_that_expire_come_with_the_record() -> None:
    assert found_expiring(A, (7, RECORD), [(5, b"a", 2)], ALL_SEALED) == FoundItems(
        b"r", expiring=[Expiring(5, "a", 2)]
    )
    with pytest.raises(StoreDamaged):
        found_expiring(A, (7, RECORD[:-1]), [], ALL_SEALED)
