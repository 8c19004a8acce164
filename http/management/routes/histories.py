"""The handlers that show the history of an instance: in pages, and a single payload.

The rule: a page stays small with payloads of any size. A long payload is fetched by itself, and a browser never shows
it as a page of this site.
"""

from typing import Any

import anyio.lowlevel
import msgspec
from starlette.responses import Response

from ....api.management.history import FULL_BYTES_MAX, HEAD_CHARS, PAYLOADS, EventJson, HistoryList
from ....api.management.moments import Moment, encode
from ....api.management.shapes import failure
from ....api.management.words import EVENT_MISSING, HISTORY_CHANGED, HISTORY_UNREADABLE, REQUEST_INVALID
from ....api.words import NOT_FOUND
from ....runtime.history.failure import FailureDetails
from ....runtime.history.timed_event import TimedEvent
from ....runtime.operations.management import InstanceOperations
from ....runtime.operations.reading.history_page import PAYLOADS as PAYLOAD_FIELDS
from ....runtime.operations.reading.history_page import EventKeyInvalid, KeyedEvent
from ..call import ManagementCall
from ..endpoint import JSON, Endpoint, QueryField, Success
from .endpoints import LIMIT_MAX, TEXT, number, words

LIMIT = 100
WRITTEN_AT_ONCE = 25  # events between two pauses for the turns of instances
ORDERS = ("oldest", "newest")
PLAIN = "text/plain"
KINDS = ("input", "result", "failure")

# A browser that opens a payload may only show it as text.
PAYLOAD_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
    "cache-control": "no-store",
}

HISTORY = Endpoint(
    "get_history",
    "GET",
    "/instances/{id}/history",
    "history",
    "Read the history of an instance",
    (Success(200, "A page of the current generation", HistoryList),),
    errors=(NOT_FOUND, HISTORY_CHANGED, HISTORY_UNREADABLE, REQUEST_INVALID),
    query=(
        QueryField("after", TEXT, "The cursor of the previous page, or an event's key"),
        QueryField("limit", number(1, LIMIT_MAX), f"{LIMIT} by default"),
        QueryField("order", words(*ORDERS), "By default `oldest` first"),
        QueryField(
            "payloads",
            words(*PAYLOADS),
            f"`none`, the first {HEAD_CHARS} characters (`head`, the default), or whole payloads of at most "
            f"{FULL_BYTES_MAX // 1024} KiB (`full`)",
        ),
    ),
)


def _payload(kind: str) -> Endpoint:
    return Endpoint(
        f"get_{kind}",
        "GET",
        f"/instances/{{id}}/history/{{key}}/{kind}",
        "history",
        f"Read the {kind} of an event",
        (Success(200, "The payload, unchanged", media=(JSON, PLAIN)), Success(204, "The event has none")),
        errors=(NOT_FOUND, EVENT_MISSING, HISTORY_CHANGED, HISTORY_UNREADABLE, REQUEST_INVALID),
    )


HISTORIES = (HISTORY, *(_payload(kind) for kind in KINDS))


class HistoryRoutes:
    """The handlers of histories and payloads.

    Args:
        event_json: Writes an event.
    """

    def __init__(self, management: InstanceOperations, event_json: EventJson) -> None:
        self.histories = management.views.histories
        self.event_json = event_json

    async def get_history(self, call: ManagementCall) -> Response:
        """List the events of an instance in pages."""
        instance_id = call.id
        order = call.query.choice("order", ORDERS[0], ORDERS)
        payloads = call.query.choice("payloads", "head", PAYLOADS)
        limit = call.query.number("limit", LIMIT, low=1, high=LIMIT_MAX)
        after = call.query.text("after")
        try:
            page = await self.histories.page(instance_id, after=after, limit=limit, newest_first=order == "newest")
        except EventKeyInvalid as error:
            raise call.query.refusal(f"'after': {error}") from None
        items = []
        for position, keyed in enumerate(page.events, 1):
            items.append(self.item(instance_id, keyed, payloads))
            if position % WRITTEN_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
        return Response(encode(HistoryList(items=items, cursor=page.cursor)), media_type=JSON)

    def item(self, instance_id: str, keyed: KeyedEvent, payloads: str) -> dict[str, Any]:
        """Return an event in the API's form, with the requested part of its payload."""
        timed, size = shortened(keyed.timed, payloads)
        began_us = getattr(timed.event, "began_us", None)
        return {
            "key": keyed.key,
            **self.event_json(instance_id, timed),
            **({"payloadBytes": size} if size is not None else {}),
            **({"began": Moment.at(began_us)} if began_us is not None else {}),
        }

    async def get_input(self, call: ManagementCall) -> Response:
        """Answer with the whole input of an event or of the instance."""
        return await self.payload(call, "input")

    async def get_result(self, call: ManagementCall) -> Response:
        """Answer with the whole result of an event or of the instance."""
        return await self.payload(call, "result")

    async def get_failure(self, call: ManagementCall) -> Response:
        """Answer with the whole failure of an event or of the instance."""
        return await self.payload(call, "failure")

    async def payload(self, call: ManagementCall, kind: str) -> Response:
        """Answer with a payload unchanged; a failure has the form of a description."""
        found = await self.histories.payload(call.id, call.piece("key"), kind)
        if found is None:
            return Response(status_code=204, headers=PAYLOAD_HEADERS)
        if isinstance(found, FailureDetails):
            return Response(encode(failure(found)), headers=PAYLOAD_HEADERS, media_type=JSON)
        return Response(found, headers=PAYLOAD_HEADERS, media_type=JSON if is_json(found) else PLAIN)


def is_json(text: str) -> bool:
    """Return whether a payload is JSON: callers may send any text."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def shortened(timed: TimedEvent, payloads: str) -> tuple[TimedEvent, int | None]:
    """Shorten the payload of an event.

    Returns:
        The event, and the bytes of its whole payload; None if it has no payload.
    """
    for kind in ("input", "result"):
        field = PAYLOAD_FIELDS.get((type(timed.event), kind))
        text: str | None = getattr(timed.event, field) if field is not None else None
        if field is None or text is None:
            continue
        size = len(text.encode())
        if payloads == "full" and size <= FULL_BYTES_MAX:
            return timed, size
        kept = None if payloads == "none" else text[:HEAD_CHARS]
        event: Any = timed.event
        return timed._replace(event=event._replace(**{field: kept})), size
    return timed, None
