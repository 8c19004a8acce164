"""Attribution: on whose behalf an instance is changed.

The rule: a door fills it in from what it knows (the token's name, itself), never from what a caller says of itself.
"""

from typing import NamedTuple


class By(NamedTuple):
    """The author of a change, for the audit."""

    actor: str = "embedded"  # the token's name; "anonymous" without tokens; "embedded"; "offline"
    door: str = "embedded"  # "api", "dapr-http", "dapr-grpc", "embedded", "offline", "engine"
    reason: str | None = None
    operation: str | None = None  # the id of the bulk operation that the change belongs to


EMBEDDED = By()
OFFLINE = By(actor="offline", door="offline")  # a command at a store that no daemon has
