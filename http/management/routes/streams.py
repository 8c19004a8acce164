"""The handlers that tell of changes as they come, in Server-Sent Events.

The rule: a reader misses nothing without being told. Each event has the position behind it as its id, from which a
browser goes on by itself after a break; what the ring does not have any more becomes a `reset`, and the reader looks at
the list again.
"""

import anyio
from starlette.responses import Response

from ....actors.store.listing import ListFilter
from ....api.management.moments import encode
from ....api.management.shapes import summary
from ....api.words import NOT_FOUND
from ....runtime.errors import InstanceNotFound
from ....runtime.history.record import unpack_record
from ....runtime.history.row import CorruptHistory
from ....runtime.operations.management import InstanceOperations
from ....runtime.operations.reading.feed import FeedEvent, FeedKind
from ....runtime.operations.reading.item import item_of
from ..call import ManagementCall
from ..endpoint import EVENT_STREAM, Endpoint, Success
from ..live import LiveStream, Write

HEARTBEAT_S = 15.0  # so that proxies keep the connection, and a reader that is gone is found
PAUSE_S = 0.05  # between two writes, so that many changes are one write
RETRY_MS = 1000  # how long a browser waits before it connects again

TEXT = (
    "Each event has a name, an id and an object of JSON. `ready` comes first. `change`: the item of an instance that "
    "fits the filter, after a change of its status, custom status or generation. `leave`: `{id, status}` of one that "
    "fits it no more. `gone`: `{id}` of one that was purged. `reset`: something was missed; look at the list again. A "
    "comment comes every 15 s. The stream ends when the daemon stops."
)

ALL_EVENTS = Endpoint(
    "follow_instances",
    "GET",
    "/events",
    "events",
    "Follow the changes of instances, on all hosts",
    (Success(200, "The events", media=(EVENT_STREAM,)),),
    filters=True,
    headers=("Last-Event-ID",),
    description=f"{TEXT} `stuck_for` cannot be followed: it changes without an event.",
)
EVENTS = Endpoint(
    "follow_instance",
    "GET",
    "/instances/{id}/events",
    "events",
    "Follow the changes of an instance",
    (Success(200, "The events", media=(EVENT_STREAM,)),),
    errors=(NOT_FOUND,),
    headers=("Last-Event-ID",),
    description=TEXT,
)

STREAMS = (ALL_EVENTS, EVENTS)

HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class StreamRoutes:
    """The handlers of streams of changes.

    Args:
        app_id: The app that the daemon hosts.
        stopping: Set when the daemon begins to stop.
    """

    def __init__(self, management: InstanceOperations, *, app_id: str, stopping: anyio.Event) -> None:
        self.feed = management.feed
        self.descriptions = management.views.descriptions
        self.app_id = app_id
        self.stopping = stopping

    async def follow_instances(self, call: ManagementCall) -> Response:
        """Stream the changes of the instances of a filter."""
        wanted = call.query.filter(app_id=self.app_id)
        if wanted.stuck_for_us is not None:
            raise call.query.refusal("'stuck_for' cannot be followed: it changes without an event. Ask the list.")
        return self.stream(call, wanted, None)

    async def follow_instance(self, call: ManagementCall) -> Response:
        """Stream the changes of an instance."""
        instance_id = call.id
        if await self.descriptions.outline(instance_id) is None:
            raise InstanceNotFound(instance_id)
        return self.stream(call, ListFilter(), instance_id)

    def stream(self, call: ManagementCall, wanted: ListFilter, only: str | None) -> Response:
        """Make the stream of what fits."""
        after = call.request.headers.get("last-event-id")

        async def produce(write: Write) -> None:
            async with self.feed.reading(wanted, only=only, after=after) as reader:
                await write(b"retry: %d\n" % RETRY_MS + event("ready", reader.position, {}))
                while True:
                    found: list[FeedEvent] | None = None
                    with anyio.move_on_after(HEARTBEAT_S):
                        found = await reader.next()
                    if found is None:
                        await write(b": \n\n")
                    elif found:
                        await write(b"".join(map(self.written, found)))
                    await anyio.sleep(PAUSE_S)

        return LiveStream(produce, self.stopping, media_type=EVENT_STREAM, headers=HEADERS)

    def written(self, told: FeedEvent) -> bytes:
        """Write an event."""
        return event(told.kind, told.position, self.data(told))

    def data(self, told: FeedEvent) -> object:
        """The object that an event has."""
        if told.kind is FeedKind.RESET:
            return {}
        if told.facets is None:
            return {"id": told.id}
        if told.kind is FeedKind.CHANGE:
            try:
                return summary(item_of(told.id, unpack_record(told.record), told.facets, app_id=self.app_id))
            except CorruptHistory:  # of a later release
                pass
        return {"id": told.id, "status": told.facets.status}


def event(name: str, position: str, data: object) -> bytes:
    """Write an event as Server-Sent Events has it. JSON has no line break in it."""
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), position.encode(), encode(data))
