"""Converts values of the operations to structs of the management API.

The rule: only this module converts them, so that HTTP and the commands that open a store show the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from ...actors.store.listing import Counted
from ...runtime.history.failure import ACTIVITY_CALL, FailedCall, FailureDetails
from ...runtime.operations.reading.description import Description
from ...runtime.operations.reading.item import InstanceItem
from ...runtime.operations.reading.tree import TreeNode
from ...runtime.operations.reading.waiting import Waiting
from .instances import (
    CountGroup,
    CountResult,
    FailedStep,
    FailureReport,
    HistorySize,
    InstanceDetails,
    InstanceSummary,
    InstanceTree,
    StallReport,
    WaitingFor,
)
from .moments import Moment


def summary(
    item: InstanceItem,
    *,
    waiting: Sequence[Waiting] | UnsetType = UNSET,
    children: Mapping[str, int] | UnsetType = UNSET,
) -> InstanceSummary:
    """Return the list item of an instance."""
    return InstanceSummary(
        **_common(item),
        waiting_for=[waiting_for(each) for each in waiting] if waiting is not UNSET else UNSET,
        children=dict(children) if children is not UNSET else UNSET,
    )


def details(described: Description) -> InstanceDetails:
    """Return the description of an instance."""
    stall = described.stall
    return InstanceDetails(
        **_common(described.item),
        waiting_for=[waiting_for(each) for each in described.waiting_for],
        children=dict(described.children),
        execution_id=described.execution_id,
        first_execution_id=described.first_execution_id,
        input_bytes=described.input_bytes,
        output_bytes=described.output_bytes,
        history=HistorySize(turns=described.turns, events=described.events, bytes=described.bytes),
        failure=failure(described.failure) if described.failure is not None else None,
        stall=StallReport(kind=stall.kind, reason=stall.reason) if stall is not None else None,
    )


def _common(item: InstanceItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "name": item.name,
        "status": item.status,
        "custom_status": item.custom_status,
        "created": Moment.at(item.created_us),
        "updated": Moment.at(item.updated_us),
        "ended": Moment.maybe(item.ended_us),
        "parent": item.parent,
        "root": item.root,
        "generation": item.generation,
        "tags": dict(item.tags),
        "app_id": item.app_id,
        "parent_app_id": UNSET if item.parent_app_id is None else item.parent_app_id,
    }


def waiting_for(waiting: Waiting) -> WaitingFor:
    """Return an entry of `waiting_for`."""
    return WaitingFor(
        kind=waiting.kind,
        name=waiting.name,
        since=Moment.at(waiting.since_us),
        due=Moment.maybe(waiting.due_us),
        attempt=waiting.attempt,
        event_id=waiting.event_id,
        state=waiting.state,
        child_id=waiting.child_id,
        app_id=UNSET if waiting.app_id is None else waiting.app_id,
    )


def failure(found: FailureDetails) -> FailureReport:
    """Return the report of a failure, with its known causes.

    The failed activity or child comes first, also if the code has raised its own error because of it.
    """
    return _failure(found, found.failed_call)


def _failure(found: FailureDetails, call: FailedCall | None) -> FailureReport:
    step = FailedStep(name=call.name, id=call.id, attempt=call.attempt) if call is not None else None
    activity = call is not None and call.kind == ACTIVITY_CALL
    return FailureReport(
        type=found.error_type,
        message=found.message,
        traceback=found.stack_trace,
        activity=step if activity else None,
        child=step if not activity else None,
        cause=_failure(found.cause, found.cause.call) if found.cause is not None else None,
    )


def counts(counted: Counted, by: Sequence[str]) -> CountResult:
    """Return the result of a count."""
    groups: Iterable[dict[str, Any]] = (dict(zip(by, group.values, strict=True)) for group in counted.groups)
    totals = [group.total for group in counted.groups]
    return CountResult(
        counts=[CountGroup(count=total, **values) for total, values in zip(totals, groups, strict=True)],
        more=counted.more,
    )


def tree(node: TreeNode) -> InstanceTree:
    """Return an instance with its descendants."""
    return _tree(node, node.app_id)


def _tree(node: TreeNode, parent_app: str) -> InstanceTree:
    return InstanceTree(
        id=node.id,
        name=node.name,
        status=node.status,
        children=[_tree(child, node.app_id) for child in node.children],
        more=node.more,
        app_id=node.app_id if node.app_id != parent_app else UNSET,
    )
