"""The structs of bulk operations in the management API: the request, the plan, and the progress of an operation.

The rule: these are records, and decoding a body checks its types.

`http/management/routes/bulk.py` decodes and encodes them, and `client/management_client.py` does the reverse.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from ...runtime.operations.bulk.actor import ERRORS_MAX, OperationStatus
from ...runtime.operations.bulk.bulk import RATE, RATE_MAX, OperationPage
from ...runtime.operations.bulk.operation import ActionOptions, BulkAction
from ..words import Refusal
from .actions import Reason
from .filters import FilterBody
from .instances import InstanceSummary
from .moments import Moment
from .words import BODY_INVALID

SAMPLE_MAX = 20
ACTIONS = tuple(action.value for action in BulkAction)


class BulkRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of a bulk action: either a dry run with a filter, or the plan of a dry run.

    Other values beside a plan must be equal to the plan's. A reason replaces the reason of the plan.
    """

    filter: Annotated[FilterBody | UnsetType, Meta(description="The instances; an empty filter matches all")] = UNSET
    reason: Reason = None
    recurse: Annotated[
        bool | None,
        Meta(description="Include the descendants of each. The default is true for terminate and purge, else false"),
    ] = None
    force: Annotated[bool, Meta(description="For purge: whatever the status")] = False
    rate: Annotated[
        float | None, Meta(description=f"Instances a second, at most {RATE_MAX:g}; {RATE:g} by default")
    ] = None
    dry_run: Annotated[bool, Meta(description="Only count the instances and answer with a plan")] = False
    plan: Annotated[
        str | None,
        Meta(description="The plan of a dry run in the last 15 minutes. Other values must be equal to the plan's"),
    ] = None

    def check(self) -> None:
        """Check that the body is either a dry run or a plan.

        Raises:
            Refusal: The body is neither, or both.
        """
        if self.plan is None and not self.dry_run:
            raise _invalid("nothing begins without a plan: send the filter with `dry_run: true`, then the plan")
        if self.plan is not None and self.dry_run:
            raise _invalid("it is either a dry run or a plan: leave out `dry_run` to begin, or `plan` to count again")
        if self.dry_run and self.filter is UNSET:
            raise _invalid("`filter` is missing; an empty object matches all instances")

    @property
    def options(self) -> ActionOptions:
        """Return the options of the action on each instance."""
        return ActionOptions(recurse=self.recurse, force=self.force)


class BulkPlan(Struct, kw_only=True, frozen=True):
    """The answer to a dry run."""

    matches: Annotated[int, Meta(ge=0, description="The number of instances that the filter matches now")]
    more: Annotated[bool, Meta(description="The count stopped at its limit, and there are more")]
    sample: Annotated[list[InstanceSummary], Meta(max_length=SAMPLE_MAX)]
    plan: Annotated[str, Meta(description="Opaque. Begins the operation within 15 minutes")]


class InstanceError(Struct, kw_only=True, frozen=True):
    """An instance on which the action failed."""

    id: str
    message: str


class OperationInfo(Struct, kw_only=True, frozen=True):
    """A bulk operation."""

    id: str
    state: Annotated[str, Meta(description="RUNNING, COMPLETED or CANCELED")]
    action: Annotated[str, Meta(description=", ".join(ACTIONS))]
    matches: Annotated[int, Meta(ge=0, description="The number of instances that the dry run found")]
    more: Annotated[bool, Meta(description="The dry run found more than it counted")]
    done: Annotated[int, Meta(ge=0)]
    failed: Annotated[int, Meta(ge=0)]
    skipped: Annotated[
        int,
        Meta(
            ge=0,
            description="Instances that the filter did not match any more when the operation reached them, that "
            "had ended, or that already were in the state that the action leads to",
        ),
    ]
    errors: Annotated[list[InstanceError], Meta(description=f"The first {ERRORS_MAX}")]
    created: datetime
    updated: datetime
    ended: datetime | None
    actor: Annotated[str, Meta(description="The caller who began it, as in the audit")]
    reason: str | None


class OperationList(Struct, kw_only=True, frozen=True):
    """A page of operations, the newest first. Their errors are left out."""

    items: list[OperationInfo]
    cursor: Annotated[str | None, Meta(description="Opaque, for the next page; null: this page is the last")]


class CancelRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of a cancellation."""

    reason: Reason = None


def operation_info(status: OperationStatus, *, errors: bool = True) -> OperationInfo:
    """Return an operation in the API's form."""
    operation = status.operation
    progress = operation.progress
    told: Sequence[tuple[str, str]] = status.errors if errors else ()
    return OperationInfo(
        id=status.id,
        state=operation.state.value,
        action=operation.action.value,
        matches=operation.matches,
        more=operation.more,
        done=progress.done,
        failed=progress.failed,
        skipped=progress.skipped,
        errors=[InstanceError(id=instance_id, message=message) for instance_id, message in told],
        created=Moment.at(operation.created_us),
        updated=Moment.at(operation.updated_us),
        ended=Moment.maybe(operation.ended_us),
        actor=operation.by.actor,
        reason=operation.by.reason,
    )


def operation_list(page: OperationPage) -> OperationList:
    """Return a page of operations in the API's form."""
    return OperationList(items=[operation_info(each, errors=False) for each in page.operations], cursor=page.cursor)


def _invalid(detail: str) -> Refusal:
    return Refusal(BODY_INVALID, detail=detail)
