"""The handlers that stream changes of instances as Server-Sent Events.

The rule: a reader is notified if it missed changes. The id of an event is the position after it, from which a browser
resumes by itself after a lost connection. If the ring has dropped that position, the stream sends `reset`, and the
reader reads the list again.
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

HEARTBEAT_S = 15.0  # so that proxies keep the connection, and a closed connection is noticed
PAUSE_S = 0.05  # between two writes, so that many changes are one write
RETRY_MS = 1000  # how long a browser waits before it connects again

TEXT = (
    "Each event has a name, an id and a JSON object. `ready` comes first. `change`: the item of an instance that "
    "matches the filter, after a change of status, custom status or generation. `leave`: `{id, status}` of an "
    "instance that no longer matches. `gone`: `{id}` of a purged instance. `reset`: changes were missed; read the list "
    "again. A comment is sent every 15 s. The stream ends when the daemon stops."
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
        """Stream the changes of the instances that a filter matches."""
        wanted = call.query.filter(app_id=self.app_id)
        if wanted.stuck_for_us is not None:
            raise call.query.refusal(
                "'stuck_for' cannot be followed: it changes without an event. Read the list instead."
            )
        return self.stream(call, wanted, None)

    async def follow_instance(self, call: ManagementCall) -> Response:
        """Stream the changes of an instance.

        Raises:
            InstanceNotFound: There is no such instance.
        """
        instance_id = call.id
        if await self.descriptions.outline(instance_id) is None:
            raise InstanceNotFound(instance_id)
        return self.stream(call, ListFilter(), instance_id)

    def stream(self, call: ManagementCall, wanted: ListFilter, only: str | None) -> Response:
        """Make the stream of the changes that the filter matches."""
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
        """Encode an event."""
        return event(told.kind, told.position, self.data(told))

    def data(self, told: FeedEvent) -> object:
        """Return the JSON object of an event."""
        if told.kind is FeedKind.RESET:
            return {}
        if told.facets is None:
            return {"id": told.id}
        if told.kind is FeedKind.CHANGE:
            try:
                return summary(item_of(told.id, unpack_record(told.record), told.facets, app_id=self.app_id))
            except CorruptHistory:  # a later release has written it
                pass
        return {"id": told.id, "status": told.facets.status}


def event(name: str, position: str, data: object) -> bytes:
    """Encode an event in the form of Server-Sent Events. Encoded JSON has no line breaks."""
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), position.encode(), encode(data))
