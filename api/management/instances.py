"""Instances as the management API shows them: in a list, described, counted, as a tree.

The rule: these structs are the API. The OpenAPI document, the answers, the Python client's values and the
reference page come from them, so a field is renamed nowhere but here, and never in a release that keeps `/api/v1`.
"""

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

CUSTOM_STATUS_MAX = 128  # characters of it in a list

StatusWord = Annotated[str, Meta(description="Dapr's word in upper case, or STALLED, or SET_ASIDE")]


class WaitingFor(Struct, kw_only=True, frozen=True):
    """Something that an instance waits for."""

    kind: Annotated[
        str,
        Meta(description="activity, child, timer, event, start, worker, code, resume or release"),
    ]
    name: Annotated[str | None, Meta(description="Of the activity, the child's workflow or the event, as spelled")]
    since: datetime | None
    due: Annotated[datetime | None, Meta(description="When it ends by itself, or is tried again")]
    attempt: Annotated[int | None, Meta(description="Of an activity or a child, from 1")]
    event_id: Annotated[int | None, Meta(description="Of the event that asked for it; what `repair` takes")]
    state: Annotated[str | None, Meta(description="Of an activity, and of a turn for a worker: queued or running")]
    child_id: Annotated[str | None, Meta(description="Of a child: its instance id")]
    app_id: Annotated[
        str | UnsetType, Meta(description="Of an activity or a child that was asked of an app by its id: that id")
    ] = UNSET


class InstanceSummary(Struct, kw_only=True, frozen=True):
    """An instance in a list. It never carries a payload."""

    id: str
    name: Annotated[str, Meta(description="The name of the workflow")]
    status: StatusWord
    custom_status: Annotated[str | None, Meta(description=f"Its first {CUSTOM_STATUS_MAX} characters")]
    created: Annotated[datetime, Meta(description="The first start, kept over continue-as-new")]
    updated: Annotated[datetime, Meta(description="The last change of status, custom status or generation")]
    ended: datetime | None
    parent: Annotated[str | None, Meta(description="The id of its parent")]
    root: Annotated[str | None, Meta(description="The id of the oldest ancestor; null: it has no parent")]
    generation: Annotated[int, Meta(ge=0, description="How often it has continued as new")]
    tags: dict[str, str]
    app_id: str
    parent_app_id: Annotated[str | UnsetType, Meta(description="The app of its parent, if it is another one")] = UNSET
    waiting_for: Annotated[list[WaitingFor] | UnsetType, Meta(description="With `with=waiting_for`")] = UNSET
    children: Annotated[
        dict[str, int] | UnsetType, Meta(description="With `with=children`: how many it has, by status")
    ] = UNSET


class InstanceList(Struct, kw_only=True, frozen=True):
    """A page of a list."""

    items: list[InstanceSummary]
    cursor: Annotated[
        str | None,
        Meta(description="Opaque; asks for the next page. null: this is the last. A page may be short and have one"),
    ]


class CountGroup(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """How many instances share the values that were counted by. Other fields are left out."""

    count: Annotated[int, Meta(ge=0)]
    status: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    root: Annotated[bool | UnsetType, Meta(description="true: without a parent")] = UNSET


class CountResult(Struct, kw_only=True, frozen=True):
    """The answer to a count."""

    counts: list[CountGroup]
    more: Annotated[bool, Meta(description="The count stopped at its limit: there are more than it says")]


class FailedStep(Struct, kw_only=True, frozen=True):
    """The activity or the child that an instance has failed with."""

    name: str
    id: Annotated[int | str, Meta(description="The event id of an activity's attempt, the instance id of a child")]
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
    """How large the history of the current generation is."""

    turns: Annotated[int, Meta(ge=0)]
    events: Annotated[int, Meta(ge=0)]
    bytes: Annotated[int, Meta(ge=0)]


class InstanceDetails(InstanceSummary, kw_only=True, frozen=True):
    """An instance described: the fields of a list, and all that tells why it does not go on."""

    execution_id: Annotated[str, Meta(description="Of the current generation")]
    first_execution_id: Annotated[str, Meta(description="Of the first generation; it stands in the ETag")]
    input_bytes: Annotated[int, Meta(ge=0, description="0: it has no input")]
    output_bytes: Annotated[int, Meta(ge=0, description="0: it has no output")]
    history: HistorySize
    failure: FailureReport | None
    stall: StallReport | None


class InstanceTree(Struct, kw_only=True, frozen=True):
    """An instance and its children, down to the depth that was asked for."""

    id: str
    name: str
    status: StatusWord
    children: list["InstanceTree"]
    more: Annotated[bool, Meta(description="It has children that are left out: the tree is too deep or too large")]
    app_id: Annotated[str | UnsetType, Meta(description="Its app, where that is not the one of its parent")] = UNSET
