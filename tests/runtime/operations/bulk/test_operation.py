"""An operation is the same after it was written and read."""

import msgpack
import pytest

from perdure.actors.store.listing import Facets, ListFilter
from perdure.runtime.history.row import CorruptHistory
from perdure.runtime.operations.bulk.operation import (
    ActionOptions,
    BulkAction,
    OperationProgress,
    OperationState,
    Selection,
    pack_selection,
    unpack_operation,
    unpack_selection,
)
from tests.support.workflows.bulk_operations import MOMENT_US, operation

FILTERS = {
    "everything": ListFilter(),
    "statuses": ListFilter(statuses=frozenset({"RUNNING", "STALLED"})),
    "no statuses at all": ListFilter(statuses=frozenset()),
    "not statuses": ListFilter(not_statuses=frozenset({"COMPLETED"})),
    "names": ListFilter(names=frozenset({"Order", "Häuschen"}), not_names=frozenset({"x"})),
    "id prefix": ListFilter(id_prefix="order-"),
    "parent": ListFilter(parent=""),
    "roots": ListFilter(root=True),
    "children": ListFilter(root=False),
    "times": ListFilter(created_from_us=0, created_to_us=1, updated_from_us=2, updated_to_us=3),
    "tags": ListFilter(tags={"team": "a", "env": "b"}),
    "in flight": ListFilter(in_flight_since_us=7),
}


@pytest.mark.parametrize("wanted", FILTERS.values(), ids=FILTERS)
def test_a_selection_is_read_as_it_was_written(wanted: ListFilter) -> None:
    selection = Selection(wanted, MOMENT_US, 5)

    packed = msgpack.unpackb(msgpack.packb(pack_selection(selection)), use_list=False)

    assert unpack_selection(packed) == selection


def test_an_operation_is_read_as_it_was_written() -> None:
    whole = operation(
        options=ActionOptions(recurse=False, force=True),
        more=True,
        state=OperationState.CANCELED,
        progress=OperationProgress("cursor", 1, 2, 3, 4),
        ended_us=MOMENT_US + 1,
    )

    assert unpack_operation(whole.pack()) == whole


def test_the_form_on_disk_stays_as_it_is() -> None:
    assert msgpack.unpackb(operation().pack()) == [
        1,
        "terminate",
        [{"names": ["Order"]}, MOMENT_US, None],
        [None, False],
        ["ada", "api", "no longer wanted", None],
        500.0,
        3,
        False,
        MOMENT_US,
        MOMENT_US,
        "RUNNING",
        [None, 0, 0, 0, 0],
        None,
    ]


def test_fields_of_a_later_release_are_passed_over() -> None:
    packed = msgpack.packb([*msgpack.unpackb(operation().pack()), "later"])

    assert unpack_operation(packed) == operation()


@pytest.mark.parametrize("packed", [b"", b"\xc1", b"\x01", msgpack.packb([2]), msgpack.packb([1, "dance"])])
def test_anything_but_an_operation_is_refused(packed: bytes) -> None:
    with pytest.raises(CorruptHistory):
        unpack_operation(packed)


def test_lists_see_the_action_as_its_name_and_its_state() -> None:
    assert operation(BulkAction.PURGE).facets() == Facets("purge", "RUNNING", MOMENT_US, MOMENT_US)
