"""The instances of a bulk operation: found by its filter, and asked in its name.

The rule: the filter is checked again in each instance's own turn, and an instance that has had the action once is as
well off with it twice.

`runner.py` asks here.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from uuid import UUID, uuid5

from ....actors.clock import Clock
from ....actors.store.listing import Order
from ...errors import IdTaken, InstanceNotFound, NoMatch
from ...history.attribution import By
from ...instance.condition import Condition
from ..reading.listing import ITEMS_MAX, InstanceFilter, Listing
from ..steering.steering import Steering
from .bulk import Matches
from .operation import Action, BulkOperation, Selection
from .runner import Matching, Skipped


class SelectedInstances:
    """Finds the instances of operations, and does the actions."""

    def __init__(self, listing: Listing, steering: Steering, clock: Clock) -> None:
        self._listing = listing
        self._steering = steering
        self._clock = clock

    async def count(self, selection: Selection) -> Matches:
        """Count the instances that a selection fits."""
        counted = await self._listing.count(wanted_by(selection))
        return Matches(sum(group.count for group in counted.groups), counted.more)

    async def matching(self, operation: BulkOperation, *, cursor: str | None, limit: int) -> Matching:
        """List ids of instances that the selection fits, in the order in which they were created."""
        page = await self._listing.list(
            wanted_by(operation.selection), order=Order.CREATED, cursor=cursor, limit=min(limit, ITEMS_MAX)
        )
        return Matching(tuple(item.id for item in page.items), page.cursor)

    async def act(self, operation_id: str, operation: BulkOperation, instance_id: str) -> None:
        """Do the action to one instance; see `Instances.act`."""
        selection, options = operation.selection, operation.options
        stuck_since_us = self._clock.now_us() - selection.stuck_for_us if selection.stuck_for_us is not None else None
        condition = Condition(filter=selection.filter, stuck_since_us=stuck_since_us)
        by = operation.by._replace(operation=operation_id)
        try:
            await self._action(operation)(instance_id, by, condition, options.recurse, options.force, operation_id)
        except NoMatch as error:
            raise Skipped from error
        except InstanceNotFound as error:
            if operation.action is not Action.PURGE:  # that it is gone is what was asked for
                raise Skipped from error

    def _action(self, operation: BulkOperation) -> Callable[..., Awaitable[None]]:
        return {
            Action.SUSPEND: self._suspend,
            Action.RESUME: self._resume,
            Action.TERMINATE: self._terminate,
            Action.PURGE: self._purge,
            Action.RERUN: self._rerun,
        }[operation.action]
