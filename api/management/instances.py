"""The structs of instances in the management API: list items, descriptions, counts, trees.

The rule: these structs define the API. The OpenAPI document, the answers, the Python client's values and the reference
page are made from them, so a field is named only here, and is never renamed in a release that keeps `/api/v1`.
"""

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

CUSTOM_STATUS_MAX = 128  # characters of a custom status in a list

StatusWord = Annotated[str, Meta(description="Dapr's status in upper case, or STALLED, or SET_ASIDE")]


class WaitingFor(Struct, kw_only=True, frozen=True):
    """An entry of the list of things that an instance waits for."""

    kind: Annotated[
        str,
        Meta(description="activity, child, timer, event, start, worker, code, resume or release"),
    ]
    name: Annotated[str | None, Meta(description="The name of the activity, the child's workflow or the event")]
    since: datetime | None
    due: Annotated[datetime | None, Meta(description="When the wait ends by itself, or the next attempt begins")]
    attempt: Annotated[int | None, Meta(description="The attempt of an activity or a child, from 1")]
    event_id: Annotated[int | None, Meta(description="The event id of the request, for `repair`")]
    state: Annotated[str | None, Meta(description="For an activity, or a turn of a worker: queued or running")]
    child_id: Annotated[str | None, Meta(description="The instance id of a child")]
    app_id: Annotated[
        str | UnsetType, Meta(description="The app of an activity or a child, if the request names an app")
    ] = UNSET


class InstanceSummary(Struct, kw_only=True, frozen=True):
    """An instance in a list. It never contains a payload."""

    id: str
    name: Annotated[str, Meta(description="The name of the workflow")]
    status: StatusWord
    custom_status: Annotated[str | None, Meta(description=f"Its first {CUSTOM_STATUS_MAX} characters")]
    created: Annotated[datetime, Meta(description="The first start; continue-as-new keeps it")]
    updated: Annotated[datetime, Meta(description="The last change of status, custom status or generation")]
    ended: datetime | None
    parent: Annotated[str | None, Meta(description="The id of its parent")]
    root: Annotated[str | None, Meta(description="The id of the oldest ancestor; null: no parent")]
    generation: Annotated[int, Meta(ge=0, description="The number of times that it has continued as new")]
    tags: dict[str, str]
    app_id: str
    parent_app_id: Annotated[str | UnsetType, Meta(description="The app of its parent, if it is another app")] = UNSET
    waiting_for: Annotated[list[WaitingFor] | UnsetType, Meta(description="With `with=waiting_for`")] = UNSET
    children: Annotated[
        dict[str, int] | UnsetType, Meta(description="With `with=children`: the number of its children by status")
    ] = UNSET


class InstanceList(Struct, kw_only=True, frozen=True):
    """A page of a list."""

    items: list[InstanceSummary]
    cursor: Annotated[
        str | None,
        Meta(description="Opaque, for the next page; null: this page is the last. A short page may have a cursor"),
    ]


class CountGroup(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """The number of instances that share these values. Fields that were not counted by are left out."""

    count: Annotated[int, Meta(ge=0)]
    status: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    root: Annotated[bool | UnsetType, Meta(description="true: without a parent")] = UNSET


class CountResult(Struct, kw_only=True, frozen=True):
    """The answer to a count."""

    counts: list[CountGroup]
    more: Annotated[bool, Meta(description="The count stopped at its limit, and there are more")]


class FailedStep(Struct, kw_only=True, frozen=True):
    """The activity or the child whose failure has failed an instance."""

    name: str
    id: Annotated[int | str, Meta(description="The event id of an activity's attempt, or the id of a child")]
    attempt: int | None


class FailureReport(Struct, kw_only=True, frozen=True):
    """Why an instance has failed."""

    type: str
    message: str
    traceback: str | None
    activity: FailedStep | None = None
    child: FailedStep | None = None
    cause: "FailureReport | None" = None


class StallReport(Struct, kw_only=True, frozen=True):
    """Why an instance is stalled or set aside."""

    kind: Annotated[str, Meta(description="Dapr's reason for a stall, SET_ASIDE, or UNREADABLE")]
    reason: str


class HistorySize(Struct, kw_only=True, frozen=True):
    """The size of the history of the current generation."""

    turns: Annotated[int, Meta(ge=0)]
    events: Annotated[int, Meta(ge=0)]
    bytes: Annotated[int, Meta(ge=0)]


class InstanceDetails(InstanceSummary, kw_only=True, frozen=True):
    """The description of an instance: the fields of a list item, and the reasons why it does not go on."""

    execution_id: Annotated[str, Meta(description="The execution id of the current generation")]
    first_execution_id: Annotated[str, Meta(description="The execution id of the first generation; the ETag has it")]
    input_bytes: Annotated[int, Meta(ge=0, description="0: no input")]
    output_bytes: Annotated[int, Meta(ge=0, description="0: no output")]
    history: HistorySize
    failure: FailureReport | None
    stall: StallReport | None


class InstanceTree(Struct, kw_only=True, frozen=True):
    """An instance and its descendants, down to the requested depth."""

    id: str
    name: str
    status: StatusWord
    children: list["InstanceTree"]
    more: Annotated[bool, Meta(description="Children were left out, because the tree is too deep or too large")]
    app_id: Annotated[str | UnsetType, Meta(description="Its app, if that differs from the parent's app")] = UNSET
