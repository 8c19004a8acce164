"""Histories that an activity or a child may see of the workflows above it (contract 3.21).

The rule: a history is shown as far as its instances allow, and no further.

Unsigned: SDKs take a chunk without signatures, and Perdure has no keys.

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
    """Serialize the histories to be shown: the chunks received from above, if the scope has them, and one of our own.

    Args:
        events: The history up to the asking event, that one included.
        scope: A Propagation.
        received: The serialized PropagatedHistory that the asking workflow may itself see.

    Returns:
        A serialized PropagatedHistory; None if nothing is to be shown.
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
    """Return the function with which an engine shows histories, for the app of this id."""

    def show(instance_id: str, events: Sequence[TimedEvent], scope: int, received: bytes | None) -> bytes | None:
        writer = HistoryWriter(app_id=app_id, instance_id=instance_id)
        return propagate(events, writer, scope=scope, received=received)

    return show
