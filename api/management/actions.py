"""The bodies of requests that act on an instance, and of their answers.

The rule: these are records, and decoding a body checks its types.

`http/management/routes/actions.py` decodes and encodes them, and `client/remote.py` does the reverse.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Reason = Annotated[str | None, Meta(description="Why; it stands in the audit, for some actions in the history too")]


class Action(Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of suspend, resume, terminate and purge. Each accepts all fields, and uses its own."""

    reason: Reason = None
    recurse: Annotated[
        bool | None,
        Meta(description="Do it to all descendants too. By default terminate and purge do, suspend and resume do not"),
    ] = None
    force: Annotated[bool, Meta(description="Of purge: with any status")] = False
    output: Annotated[
        Raw | UnsetType, Meta(description="Of terminate: the result that the instance then has; any JSON")
    ] = UNSET


class GivenFailure(Struct, forbid_unknown_fields=True, kw_only=True):
    """A failure that a person gives as the answer to an activity or a child."""

    type: Annotated[str, Meta(min_length=1, description="The class of the error, as the workflow sees it")] = "Error"
    message: str = ""
    traceback: str | None = None
    non_retriable: Annotated[bool, Meta(description="The workflow's retry policy does not try again")] = False


class RepairRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """The answer to an open entry of an instance."""

    action: Annotated[
        Literal["retry", "complete", "fail", "fire", "release"],
        Meta(
            description=(
                "`retry` an activity: now, if it waits for its next attempt; once more, if it hangs. `complete` or "
                "`fail` it, or a child. `fire` a timer. `release` an instance that is set aside."
            )
        ),
    ]
    event_id: Annotated[
        int | None, Meta(description="Of an entry of `waiting_for`; all actions but `release` need it")
    ] = None
    result: Annotated[Raw | UnsetType, Meta(description="Of `complete`: any JSON")] = UNSET
    failure: Annotated[GivenFailure | None, Meta(description="Of `fail`, which needs it")] = None
    reason: Reason = None


class RerunBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """How an instance that has ended is run again as a new instance."""

    from_event: Annotated[
        int | None,
        Meta(description="Dapr's eventId, from which on it is run again. Without it: from its beginning"),
    ] = None
    id: Annotated[
        Annotated[str, Meta(min_length=1)] | None, Meta(description="Of the new instance; a new UUID by default")
    ] = None
    input: Annotated[
        Raw | UnsetType,
        Meta(description="Another input, any JSON: of the instance, or with `from_event` of that event"),
    ] = UNSET
    reason: Reason = None
    dry_run: Annotated[bool, Meta(description="Say what would be kept and repeated, and do nothing")] = False


class RerunStepInfo(Struct, kw_only=True, frozen=True):
    """A request of an instance in its history."""

    event_id: int
    kind: Annotated[str, Meta(description="activity, child, timer, event or detached")]
    name: Annotated[
        str | None, Meta(description="Of the activity, the workflow or the event; of a timer what it is for")
    ]


class RerunPreview(Struct, kw_only=True, frozen=True):
    """The steps that a rerun would keep, and those that it would repeat."""

    kept: Annotated[list[RerunStepInfo], Meta(description="With the answers that they have had")]
    repeated: Annotated[
        list[RerunStepInfo],
        Meta(description="Asked for again. The steps behind them hold if the code decides as it did"),
    ]


class ActionDone(Struct, kw_only=True, frozen=True):
    """The answer to an action."""

    id: str
    affected: Annotated[
        int | UnsetType, Meta(description="Of purge: how many instances were forgotten, descendants included")
    ] = UNSET
    already: Annotated[
        str | UnsetType,
        Meta(description="Nothing was changed: the status that the instance had, and has. Absent: it was changed"),
    ] = UNSET


def json_text(value: Raw | UnsetType) -> str | None:
    """Return the text of a JSON value as it was sent; None if it is missing or null."""
    if value is UNSET:
        return None
    text = bytes(value).decode()
    return None if text == "null" else text
