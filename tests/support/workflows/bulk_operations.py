"""Bulk operations for tests."""

from typing import Any

from perdure.actors.store.listing import ListFilter
from perdure.runtime.history.attribution import By
from perdure.runtime.operations.bulk.operation import ActionOptions, BulkAction, BulkOperation, Selection

MOMENT_US = 1_700_000_000_000_000


def operation(action: BulkAction = BulkAction.TERMINATE, **fields: Any) -> BulkOperation:
    """An operation that has just begun."""
    usual = BulkOperation(
        action=action,
        selection=Selection(ListFilter(names=frozenset({"Order"})), MOMENT_US),
        options=ActionOptions(),
        by=By("ada", "api", "no longer wanted"),
        rate=500.0,
        matches=3,
        more=False,
        created_us=MOMENT_US,
        updated_us=MOMENT_US,
    )
    return usual._replace(**fields)
