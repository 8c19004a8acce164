"""Every error that leaves over HTTP: its status, its code and its words.

The one law: the words are an interface. SDKs and scripts written for Dapr match
on them, so each stands here once, in a table, and nowhere else.

The body is always `{"errorCode": …, "message": …}` and no more, the shape that
Dapr's workflow API kept when its newer APIs got `details`.

Source: contract 1.1 and 1.4; dapr `pkg/messages/predefined.go` and
`pkg/api/universal/workflow.go`, durabletask-go `backend/client.go`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ..actors.errors import HostStopping, MailboxFull, PerdureError, StoreFailed
from ..runtime.errors import ChildUnfinished, InstanceExists, InstanceNotFound
from .path import PathMalformed, parameters


class Row(NamedTuple):
    """One row of the tables below."""

    status: int
    code: str
    message: str  # for str.format


# What is wrong with the request itself.
ID_TOO_LONG = Row(
    400, "ERR_INSTANCE_ID_TOO_LONG", "workflow instance ID exceeds the max length of {bytes_max} characters"
)
ID_INVALID = Row(
    400,
    "ERR_INSTANCE_ID_INVALID",
    "workflow instance ID '{instance_id}' is invalid: only alphanumeric and underscore characters are allowed",
)
APP_ID_INVALID = Row(
    400,
    "ERR_WORKFLOW_APP_ID_INVALID",
    "workflow app ID '{app_id}' is invalid: only alphanumeric, dash and underscore characters are allowed",
)
BODY_MALFORMED = Row(400, "ERR_MALFORMED_REQUEST", "failed deserializing HTTP body: {detail}")
PATH_MALFORMED = Row(400, "ERR_MALFORMED_REQUEST", "failed decoding the URL path: {detail}")
BODY_TOO_LARGE = Row(
    413,
    "ERR_BODY_READ",
    "failed to read request body: it has more than {bytes_max} bytes, which is the limit. "
    "Pass large data by reference, or raise the limit with --max-body-size.",
)
METADATA_FULL = Row(
    413, "ERR_BODY_READ", "metadata may hold {bytes_max} bytes in all, and this entry would make it {found}"
)
NO_ROUTE = Row(
    404,
    "ERR_DIRECT_INVOKE",
    "failed getting app id either from the URL path or the header dapr-app-id",
)

# What the sidecar says of itself.
NOT_READY = Row(500, "ERR_HEALTH_NOT_READY", "dapr is not ready: [{detail}]")
OUTBOUND_NOT_READY = Row(500, "ERR_OUTBOUND_HEALTH_NOT_READY", "dapr outbound is not ready")
APP_ID_NOT_MATCHED = Row(500, "ERR_HEALTH_APPID_NOT_MATCH", "dapr app-id does not match")

INTERNAL = Row(500, "ERR_INTERNAL", "an internal error of Perdure; its log has the details")

NOT_FOUND = Row(
    404, "ERR_INSTANCE_ID_NOT_FOUND", "unable to find workflow with the provided instance ID: {instance_id}"
)

# What the engine refused or could not do, by operation: the name of its handler.
# The words between the template and the engine's own are those that Dapr's
# layers add on the way up.
FAILURES: Mapping[str, Row] = {
    "start": Row(
        500,
        "ERR_START_WORKFLOW",
        "error starting workflow '{workflow_name}': unable to start workflow: failed to start workflow: {error}",
    ),
    "get": Row(
        500,
        "ERR_GET_WORKFLOW",
        "error while getting workflow info on instance '{instance_id}': "
        "failed to get workflow metadata for '{instance_id}': failed to fetch workflow metadata: {error}",
    ),
    "raise_event": Row(
        500,
        "ERR_RAISE_EVENT_WORKFLOW",
        "error raising event on workflow '{instance_id}': "
        "failed to raise event {event_name} on workflow {instance_id}: failed to raise event: {error}",
    ),
    "pause": Row(
        500,
        "ERR_PAUSE_WORKFLOW",
        "error pausing workflow {instance_id}: "
        "failed to pause workflow {instance_id}: failed to suspend workflow: {error}",
    ),
    "resume": Row(
        500,
        "ERR_RESUME_WORKFLOW",
        "error resuming workflow {instance_id}: "
        "failed to resume workflow {instance_id}: failed to resume workflow: {error}",
    ),
    "terminate": Row(
        500,
        "ERR_TERMINATE_WORKFLOW",
        "error terminating workflow '{instance_id}': "
        "failed to terminate workflow {instance_id}: failed to submit termination request: {error}",
    ),
    "purge": Row(
        500,
        "ERR_PURGE_WORKFLOW",
        "error purging workflow {instance_id}: "
        "failed to Purge workflow {instance_id}: failed to purge workflow state: {error}",
    ),
}

# The operations that know a missing instance as such; the others wrap it in their row.
NOT_FOUND_IS_404 = frozenset({"get", "terminate", "purge"})

# What may succeed when it is sent again, whatever the operation. Dapr has no such answers.
TRY_AGAIN: Mapping[type[PerdureError], Row] = {
    MailboxFull: Row(429, "ERR_MAILBOX_FULL", "{error}"),
    HostStopping: Row(503, "ERR_HOST_STOPPING", "{error}"),
    StoreFailed: Row(503, "ERR_STORE_FAILED", "{error}"),
}

# A full mailbox drains in well under a second and a restart takes one or two; the header counts whole seconds.
RETRY_AFTER_S = 1


class HttpError(Exception):
    """A request that is answered with a row of the tables, decided while it was decoded."""

    def __init__(self, row: Row, **fields: object) -> None:
        super().__init__(row, fields)
        self.row = row
        self.fields = fields

    def __str__(self) -> str:
        return self.row.message.format(**self.fields)


class ForeignApp(PerdureError):
    """The request is for an app that another daemon would have to host."""

    def __init__(self, *, asked: str, hosted: str) -> None:
        super().__init__(asked, hosted)
        self.asked = asked
        self.hosted = hosted

    def __str__(self) -> str:
        return (
            f"this daemon hosts the app ID '{self.hosted}' only, not '{self.asked}'. "
            f"Leave appID out, or send the request to the daemon that hosts '{self.asked}'."
        )


def row_of(operation: str, error: PerdureError) -> Row:
    """Choose the row that answers an error of the engine."""
    for kind, row in TRY_AGAIN.items():
        if isinstance(error, kind):
            return row
    if isinstance(error, InstanceNotFound) and operation in NOT_FOUND_IS_404:
        return NOT_FOUND
    return FAILURES[operation]


def words_of(error: PerdureError) -> str:
    """Put an error of the engine into the words that Dapr's engine has for it."""
    if isinstance(error, InstanceExists | ChildUnfinished):
        # These two are the only gRPC statuses among Dapr's errors, and Go prints a status with its code.
        return f"rpc error: code = AlreadyExists desc = {error}"
    return str(error)


def answer(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Encode an error. Of text that is no Unicode (a file name in an exception), "?" stands for what is not."""
    body = {"errorCode": code, "message": message.encode("utf-8", "replace").decode()}
    return Response(msgspec.json.encode(body), status, headers, "application/json")


async def answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HttpError)
    return answer(error.row.status, error.row.code, str(error))


async def answer_engine_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PerdureError)
    row = row_of(request.scope["endpoint"].__name__, error)
    message = row.message.format(**parameters(request), error=words_of(error))
    headers = {"retry-after": str(RETRY_AFTER_S)} if row.status in (429, 503) else None
    return answer(row.status, row.code, message, headers)


async def answer_path_malformed(request: Request, error: Exception) -> Response:
    return answer(PATH_MALFORMED.status, PATH_MALFORMED.code, PATH_MALFORMED.message.format(detail=error))


async def answer_no_route(request: Request, error: Exception) -> Response:
    """Answer an unknown path and a wrong method alike.

    In Dapr both fall through to service invocation, which misses an app id to
    invoke. Hence 404 with an odd text, and never 405.
    """
    return answer(*NO_ROUTE)


async def answer_disconnect(request: Request, error: Exception) -> Response:
    """The caller hung up before its body was whole; nobody reads this."""
    return Response(status_code=400)


async def answer_bug(request: Request, error: Exception) -> Response:
    """Say nothing of the error itself; Starlette raises it once more, and the server logs it with its traceback."""
    return answer(*INTERNAL)


Answer = Callable[[Request, Exception], Awaitable[Response]]

ANSWERS: dict[Any, Answer] = {
    HttpError: answer_http_error,
    PathMalformed: answer_path_malformed,
    PerdureError: answer_engine_error,
    HTTPException: answer_no_route,
    ClientDisconnect: answer_disconnect,
    Exception: answer_bug,
}
