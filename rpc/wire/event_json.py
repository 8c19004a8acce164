"""Events of a history as protobuf's JSON has them, for doors that are not gRPC.

The rule: it is the event that a worker would be sent, with what an SDK has put into it and we have no field for.

`daemon/daemon.py` gives it to the HTTP door, which knows no messages.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.json_format import MessageToDict

from ...runtime.history.timed_event import TimedEvent
from .history import HistoryWriter


def event_writer(app_id: str) -> Callable[[str, TimedEvent], dict[str, Any]]:
    """Make a function that writes an event of an instance, given its id, as an object of JSON."""

    def write(instance_id: str, timed: TimedEvent) -> dict[str, Any]:
        message: Any = HistoryWriter(app_id=app_id, instance_id=instance_id).write(timed)
        # 0 is the default of its type, which protobuf leaves out.
        return {"eventId": 0, **MessageToDict(message)}

    return write
