"""Errors in the words of Dapr's API, for HTTP and gRPC alike.

The rule: the words are an interface, because SDKs and scripts for Dapr match them. Each text is once in the tables
below. (`http/errors.py` has the words that only HTTP uses.)

Source: contract 1.4, 1.6; dapr `pkg/messages/predefined.go` and
`pkg/api/universal/workflow.go`, durabletask-go `backend/client.go`.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..actors.errors import HostSilent, HostStopping, HostUnreachable, MailboxFull, PerdureError, RingUnknown
from ..actors.store.errors import StoreFailed
from ..runtime.errors import (
    Advice,
    Advised,
    ChildUnfinished,
    InstanceExists,
    InstanceNotFound,
    LimitExceeded,
    NulRefused,
)

ID_BYTES_MAX = 64  # Dapr's limit, for state stores with short keys

PLAIN_ID = re.compile("[A-Za-z0-9_-]+")


class ErrorAnswer(NamedTuple):
    """The answer to an error: an entry of the tables below."""

    status: int  # of HTTP; gRPC has a code for each
    code: str
    message: str  # for str.format


ID_MISSING = ErrorAnswer(400, "ERR_INSTANCE_ID_PROVIDED_MISSING", "no instance ID was provided")
ID_TOO_LONG = ErrorAnswer(
    400, "ERR_INSTANCE_ID_TOO_LONG", "workflow instance ID exceeds the max length of {bytes_max} characters"
)
ID_INVALID = ErrorAnswer(
    400,
    "ERR_INSTANCE_ID_INVALID",
    "workflow instance ID '{instance_id}' is invalid: only alphanumeric and underscore characters are allowed",
)
APP_ID_INVALID = ErrorAnswer(
    400,
    "ERR_WORKFLOW_APP_ID_INVALID",
    "workflow app ID '{app_id}' is invalid: only alphanumeric, dash and underscore characters are allowed",
)
NAME_MISSING = ErrorAnswer(400, "ERR_WORKFLOW_NAME_MISSING", "workflow name is not configured")
EVENT_NAME_MISSING = ErrorAnswer(400, "ERR_WORKFLOW_EVENT_NAME_MISSING", "missing workflow event name")
PAYLOAD_MALFORMED = ErrorAnswer(400, "ERR_MALFORMED_REQUEST", "the payload cannot be kept: {detail}")
START_TIME_INVALID = ErrorAnswer(
    500,
    "ERR_START_WORKFLOW",
    "error starting workflow '{workflow_name}': start times must be in RFC3339 format (e.g. \"2009-11-10T23:00:00Z\")",
)
METADATA_FULL = ErrorAnswer(
    413, "ERR_BODY_READ", "metadata may hold {bytes_max} bytes in all, and this entry would make it {found}"
)
INTERNAL = ErrorAnswer(500, "ERR_INTERNAL", "an internal error of Perdure; its log has the details")
NOT_FOUND = ErrorAnswer(
    404, "ERR_INSTANCE_ID_NOT_FOUND", "unable to find workflow with the provided instance ID: {instance_id}"
)

# The answer to an error of the engine, by operation. Each text begins with the prefixes that Dapr's layers add.
FAILURES: Mapping[str, ErrorAnswer] = {
    "start": ErrorAnswer(
        500,
        "ERR_START_WORKFLOW",
        "error starting workflow '{workflow_name}': unable to start workflow: failed to start workflow: {error}",
    ),
    "get": ErrorAnswer(
        500,
        "ERR_GET_WORKFLOW",
        "error while getting workflow info on instance '{instance_id}': "
        "failed to get workflow metadata for '{instance_id}': failed to fetch workflow metadata: {error}",
    ),
    "raise_event": ErrorAnswer(
        500,
        "ERR_RAISE_EVENT_WORKFLOW",
        "error raising event on workflow '{instance_id}': "
        "failed to raise event {event_name} on workflow {instance_id}: failed to raise event: {error}",
    ),
    "pause": ErrorAnswer(
        500,
        "ERR_PAUSE_WORKFLOW",
        "error pausing workflow {instance_id}: "
        "failed to pause workflow {instance_id}: failed to suspend workflow: {error}",
    ),
    "resume": ErrorAnswer(
        500,
        "ERR_RESUME_WORKFLOW",
        "error resuming workflow {instance_id}: "
        "failed to resume workflow {instance_id}: failed to resume workflow: {error}",
    ),
    "terminate": ErrorAnswer(
        500,
        "ERR_TERMINATE_WORKFLOW",
        "error terminating workflow '{instance_id}': "
        "failed to terminate workflow {instance_id}: failed to submit termination request: {error}",
    ),
    "purge": ErrorAnswer(
        500,
        "ERR_PURGE_WORKFLOW",
        "error purging workflow {instance_id}: "
        "failed to Purge workflow {instance_id}: failed to purge workflow state: {error}",
    ),
}

# The operations that answer NOT_FOUND for a missing instance; the others answer from FAILURES.
NOT_FOUND_IS_404 = frozenset({"get", "terminate", "purge"})

# Errors after which the same request may succeed, in any operation. Dapr has no such answers.
TRY_AGAIN: Mapping[type[PerdureError], ErrorAnswer] = {
    MailboxFull: ErrorAnswer(429, "ERR_MAILBOX_FULL", "{error}"),
    HostStopping: ErrorAnswer(503, "ERR_HOST_STOPPING", "{error}"),
    HostUnreachable: ErrorAnswer(503, "ERR_HOST_UNREACHABLE", "{error}"),
    HostSilent: ErrorAnswer(503, "ERR_HOST_SILENT", "{error}"),
    StoreFailed: ErrorAnswer(503, "ERR_STORE_FAILED", "{error}"),
    RingUnknown: ErrorAnswer(503, "ERR_APP_UNKNOWN", "{error}"),
}


class Refusal(PerdureError):
    """An error with its answer, and the values for the placeholders of the answer's text."""

    def __init__(self, answer: ErrorAnswer, **fields: Any) -> None:
        super().__init__(answer, fields)
        self.answer = answer
        self.fields = fields

    def __str__(self) -> str:
        return self.answer.message.format(**self.fields)

    def parts(self) -> tuple[str, Advice | None]:
        """Return the text without the advice of the engine's error, and this advice; None: there is none."""
        error = self.fields.get("error")
        if not isinstance(error, Advised):
            return str(self), None
        problem, advice = error.parts()
        return self.answer.message.format(**self.fields | {"error": problem}), advice


def refusal(operation: str, error: PerdureError, **fields: Any) -> Refusal:
    """Return the error in Dapr's words for an error of the engine.

    Args:
        operation: A key of `FAILURES`.
        error: An error of the engine; a Refusal is returned unchanged.
        fields: The values for the placeholders of the text: `instance_id` and so on.
    """
    if isinstance(error, Refusal):
        return error
    return Refusal(answer_to(operation, error), **fields, error=words_of(error))


def answer_to(operation: str, error: PerdureError) -> ErrorAnswer:
    """Return the answer to an error of the engine."""
    for kind, answer in TRY_AGAIN.items():
        if isinstance(error, kind):
            return answer
    if isinstance(error, InstanceNotFound) and operation in NOT_FOUND_IS_404:
        return NOT_FOUND
    if isinstance(error, LimitExceeded | NulRefused):
        return FAILURES[operation]._replace(status=400)  # an error of the caller; Dapr has no such limit
    return FAILURES[operation]


def words_of(error: PerdureError) -> str:
    """Return the text of an error in the words of Dapr's engine."""
    if isinstance(error, InstanceExists | ChildUnfinished):
        # Only these two errors of Dapr are gRPC statuses, and Go prints a status with its code.
        return f"rpc error: code = AlreadyExists desc = {error}"
    return str(error)


def check_new_id(instance_id: str) -> None:
    """Check the id of an instance that is started over Dapr's own API.

    No other call checks ids: an id from elsewhere (of a child, of another API) may have any characters, and its
    instance must be reachable.

    Raises:
        Refusal: The id is too long, or has characters other than letters, digits, `_` and `-`.
    """
    if len(instance_id.encode()) > ID_BYTES_MAX:
        raise Refusal(ID_TOO_LONG, bytes_max=ID_BYTES_MAX)
    if not is_plain(instance_id):
        raise Refusal(ID_INVALID, instance_id=instance_id)


def other_app(asked: str | None, *, own: str) -> str | None:
    """Return the other app that a request is for; None if it is for the server's own app, whose id may be any text.

    Args:
        asked: The app in the request; None or empty if it names none.
        own: The app of this server.

    Raises:
        Refusal: The id has characters that ids of apps cannot have.
    """
    if not asked or asked == own:
        return None
    if not is_plain(asked):
        raise Refusal(APP_ID_INVALID, app_id=asked)
    return asked


def is_plain(text: str) -> bool:
    """Return whether a text has only letters and decimal digits of any script, `_` and `-`."""
    return PLAIN_ID.fullmatch(text) is not None or all(
        char.isalpha() or char.isdecimal() or char in "_-" for char in text
    )
