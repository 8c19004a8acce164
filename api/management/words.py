"""The errors of the management API: their codes and messages, and those for each error of the engine.

The rule: each error has one status and one code, on every route, and a message that says what to do. The words of
Dapr's routes are in `api/words.py`.
"""

from collections.abc import Mapping

from ...actors.errors import (
    ActorFailed,
    ActorStalled,
    CursorInvalid,
    ForeignThread,
    HostLost,
    HostNotRunning,
    HostStopping,
    PerdureError,
)
from ...actors.store.errors import ListsUnfinished, StoreDamaged, StoreUncertain
from ...runtime.errors import (
    ChildUnfinished,
    EventRefused,
    IdTaken,
    InstanceExists,
    InstanceNotFound,
    InstanceNotSetAside,
    InstanceStalled,
    InstanceUnfinished,
    InvalidRequest,
    KeyReused,
    LimitExceeded,
    RepairRefused,
    RunChanged,
    WorkflowUnknown,
)
from ...runtime.history.row import CorruptHistory
from ...runtime.operations.bulk.actor import OperationNotFound
from ...runtime.operations.bulk.plan import PlanExpired
from ...runtime.operations.reading.history_page import EventMissing, HistoryChanged
from ...runtime.operations.rerun import EventNotFound, EventNotRerunnable, RerunExists, RerunRefused
from ...runtime.operations.steering.exported import ImportMalformed
from ...runtime.operations.steering.transfer import ImportUnfinished
from ...runtime.state.errors import EtagMismatch, StateKeyInvalid, StateStoreNotFound, StateUnavailable
from ..words import INTERNAL, NOT_FOUND, TRY_AGAIN, ErrorAnswer, Refusal

FILTER_INVALID = ErrorAnswer(400, "ERR_FILTER_INVALID", "{detail}")
CURSOR_INVALID = ErrorAnswer(400, "ERR_FILTER_INVALID", "'cursor': {error}")
QUERY_INVALID = ErrorAnswer(400, "ERR_QUERY_INVALID", "{detail}")
HEADER_INVALID = ErrorAnswer(400, "ERR_HEADER_INVALID", "{detail}")
BODY_NOT_JSON = ErrorAnswer(400, "ERR_MALFORMED_REQUEST", "the body is not the JSON that is expected: {detail}")
BODY_INVALID = ErrorAnswer(422, "ERR_BODY_INVALID", "{detail}")
NO_SUCH_ROUTE = ErrorAnswer(
    404, "ERR_ROUTE_NOT_FOUND", "the management API has no {path!r}. GET /api/v1/openapi.json lists what it has."
)
METHOD_NOT_ALLOWED = ErrorAnswer(
    405, "ERR_METHOD_NOT_ALLOWED", "{method} is not for {path!r}; it takes {allowed}. Its header Allow says so too."
)
NOT_ACCEPTABLE = ErrorAnswer(406, "ERR_NOT_ACCEPTABLE", "{detail}")

EXISTS = ErrorAnswer(409, "ERR_INSTANCE_EXISTS", "{error}")
UNFINISHED = ErrorAnswer(409, "ERR_INSTANCE_UNFINISHED", "instance {instance_id!r} has not ended. Terminate it first.")
STALLED = ErrorAnswer(
    409,
    "ERR_INSTANCE_STALLED",
    "instance {instance_id!r} is stalled: its code no longer fits its history. Mend the code, or terminate the "
    "instance.",
)
RUN_CHANGED = ErrorAnswer(412, "ERR_RUN_CHANGED", "{error}")
KEY_REUSED = ErrorAnswer(422, "ERR_IDEMPOTENCY_KEY_REUSED", "{error}")
WORKFLOW_UNKNOWN = ErrorAnswer(422, "ERR_WORKFLOW_UNKNOWN", "{error}")
REPAIR_REFUSED = ErrorAnswer(409, "ERR_REPAIR_REFUSED", "{error}")
RERUN_REFUSED = ErrorAnswer(409, "ERR_RERUN_REFUSED", "instance {instance_id!r} was not run again: {error}")
IMPORT_MALFORMED = ErrorAnswer(400, "ERR_IMPORT_MALFORMED", "{error}")
IMPORT_UNFINISHED = ErrorAnswer(422, "ERR_IMPORT_UNFINISHED", "{error}")
IMPORT_TOO_LARGE = ErrorAnswer(
    413, "ERR_IMPORT_TOO_LARGE", "an instance is read in up to {bytes_max} bytes, because it is written in one commit"
)
EVENT_REFUSED = ErrorAnswer(409, "ERR_EVENT_REFUSED", "{error}")
NOT_SET_ASIDE = ErrorAnswer(409, "ERR_INSTANCE_NOT_SET_ASIDE", "{error}")
HISTORY_UNREADABLE = ErrorAnswer(
    409, "ERR_HISTORY_UNREADABLE", "the history cannot be read: {error}. The instance can be purged with force."
)
EVENT_MISSING = ErrorAnswer(404, "ERR_EVENT_NOT_FOUND", "{error}")
HISTORY_CHANGED = ErrorAnswer(409, "ERR_HISTORY_CHANGED", "{error}")
OPERATION_MISSING = ErrorAnswer(404, "ERR_OPERATION_NOT_FOUND", "{error}")
PLAN_EXPIRED = ErrorAnswer(409, "ERR_PLAN_EXPIRED", "{error}")
STATE_STORE_MISSING = ErrorAnswer(404, "ERR_STATE_STORE_NOT_FOUND", "{error}")
STATE_KEY_INVALID = ErrorAnswer(400, "ERR_STATE_KEY_INVALID", "{error}")
STATE_UNAVAILABLE = ErrorAnswer(503, "ERR_STATE_UNAVAILABLE", "{error}")
ETAG_MISMATCH = ErrorAnswer(409, "ERR_ETAG_MISMATCH", "{error}")
LISTS_UNFINISHED = ErrorAnswer(503, "ERR_LISTS_UNFINISHED", "{error}")
HOST_STOPPING = TRY_AGAIN[HostStopping]
REQUEST_INVALID = ErrorAnswer(400, "ERR_REQUEST_INVALID", "{error}")
LIMIT_EXCEEDED = ErrorAnswer(413, "ERR_LIMIT_EXCEEDED", "{error}")
LOST = ErrorAnswer(503, "ERR_HOST_LOST", "{error}")
UNCERTAIN = ErrorAnswer(500, "ERR_STORE_UNCERTAIN", "{error}")
NOT_RUNNING = ErrorAnswer(503, "ERR_HOST_NOT_RUNNING", "{error}")

# Ordered from special to general classes.
ANSWERS: Mapping[type[PerdureError], ErrorAnswer] = {
    InstanceNotFound: NOT_FOUND,
    InstanceExists: EXISTS,
    ChildUnfinished: EXISTS,
    InstanceUnfinished: UNFINISHED,
    InstanceStalled: STALLED,
    InstanceNotSetAside: NOT_SET_ASIDE,
    IdTaken: EXISTS,
    KeyReused: KEY_REUSED,
    WorkflowUnknown: WORKFLOW_UNKNOWN,
    EventRefused: EVENT_REFUSED,
    ImportMalformed: IMPORT_MALFORMED,
    ImportUnfinished: IMPORT_UNFINISHED,
    RerunRefused: RERUN_REFUSED,
    RerunExists: EXISTS,
    EventNotFound: EVENT_MISSING,
    EventNotRerunnable: RERUN_REFUSED,
    RepairRefused: REPAIR_REFUSED,
    RunChanged: RUN_CHANGED,
    LimitExceeded: LIMIT_EXCEEDED,
    CursorInvalid: CURSOR_INVALID,
    InvalidRequest: REQUEST_INVALID,
    EventMissing: EVENT_MISSING,
    HistoryChanged: HISTORY_CHANGED,
    OperationNotFound: OPERATION_MISSING,
    PlanExpired: PLAN_EXPIRED,
    StateStoreNotFound: STATE_STORE_MISSING,
    StateKeyInvalid: STATE_KEY_INVALID,
    StateUnavailable: STATE_UNAVAILABLE,
    EtagMismatch: ETAG_MISMATCH,
    ListsUnfinished: LISTS_UNFINISHED,
    CorruptHistory: HISTORY_UNREADABLE,
    StoreDamaged: HISTORY_UNREADABLE,
    ActorStalled: HISTORY_UNREADABLE,
    HostLost: LOST,
    StoreUncertain: UNCERTAIN,
    HostNotRunning: NOT_RUNNING,
    **TRY_AGAIN,
}

PAYLOAD_LIMIT = "payload_bytes_max"

BUGS = (ActorFailed, ForeignThread)  # bugs of Perdure, whose text is for the log


def management_refusal(error: PerdureError, *, instance_id: str | None = None) -> Refusal:
    """Return the error of the management API for an error of the engine.

    Args:
        error: An error of the engine; a Refusal is returned unchanged.
        instance_id: The instance in the path of the request. If the error names an instance, that one is used.
    """
    if isinstance(error, Refusal):
        return error
    answer = next((answer for kind, answer in ANSWERS.items() if isinstance(error, kind)), INTERNAL)
    if isinstance(error, LimitExceeded) and error.limit != PAYLOAD_LIMIT:
        answer = REQUEST_INVALID  # the status for too much content does not fit a name that is too long
    return Refusal(answer, error=error, instance_id=getattr(error, "instance_id", instance_id))
