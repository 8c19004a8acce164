"""The instances of a bulk operation: found by its filter, and changed on its behalf.

The rule: the filter is checked again in each instance's own turn, and an action that is done twice to an instance has
the effect of one.

`runner.py` uses it.
"""

from dataclasses import fields
from uuid import UUID, uuid5

from ....actors.clock import Clock
from ....actors.store.listing import ListFilter, Order
from ...errors import IdTaken, InstanceNotFound, NoMatch
from ...history.attribution import By
from ...history.status import Status
from ...instance.condition import Condition
from ..reading.listing import ITEMS_MAX, InstanceFilter, Listing
from ..steering.steering import Steering
from .bulk import Matches
from .operation import ActionOptions, BulkAction, BulkOperation, Selection
from .runner import Matching, Skipped

# By default these reach the descendants too.
RECURSIVE = frozenset({BulkAction.TERMINATE, BulkAction.PURGE})


class SelectedInstances:
    """Finds the instances of operations, and does the actions."""

    def __init__(self, listing: Listing, steering: Steering, clock: Clock) -> None:
        self._listing = listing
        self._steering = steering
        self._clock = clock

    async def count(self, selection: Selection) -> Matches:
        """Count the instances that a selection fits."""
        counted = await self._listing.count(wanted_by(selection))
        return Matches(sum(group.total for group in counted.groups), counted.more)

    async def matching(self, operation: BulkOperation, *, cursor: str | None, limit: int) -> Matching:
        """List ids of instances that the selection fits, in the order in which they were created."""
        page = await self._listing.list(
            wanted_by(operation.selection), order=Order.CREATED, cursor=cursor, limit=min(limit, ITEMS_MAX)
        )
        return Matching(tuple(item.id for item in page.items), page.cursor)

    async def act(self, operation_id: str, operation: BulkOperation, instance_id: str) -> None:
        """Do the action to one instance; see `Instances.act`.

        Raises:
            Skipped: The instance does not match any more, does not exist, or is in that state already.
        """
        wanted = wanted_by(operation.selection)
        stuck_for_us = wanted.stuck_for_us
        stuck_since_us = self._clock.now_us() - stuck_for_us if stuck_for_us is not None else None
        condition = Condition(filter=plain(wanted), stuck_since_us=stuck_since_us)
        try:
            already = await self._do(operation, operation_id, instance_id, condition)
        except NoMatch as error:
            raise Skipped from error
        except InstanceNotFound as error:
            if operation.action is not BulkAction.PURGE:  # an instance that does not exist counts as purged
                raise Skipped from error
        else:
            if already is not None:
                raise Skipped

    async def _do(
        self, operation: BulkOperation, operation_id: str, instance_id: str, condition: Condition
    ) -> Status | None:
        """Do the action; return the status of the instance, if the action has changed nothing."""
        steering, action, options = self._steering, operation.action, operation.options
        by = operation.by._replace(operation=operation_id)
        recurse = recurses(action, options)
        match action:
            case BulkAction.SUSPEND:
                return await steering.suspend(instance_id, by=by, recurse=recurse, condition=condition)
            case BulkAction.RESUME:
                return await steering.resume(instance_id, by=by, recurse=recurse, condition=condition)
            case BulkAction.TERMINATE:
                return await steering.terminate(instance_id, by=by, recurse=recurse, condition=condition)
            case BulkAction.PURGE:
                await steering.purge(instance_id, by=by, recurse=recurse, force=options.force, condition=condition)
            case BulkAction.RERUN:
                await self._rerun(operation_id, instance_id, by, condition)
        return None

    async def _rerun(self, operation_id: str, instance_id: str, by: By, condition: Condition) -> None:
        """Run an instance again under an id that follows from its own and the operation's."""
        new_id = str(uuid5(UUID(operation_id), instance_id))
        try:
            await self._steering.rerun(instance_id, by=by, new_id=new_id, condition=condition)
        except IdTaken:
            return  # by this operation, before a crash


def recurses(action: BulkAction, options: ActionOptions) -> bool:
    """Whether an action reaches the descendants."""
    return action in RECURSIVE if options.recurse is None else options.recurse


def wanted_by(selection: Selection) -> InstanceFilter:
    """The filter of a selection: its conditions, of instances that had begun before its moment."""
    conditions = {each.name: getattr(selection.filter, each.name) for each in fields(ListFilter)}
    until_us = selection.filter.created_to_us
    conditions["created_to_us"] = selection.moment_us if until_us is None else min(until_us, selection.moment_us)
    return InstanceFilter(**conditions, stuck_for_us=selection.stuck_for_us)


def plain(wanted: InstanceFilter) -> ListFilter:
    """The part of a filter that an instance can check of itself."""
    return ListFilter(**{each.name: getattr(wanted, each.name) for each in fields(ListFilter)})
