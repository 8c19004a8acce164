"""The handlers that start instances and send events. A repeated request has its effect once.

The rule: a request whose idempotency key was used before changes nothing, and gets the same answer.

The body is the payload, as in Dapr's routes; all other parameters are in the query and in headers.

`http/management/app.py` adds the endpoints.
"""

from starlette.responses import Response

from ....api.management.actions import ActionDone
from ....api.management.instances import InstanceSummary
from ....api.management.words import (
    EVENT_REFUSED,
    EXISTS,
    KEY_REUSED,
    LIMIT_EXCEEDED,
    REQUEST_INVALID,
    RUN_CHANGED,
    WORKFLOW_UNKNOWN,
)
from ....api.words import NOT_FOUND
from ....runtime.operations.management import InstanceOperations
from ....runtime.operations.steering.starting import IfExists, StartRequest
from ..call import ManagementCall
from ..endpoint import Endpoint, Payload, QueryField, Success
from .actions import by_of, condition_of, done, started
from .endpoints import WORD, words

START = Endpoint(
    "start_instance",
    "POST",
    "/workflows/{name}/instances",
    "actions",
    "Start an instance of a workflow",
    (
        Success(201, "The instance is stored and will run", InstanceSummary, etag=True),
        Success(200, "It exists already: from this request, or `if_exists=return`", InstanceSummary, etag=True),
    ),
    errors=(EXISTS, KEY_REUSED, WORKFLOW_UNKNOWN, LIMIT_EXCEEDED, REQUEST_INVALID),
    query=(
        QueryField(
            "id",
            WORD,
            "Any text. By default a new UUID, or with an `Idempotency-Key` a UUID made from name and key.",
        ),
        QueryField("start_at", {"type": "string", "format": "date-time"}, "The time at which its code begins"),
        QueryField(
            "if_exists",
            words(*IfExists),
            "The answer if an instance has the id, running or not: `reject` (the default) answers "
            "409; `return` answers with this instance, if its workflow is the same; `restart` starts a finished one "
            "again",
        ),
        QueryField(
            "force", {"type": "boolean"}, "With `if_exists=restart`: first terminate an instance that has not ended"
        ),
    ),
    tags=True,
    headers=("Idempotency-Key",),
    body=Payload("The workflow's input: any UTF-8 text, kept unchanged. SDKs expect JSON."),
)

SEND = Endpoint(
    "send_event",
    "POST",
    "/instances/{id}/events/{name}",
    "actions",
    "Send an event to an instance",
    (Success(202, "The event is stored, now or by an earlier request", ActionDone),),
    errors=(NOT_FOUND, EVENT_REFUSED, RUN_CHANGED, LIMIT_EXCEEDED, REQUEST_INVALID),
    headers=("Idempotency-Key", "If-Match"),
    body=Payload("The event's data: any UTF-8 text, kept unchanged. SDKs expect JSON."),
    description=(
        "Only the first event with a key counts, also after the end of the instance. An instance that is stalled "
        "or set aside keeps the event."
    ),
)

STARTING = (START, SEND)


class StartRoutes:
    """The handlers of starts and events."""

    def __init__(self, management: InstanceOperations) -> None:
        self.steering = management.steering
        self.descriptions = management.views.descriptions

    async def start_instance(self, call: ManagementCall) -> Response:
        """Start an instance: 201, or 200 if an earlier request has started it."""
        query = call.query
        asked = StartRequest(
            name=call.piece("name"),
            instance_id=query.word("id"),
            start_at_us=query.moment("start_at"),
            tags=query.tags or None,
            if_exists=IfExists(query.choice("if_exists", IfExists.REJECT, list(IfExists))),
            force=query.flag("force", default=False),
            key=call.idempotency_key(),
            input=await call.payload(),
            trace=call.trace,
        )
        begun = await self.steering.start(asked, by=by_of(call))
        return await started(call, self.descriptions, begun.instance_id, status=201 if begun.created else 200)

    async def send_event(self, call: ManagementCall) -> Response:
        """Send an event to an instance."""
        instance_id = call.id
        data = await call.payload()
        await self.steering.raise_event(
            instance_id, call.piece("name"), data, key=call.idempotency_key(), condition=condition_of(call)
        )
        return done(instance_id, status=202)
