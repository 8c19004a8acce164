"""Encodes events of a history in protobuf's JSON, for APIs other than gRPC.

The rule: it is the event that a worker would get, with the fields of SDKs that our event lacks.

`daemon/daemon.py` gives it to the HTTP API, which knows no messages.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.json_format import MessageToDict

from ...runtime.history.timed_event import TimedEvent
from .history import HistoryWriter


def event_writer(app_id: str) -> Callable[[str, TimedEvent], dict[str, Any]]:
    """Make the function that encodes an event of an instance, whose id is the first argument, as a JSON object."""

    def write(instance_id: str, timed: TimedEvent) -> dict[str, Any]:
        message: Any = HistoryWriter(app_id=app_id, instance_id=instance_id).write(timed)
        # Protobuf leaves an id of 0 out, because it is the default of its type.
        return {"eventId": 0, **MessageToDict(message)}

    return write
