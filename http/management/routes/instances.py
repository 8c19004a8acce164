"""The handlers that list, count, describe and await instances, and show their trees.

The rule: a handler reads the query, makes one call and encodes.

`http/management/app.py` adds the endpoints. `runtime/operations/reading/views.py` has the readers.
"""

from collections.abc import AsyncIterator

import anyio
from starlette.responses import Response

from ....actors.errors import PerdureError
from ....actors.store.listing import Order
from ....api.management.instances import InstanceDetails, InstanceList, InstanceSummary
from ....api.management.moments import encode
from ....api.management.shapes import counts, details, summary, tree
from ....api.management.words import HOST_STOPPING, management_refusal
from ....runtime.errors import InstanceNotFound
from ....runtime.history.status import STATUS_WORDS
from ....runtime.operations.management import InstanceOperations
from ....runtime.operations.reading.listing import InstanceFilter
from ....runtime.operations.reading.status_wait import TERMINAL_WORDS
from ...errors import refusal_json
from ..call import ManagementCall
from ..endpoint import JSON, NDJSON
from ..live import LiveStream, Write, wait_for
from .endpoints import COUNTED_BY, DEPTH_MAX, EXTRAS, LIMIT_MAX, ORDERS, WAIT_MAX_S, WITH_MAX

LIMIT = 100
DEPTH = 3
WAIT_US = 30 * 10**6
TERMINAL = "TERMINAL"


class InstanceRoutes:
    """The handlers of lists and descriptions.

    Args:
        app_id: The app that the daemon hosts.
        stopping: Set when the daemon begins to stop.
    """

    def __init__(self, management: InstanceOperations, *, app_id: str, stopping: anyio.Event) -> None:
        self.views = management.views
        self.waits = management.waits
        self.app_id = app_id
        self.stopping = stopping

    async def list_instances(self, call: ManagementCall) -> Response:
        """List the instances that a filter matches, in pages."""
        wanted = call.query.filter(app_id=self.app_id)
        order = Order(call.query.choice("order", ORDERS[0], ORDERS))
        extras = call.query.choices("with", EXTRAS)
        limit_max = WITH_MAX if extras else LIMIT_MAX
        streamed = call.accepts(NDJSON)
        limit = call.query.number("limit", LIMIT_MAX if streamed else min(LIMIT, limit_max), low=1, high=limit_max)
        cursor = call.query.text("cursor")
        if not streamed:
            found = await self.page(wanted, order, cursor, limit, extras)
            return Response(encode(found), media_type=JSON)
        # The first page is read before the status is sent, so that an error of the request still gets its status.
        first = await self.page(wanted, order, cursor, limit, extras)

        async def pages() -> AsyncIterator[InstanceList]:
            page = first
            yield page
            while page.cursor is not None:
                page = await self.page(wanted, order, page.cursor, limit, extras)
                yield page

        async def produce(write: Write) -> None:
            try:
                async for page in pages():
                    if page.items:
                        await write(b"".join(encode(item) + b"\n" for item in page.items))
            except PerdureError as error:
                await write(error_line(error))

        return LiveStream(produce, self.stopping, media_type=NDJSON, last_word=STOPPED)

    async def page(
        self, wanted: InstanceFilter, order: Order, cursor: str | None, limit: int, extras: list[str]
    ) -> InstanceList:
        """Read a page, and return it in the API's form."""
        page = await self.views.listing.list(
            wanted,
            order=order,
            cursor=cursor,
            limit=limit,
            with_waiting="waiting_for" in extras,
            with_children="children" in extras,
        )
        more = {"waiting": page.waiting} if "waiting_for" in extras else {}
        more |= {"children": page.children} if "children" in extras else {}  # type: ignore[dict-item]
        items: list[InstanceSummary] = [
            summary(item, **{name: found.get(item.id, ()) for name, found in more.items()})  # type: ignore[arg-type]
            for item in page.items
        ]
        return InstanceList(items=items, cursor=page.cursor)

    async def count_instances(self, call: ManagementCall) -> Response:
        """Count the instances that a filter matches."""
        by = call.query.choices("by", COUNTED_BY)
        counted = await self.views.listing.count(call.query.filter(app_id=self.app_id), by)  # type: ignore[arg-type]
        return Response(encode(counts(counted, by)), media_type=JSON)

    async def get_instance(self, call: ManagementCall) -> Response:
        """Describe an instance."""
        return described(await self.describe(call.id))

    async def describe(self, instance_id: str) -> InstanceDetails:
        """Describe an instance. Raises InstanceNotFound."""
        found = await self.views.descriptions.describe(instance_id)
        if found is None:
            raise InstanceNotFound(instance_id)
        return details(found)

    async def wait_for_instance(self, call: ManagementCall) -> Response:
        """Describe an instance as soon as it has an awaited status; 204 if the time is over first."""
        instance_id, words = call.id, waited_for(call)
        timeout_us = call.query.length("timeout", WAIT_US, high_us=WAIT_MAX_S * 10**6)
        with anyio.move_on_after(timeout_us / 1e6):
            await wait_for(call.request, self.stopping, lambda: self.waits.until(instance_id, words))
            return described(await self.describe(instance_id))
        return Response(status_code=204)

    async def get_tree(self, call: ManagementCall) -> Response:
        """Describe the descendants of an instance."""
        depth = call.query.number("depth", DEPTH, low=0, high=DEPTH_MAX)
        return Response(encode(tree(await self.views.trees.tree(call.id, depth))), media_type=JSON)


def described(found: InstanceDetails) -> Response:
    """Answer with a description. It changes with each turn, so it is not cacheable and never 304."""
    headers = {"etag": f'"{found.first_execution_id}"', "cache-control": "no-store"}
    return Response(encode(found), headers=headers, media_type=JSON)


def waited_for(call: ManagementCall) -> frozenset[str]:
    """Return the statuses that a caller waits for. Raises Refusal."""
    words = frozenset(word.upper() for word in call.query.values.get("until", TERMINAL).split(","))
    options = (TERMINAL, *STATUS_WORDS)
    if unknown := words.difference(options):
        raise call.query.refusal(f"'until' has {sorted(unknown)[0]!r}, and it takes {', '.join(options)}")
    return words - {TERMINAL} | TERMINAL_WORDS if TERMINAL in words else words


def error_line(error: PerdureError) -> bytes:
    """Return the last line of a stream that cannot go on."""
    return refusal_json(management_refusal(error)) + b"\n"


STOPPED = encode({"errorCode": HOST_STOPPING.code, "message": "the daemon stops; this is not all"}) + b"\n"
