"""The structs of a request that changes values of a state store.

The rule: a value is any JSON, and is kept byte for byte as it is in the request.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from ...runtime.state.state import TTL_S_MAX, StateChange


class ValueChange(Struct, forbid_unknown_fields=True, kw_only=True):
    """A change that saves or deletes a value."""

    key: Annotated[str, Meta(min_length=1)]
    value: Annotated[Raw | UnsetType, Meta(description="Any JSON, kept unchanged. Missing: delete it")] = UNSET
    etag: Annotated[str, Meta(description="The etag that the present value must have; empty: any")] = ""
    new: Annotated[bool, Meta(description="There must be no present value")] = False
    ttl_s: Annotated[int, Meta(ge=0, le=TTL_S_MAX, description="The life of the value in seconds; 0: no end")] = 0


class StateChanges(Struct, forbid_unknown_fields=True, kw_only=True):
    """Changes of the values of a state store."""

    changes: Annotated[
        list[ValueChange], Meta(description="All changes are made, or none. Etags are those before the first change")
    ]


def changes_in(body: StateChanges) -> Sequence[StateChange]:
    """Return the changes in the body of a request."""
    return [
        StateChange(
            each.key, None if each.value is UNSET else bytes(each.value), each.etag.strip('"'), each.new, each.ttl_s
        )
        for each in body.changes
    ]


def body_of(changes: Sequence[StateChange]) -> StateChanges:
    """Make the body of a request with changes, whose values are JSON."""
    return StateChanges(
        changes=[
            ValueChange(
                key=each.key,
                value=UNSET if each.value is None else Raw(each.value),
                etag=each.etag,
                new=each.first_write,
                ttl_s=min(each.ttl_s, TTL_S_MAX),
            )
            for each in changes
        ]
    )
