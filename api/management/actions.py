"""What is sent to steer an instance, and what comes back."""

from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Reason = Annotated[str | None, Meta(description="Why; it stands in the audit, for some actions in the history too")]


class Action(Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of suspend, resume, terminate and purge. Each takes all of it, and heeds what it can mean."""

    reason: Reason = None
    recurse: Annotated[
        bool | None,
        Meta(description="Do it to all descendants too. By default terminate and purge do, suspend and resume do not"),
    ] = None
    force: Annotated[bool, Meta(description="Of purge: with any status")] = False
    output: Annotated[
        Raw | UnsetType, Meta(description="Of terminate: the result that the instance then has; any JSON")
    ] = UNSET


class ActionDone(Struct, kw_only=True, frozen=True):
    """The answer to an action."""

    id: str
    affected: Annotated[
        int | UnsetType, Meta(description="Of purge: how many instances were forgotten, descendants included")
    ] = UNSET


def json_text(value: Raw | UnsetType) -> str | None:
    """The text of a JSON value as it was sent; None if it is absent or null."""
    if value is UNSET:
        return None
    text = bytes(value).decode()
    return None if text == "null" else text
