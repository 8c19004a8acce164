"""The handlers that show what has happened to an instance: its history in pages, and one payload.

The rule: a page is small, with payloads of any size. A long payload is fetched by itself, and nothing of it is ever
shown as a page of this site.
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
WRITTEN_AT_ONCE = 25  # events; then the turns of instances come first
ORDERS = ("oldest", "newest")
PLAIN = "text/plain"
KINDS = ("input", "result", "failure")

# A browser that is led to a payload may show it as text, and nothing else.
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
        QueryField("after", TEXT, "The cursor of the page before, or an event's key"),
        QueryField("limit", number(1, LIMIT_MAX), f"{LIMIT} by default"),
        QueryField("order", words(*ORDERS), "`oldest` first by default"),
        QueryField(
            "payloads",
            words(*PAYLOADS),
            f"`none`, their first {HEAD_CHARS} characters (`head`, the default), or whole payloads that have at most "
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
        (Success(200, "It, as it was given", media=(JSON, PLAIN)), Success(204, "The event has none")),
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
        """Show an event with as much of its payload as was asked for."""
        timed, size = shortened(keyed.timed, payloads)
        began_us = getattr(timed.event, "began_us", None)
        return {
            "key": keyed.key,
            **self.event_json(instance_id, timed),
            **({"payloadBytes": size} if size is not None else {}),
            **({"began": Moment.at(began_us)} if began_us is not None else {}),
        }

    async def get_input(self, call: ManagementCall) -> Response:
        """Answer a payload that an event or the instance was given, whole."""
        return await self.payload(call, "input")

    async def get_result(self, call: ManagementCall) -> Response:
        """Answer the result of an event or of the instance, whole."""
        return await self.payload(call, "result")

    async def get_failure(self, call: ManagementCall) -> Response:
        """Answer the failure of an event or of the instance, whole."""
        return await self.payload(call, "failure")

    async def payload(self, call: ManagementCall, kind: str) -> Response:
        """Give one payload as it was given; a failure as a description has it."""
        found = await self.histories.payload(call.id, call.piece("key"), kind)
        if found is None:
            return Response(status_code=204, headers=PAYLOAD_HEADERS)
        if isinstance(found, FailureDetails):
            return Response(encode(failure(found)), headers=PAYLOAD_HEADERS, media_type=JSON)
        return Response(found, headers=PAYLOAD_HEADERS, media_type=JSON if is_json(found) else PLAIN)


def is_json(text: str) -> bool:
    """Return whether a payload is what it should be: a caller may have sent any text."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def shortened(timed: TimedEvent, payloads: str) -> tuple[TimedEvent, int | None]:
    """Cut the payload of an event.

    Returns:
        The event, and how many bytes its payload has; None if it has none.
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
