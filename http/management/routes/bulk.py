"""The handlers of bulk operations: plan, begin, describe, cancel.

The rule: an action on many is begun only with the plan of a dry run.

`http/management/app.py` adds the endpoints. `runtime/operations/bulk/bulk.py` does the work.
"""

from dataclasses import fields

from msgspec import UNSET
from starlette.responses import Response

from ....actors.store.listing import ListFilter
from ....api.management.bulk import (
    ACTIONS,
    SAMPLE_MAX,
    BulkPlan,
    BulkRequest,
    CancelRequest,
    OperationInfo,
    OperationList,
    operation_info,
    operation_list,
)
from ....api.management.filters import filter_of_body
from ....api.management.moments import encode
from ....api.management.shapes import summary
from ....api.management.words import (
    BODY_INVALID,
    FILTER_INVALID,
    NO_SUCH_ROUTE,
    OPERATION_MISSING,
    PLAN_EXPIRED,
    REQUEST_INVALID,
)
from ....api.words import Refusal
from ....runtime.history.attribution import By
from ....runtime.operations.bulk.bulk import RATE
from ....runtime.operations.bulk.operation import BulkAction, Selection
from ....runtime.operations.bulk.plan import Restated
from ....runtime.operations.management import InstanceOperations
from ....runtime.operations.reading.listing import InstanceFilter
from ...path import own_path
from ..call import ManagementCall
from ..endpoint import JSON, Endpoint, QueryField, Success
from .endpoints import CURSOR, number

LIMIT = 50
LIMIT_MAX = 200

BULK = Endpoint(
    "bulk_action",
    "POST",
    "/bulk/{action}",
    "bulk",
    "Suspend, resume, terminate, purge or rerun all instances that a filter matches",
    (
        Success(200, "For a dry run: the number of instances, and the plan", BulkPlan),
        Success(202, "For a plan: the operation, which has begun", OperationInfo),
    ),
    errors=(PLAN_EXPIRED, BODY_INVALID, FILTER_INVALID, REQUEST_INVALID, NO_SUCH_ROUTE),
    body=BulkRequest,
    description=(
        "Send a filter and `dry_run: true` first, then the plan. The operation covers the instances that had "
        "begun before the dry run, checks each again before it acts, and goes on after a restart. The same "
        "plan begins only one operation."
    ),
)

LIST_OPERATIONS = Endpoint(
    "list_operations",
    "GET",
    "/operations",
    "bulk",
    "List bulk operations, the newest first",
    (Success(200, "A page", OperationList),),
    query=(CURSOR, QueryField("limit", number(1, LIMIT_MAX), f"{LIMIT} by default")),
)

GET_OPERATION = Endpoint(
    "get_operation",
    "GET",
    "/operations/{id}",
    "bulk",
    "Show the progress of a bulk operation",
    (Success(200, "The operation", OperationInfo),),
    errors=(OPERATION_MISSING,),
)

CANCEL_OPERATION = Endpoint(
    "cancel_operation",
    "POST",
    "/operations/{id}/cancel",
    "bulk",
    "End a bulk operation after its present step",
    (Success(200, "The operation; if it had ended it is not changed", OperationInfo),),
    errors=(OPERATION_MISSING,),
    body=CancelRequest,
)

BULK_ENDPOINTS = (BULK, LIST_OPERATIONS, GET_OPERATION, CANCEL_OPERATION)


class BulkRoutes:
    """The handlers of bulk operations.

    Args:
        app_id: The app that the daemon hosts.
    """

    def __init__(self, management: InstanceOperations, *, app_id: str) -> None:
        self.bulk = management.bulk
        self.listing = management.views.listing
        self.app_id = app_id

    async def bulk_action(self, call: ManagementCall) -> Response:
        """Plan an action on all instances that a filter matches, or begin a planned action.

        Raises:
            Refusal: There is no such action.
        """
        name = call.piece("action")
        if name not in ACTIONS:
            raise Refusal(NO_SUCH_ROUTE, path=own_path(call.request.scope))
        action = BulkAction(name)
        body = await call.body(BulkRequest)
        body.check()
        if body.plan is not None:
            by = By(call.actor, "api", body.reason)
            status = await self.bulk.begin(body.plan, action=action, by=by, restated=self.restated(body))
            return Response(encode(operation_info(status)), status_code=202, media_type=JSON)
        assert body.filter is not UNSET
        wanted = filter_of_body(body.filter, app_id=self.app_id)
        plan = await self.bulk.plan(
            action,
            list_filter(wanted),
            stuck_for_us=wanted.stuck_for_us,
            options=body.options,
            reason=body.reason,
            rate=RATE if body.rate is None else body.rate,
        )
        sample = await self.listing.list(wanted, limit=SAMPLE_MAX)
        answer = BulkPlan(
            matches=plan.matches, more=plan.more, sample=[summary(item) for item in sample.items], plan=plan.write()
        )
        return Response(encode(answer), media_type=JSON)

    def restated(self, body: BulkRequest) -> Restated:
        """Return the fields that the body repeats beside a plan."""
        selection = None
        if body.filter is not UNSET:
            wanted = filter_of_body(body.filter, app_id=self.app_id)
            selection = Selection(list_filter(wanted), 0, wanted.stuck_for_us)
        return Restated(selection, body.options, body.rate)

    async def list_operations(self, call: ManagementCall) -> Response:
        """List bulk operations, the newest first."""
        limit = call.query.number("limit", LIMIT, low=1, high=LIMIT_MAX)
        page = await self.bulk.list(cursor=call.query.text("cursor"), limit=limit)
        return Response(encode(operation_list(page)), media_type=JSON)

    async def get_operation(self, call: ManagementCall) -> Response:
        """Describe a bulk operation."""
        return Response(encode(operation_info(await self.bulk.get(call.id))), media_type=JSON)

    async def cancel_operation(self, call: ManagementCall) -> Response:
        """Cancel a bulk operation."""
        body = await call.body(CancelRequest)
        status = await self.bulk.cancel(call.id, by=By(call.actor, "api", body.reason))
        return Response(encode(operation_info(status)), media_type=JSON)


def list_filter(wanted: InstanceFilter) -> ListFilter:
    """Return the part of a filter that lists support."""
    return ListFilter(**{each.name: getattr(wanted, each.name) for each in fields(ListFilter)})
