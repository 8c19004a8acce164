"""Attribution: on whose behalf an instance is changed.

The rule: a door fills it in from its own knowledge (the token's name, itself), never from a statement of the caller.
"""

from typing import NamedTuple


class By(NamedTuple):
    """The author of a change, for the audit."""

    actor: str = "embedded"  # the token's name; "anonymous" without tokens; "embedded"; "offline"
    door: str = "embedded"  # "api", "dapr-http", "dapr-grpc", "embedded", "offline", "engine"
    reason: str | None = None
    operation: str | None = None  # the id of the bulk operation that the change belongs to


EMBEDDED = By()
OFFLINE = By(actor="offline", door="offline")  # a command on a store without a daemon


def because(by: By | None, reason: str | None) -> By | None:
    """Give an author the reason that stands in the history, if the author has given no other."""
    return by._replace(reason=reason) if by is not None and by.reason is None and reason is not None else by
