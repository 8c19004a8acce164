"""The handlers of state stores, which read a value, and make changes, all of them or none.

The rule: a value is returned byte for byte as it was saved, and a browser never shows it as a page of this site.

Programs with Dapr's SDKs use Dapr's state API (`http/dapr/state.py`) on the same values. These routes are for clients
of the management API, which may name an app.
"""

from starlette.responses import Response

from ....api.management.state import StateChanges, changes_in
from ....api.management.words import (
    ETAG_MISMATCH,
    STATE_KEY_INVALID,
    STATE_STORE_MISSING,
    STATE_UNAVAILABLE,
)
from ....runtime.state.state import States
from ..call import ManagementCall
from ..endpoint import Endpoint, Success
from .histories import PAYLOAD_HEADERS

BYTES = "application/octet-stream"

GET_VALUE = Endpoint(
    "get_value",
    "GET",
    "/state/{store}/{key}",
    "state",
    "Read a value of a state store",
    (Success(200, "The value, byte for byte as saved", media=(BYTES,), etag=True), Success(204, "There is no value")),
    errors=(STATE_STORE_MISSING, STATE_KEY_INVALID, STATE_UNAVAILABLE),
)

CHANGE_VALUES = Endpoint(
    "change_values",
    "POST",
    "/state/{store}",
    "state",
    "Save and delete values of a state store, all of them or none",
    (Success(204, "The changes are made and durable"),),
    errors=(STATE_STORE_MISSING, STATE_KEY_INVALID, ETAG_MISMATCH, STATE_UNAVAILABLE),
    body=StateChanges,
    description=(
        "An etag is that of the answer to a read, with or without its quotes. If a value lacks the etag that a change "
        "names, no change is made, and the answer is 409."
    ),
)

STATE = (GET_VALUE, CHANGE_VALUES)


class StoreRoutes:
    """The handlers.

    Args:
        states: The state stores of the app.
    """

    def __init__(self, states: States) -> None:
        self.states = states

    async def get_value(self, call: ManagementCall) -> Response:
        """Answer with a value and its etag; 204 if there is no value."""
        found = await self.states.get(call.piece("store"), call.piece("key"))
        if found is None:
            return Response(status_code=204)
        return Response(found.value, headers={**PAYLOAD_HEADERS, "etag": f'"{found.etag}"'}, media_type=BYTES)

    async def change_values(self, call: ManagementCall) -> Response:
        """Make the changes of the body, all of them or none."""
        store = call.piece("store")
        body = await call.body(StateChanges)
        await self.states.change(store, changes_in(body), whole=True)
        return Response(status_code=204)
