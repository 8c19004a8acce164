"""The bodies of requests that act on an instance, and of their answers.

The rule: these are records, and decoding a body checks its types.

`http/management/routes/actions.py` decodes and encodes them, and `client/remote.py` does the reverse.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Reason = Annotated[str | None, Meta(description="The reason, for the audit, and for some actions for the history")]


class Action(Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of suspend, resume, terminate and purge. Each accepts all fields, and uses its own."""

    reason: Reason = None
    recurse: Annotated[
        bool | None,
        Meta(description="Include all descendants. The default is true for terminate and purge, else false"),
    ] = None
    force: Annotated[bool, Meta(description="For purge: whatever the status")] = False
    output: Annotated[Raw | UnsetType, Meta(description="For terminate: the result of the instance; any JSON")] = UNSET


class GivenFailure(Struct, forbid_unknown_fields=True, kw_only=True):
    """A failure that a person gives as the answer to an activity or a child."""

    type: Annotated[str, Meta(min_length=1, description="The class of the error for the workflow")] = "Error"
    message: str = ""
    traceback: str | None = None
    non_retriable: Annotated[bool, Meta(description="Retry policies do not try again")] = False


class RepairRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """The answer to an open entry of an instance."""

    action: Annotated[
        Literal["retry", "complete", "fail", "fire", "release"],
        Meta(
            description=(
                "`retry` an activity: at once if it waits for its next attempt, again if it hangs. `complete` or "
                "`fail` an activity or a child. `fire` a timer. `release` an instance that is set aside."
            )
        ),
    ]
    event_id: Annotated[
        int | None, Meta(description="The `event_id` of an entry of `waiting_for`; only `release` needs none")
    ] = None
    result: Annotated[Raw | UnsetType, Meta(description="For `complete`: any JSON")] = UNSET
    failure: Annotated[GivenFailure | None, Meta(description="Required by `fail`")] = None
    reason: Reason = None


class RerunBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """How an instance that has ended is run again as a new instance."""

    from_event: Annotated[
        int | None,
        Meta(description="Dapr's eventId of the event to begin with; by default the beginning"),
    ] = None
    id: Annotated[
        Annotated[str, Meta(min_length=1)] | None, Meta(description="The id of the new instance; by default a new UUID")
    ] = None
    input: Annotated[
        Raw | UnsetType,
        Meta(description="Another input, any JSON: for the instance, or with `from_event` for that event"),
    ] = UNSET
    reason: Reason = None
    dry_run: Annotated[bool, Meta(description="Only answer which steps would be kept and repeated")] = False


class RerunStepInfo(Struct, kw_only=True, frozen=True):
    """A request of an instance in its history."""

    event_id: int
    kind: Annotated[str, Meta(description="activity, child, timer, event or detached")]
    name: Annotated[
        str | None, Meta(description="The name of the activity, the workflow or the event; for a timer its purpose")
    ]


class RerunPreview(Struct, kw_only=True, frozen=True):
    """The steps that a rerun would keep, and the steps that it would repeat."""

    kept: Annotated[list[RerunStepInfo], Meta(description="Steps that keep their answers")]
    repeated: Annotated[
        list[RerunStepInfo],
        Meta(description="Steps that are requested again. Later steps are the same if the code decides the same"),
    ]


class ActionDone(Struct, kw_only=True, frozen=True):
    """The answer to an action."""

    id: str
    affected: Annotated[
        int | UnsetType, Meta(description="For purge: the number of deleted instances, descendants included")
    ] = UNSET
    already: Annotated[
        str | UnsetType,
        Meta(description="The status of the instance, if the action changed nothing. Missing: it changed the instance"),
    ] = UNSET


def json_text(value: Raw | UnsetType) -> str | None:
    """Return the text of a JSON value as it was sent; None if it is missing or null."""
    if value is UNSET:
        return None
    text = bytes(value).decode()
    return None if text == "null" else text
