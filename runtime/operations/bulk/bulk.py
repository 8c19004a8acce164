"""Bulk operations as callers see them: plan, begin, look, cancel.

The rule: nothing begins without a plan, so that the number of instances is seen before they are changed.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol
from uuid import UUID, uuid5

from ....actors.address import Address
from ....actors.clock import Clock
from ....actors.errors import PerdureError
from ....actors.hosting.host import Host
from ....actors.store.listing import ListFilter, Order
from ...directory import AppAddresses
from ...errors import InvalidRequest
from ...history.attribution import By
from .actor import Begin, Cancel, Look, OperationStatus
from .operation import ActionOptions, BulkAction, BulkOperation, Selection
from .plan import Plan, Restated, read_plan

OPERATIONS = UUID("7a1de9b4-2a0f-5c15-8a5e-0d53f0a4f1b7")  # of the ids that follow from plans
RATE = 500.0  # instances a second, unless the caller says otherwise
RATE_MAX = 10_000.0


class Matches(NamedTuple):
    """How many instances a selection fits."""

    total: int
    more: bool  # there are more than were counted


class Selecting(Protocol):
    """Counts the instances of a selection."""

    async def count(self, selection: Selection) -> Matches:
        """Count the instances that a selection fits."""
        ...


class OperationPage(NamedTuple):
    """A part of the list of operations, the newest first."""

    operations: Sequence[OperationStatus]
    cursor: str | None


class Bulk:
    """Plans, begins and describes bulk operations."""

    def __init__(self, host: Host, own: AppAddresses, clock: Clock, selecting: Selecting) -> None:
        self._host = host
        self._own = own
        self._clock = clock
        self._selecting = selecting

    async def plan(
        self,
        action: BulkAction,
        wanted: ListFilter,
        *,
        stuck_for_us: int | None = None,
        options: ActionOptions = ActionOptions(),  # noqa: B008  a value that nothing changes
        reason: str | None = None,
        rate: float = RATE,
    ) -> Plan:
        """Make a plan, and count the instances that it is for.

        Args:
            stuck_for_us: Only instances that are stalled, set aside, or have an open activity and no turn for this
                time, in microseconds.
            rate: Instances a second, at most.

        Raises:
            InvalidRequest: The rate is out of its range.
        """
        if not 0 < rate <= RATE_MAX:
            raise InvalidRequest(f"the rate must be above 0 and at most {RATE_MAX:g} instances a second, not {rate:g}")
        selection = Selection(wanted, self._clock.now_us(), stuck_for_us)
        matches = await self._selecting.count(selection)
        return Plan(action, selection, options, reason, float(rate), matches.total, matches.more)

    async def begin(
        self, plan: str, *, action: BulkAction, by: By, restated: Restated | None = None
    ) -> OperationStatus:
        """Begin the operation of a plan. A plan begins one operation, even if it is given several times.

        Args:
            plan: As `Plan.write` gave it.
            action: Must be the plan's.
            by: The author. A reason replaces the plan's.
            restated: Values given beside the plan, which must be the plan's; None: none.

        Raises:
            InvalidRequest, PlanExpired: Nothing was begun.
        """
        now_us = self._clock.now_us()
        read = read_plan(plan, now_us=now_us)
        if read.action is not action:
            raise InvalidRequest(f"the plan is one to {read.action.value} instances, not to {action.value} them")
        if restated is not None and (name := read.difference(restated)) is not None:
            raise InvalidRequest(f"the plan has another {name!r} than the request: make a dry run of that request")
        operation = BulkOperation(
            read.action,
            read.selection,
            read.options,
            by if by.reason is not None else by._replace(reason=read.reason),
            read.rate,
            read.matches,
            read.more,
            now_us,
            now_us,
        )
        status: OperationStatus = await self._host.ask(self._address(uuid5(OPERATIONS, plan).hex), Begin(operation))
        return status

    async def get(self, operation_id: str) -> OperationStatus:
        """Return the progress of an operation.

        Raises:
            OperationNotFound: There is no such operation.
        """
        status: OperationStatus = await self._host.ask(self._address(operation_id), Look())
        return status

    async def list(self, *, cursor: str | None = None, limit: int = 50) -> OperationPage:
        """List operations, the newest first. One that cannot be read is left out."""
        kind = self._own.operation
        page = await self._host.lists.list(kind, ListFilter(), order=Order.NEWEST, cursor=cursor, limit=limit)
        found: list[OperationStatus] = []
        for listed in page.listed:
            try:
                found.append(await self.get(listed.id))
            except PerdureError:
                continue
        return OperationPage(found, page.cursor)

    async def cancel(self, operation_id: str, *, by: By) -> OperationStatus:
        """End an operation after its present step; do nothing if it has ended.

        Raises:
            OperationNotFound: There is no such operation.
        """
        status: OperationStatus = await self._host.ask(self._address(operation_id), Cancel(by))
        return status

    def _address(self, operation_id: str) -> Address:
        return Address(self._own.operation, operation_id)
