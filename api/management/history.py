"""The structs of histories in the management API: Dapr's events in protobuf's JSON, each with a key.

The rule: these are records. An event is kept as JSON, because its shape is Dapr's.

`http/management/routes/histories.py` makes them, and `client/management_client.py` reads them.
"""

from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct

from ...runtime.history.timed_event import TimedEvent

# Encodes an event of the instance of this id in protobuf's JSON; `rpc/wire/event_json.py` makes such a function.
EventJson = Callable[[str, TimedEvent], dict[str, Any]]

PAYLOADS = ("none", "head", "full")
HEAD_CHARS = 256
FULL_BYTES_MAX = 64 * 1024  # a longer payload is fetched by itself


class HistoryList(Struct, kw_only=True, frozen=True):
    """A page of a history."""

    items: Annotated[
        list[dict[str, Any]],
        Meta(
            description=(
                "Dapr's HistoryEvents in protobuf's JSON, each with a `key`; with `payloadBytes` if it has a "
                "payload; and with `began`, the start of the activity, if it is the answer to one"
            )
        ),
    ]
    cursor: Annotated[str | None, Meta(description="Opaque, for the next page; null: this page is the last")]
