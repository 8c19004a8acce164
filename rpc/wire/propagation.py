"""Serializes the histories of its ancestors that an activity or a child may see (contract 3.21).

The rule: a history is shown only as far as its instances allow.

The chunks are unsigned: SDKs accept that, and Perdure has no keys.

The engine gets `propagation` from `daemon/`, because it knows no wire.
"""

from collections.abc import Callable, Iterable, Sequence

from ...runtime.history.event import ExecutionStarted, Propagation
from ...runtime.history.timed_event import TimedEvent
from ..messages import PropagatedHistory
from .history import HistoryWriter


def propagate(
    events: Iterable[TimedEvent], writer: HistoryWriter, *, scope: int, received: bytes | None
) -> bytes | None:
    """Serialize the visible histories: the chunks received from the ancestors, if the scope has them, and our own
    chunk.

    Args:
        events: The history up to the event that makes the request, inclusive.
        scope: A Propagation.
        received: The serialized PropagatedHistory that the workflow itself may see.

    Returns:
        A serialized PropagatedHistory; None if no history is visible.
    """
    if scope == Propagation.NONE:
        return None
    shown = PropagatedHistory(scope=scope)
    if scope == Propagation.LINEAGE and received is not None:
        shown.chunks.extend(PropagatedHistory.FromString(received).chunks)
    own = shown.chunks.add(appId=writer.app_id, instanceId=writer.instance_id)
    for timed in events:
        own.rawEvents.append(writer.write(timed).SerializeToString(deterministic=True))
        if isinstance(timed.event, ExecutionStarted):
            own.workflowName = timed.event.name
    return shown.SerializeToString()


def propagation(app_id: str) -> Callable[[str, Sequence[TimedEvent], int, bytes | None], bytes | None]:
    """Return the function with which an engine serializes visible histories, for the app of this id."""

    def show(instance_id: str, events: Sequence[TimedEvent], scope: int, received: bytes | None) -> bytes | None:
        writer = HistoryWriter(app_id=app_id, instance_id=instance_id)
        return propagate(events, writer, scope=scope, received=received)

    return show
