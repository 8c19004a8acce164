"""Errors of the state API in Dapr's words, for HTTP and gRPC alike.

The rule: the words, codes and details are an interface. As in Dapr, errors of requests have details over HTTP and gRPC;
errors of a store have an ErrorInfo over gRPC, and no details over HTTP.

`http/dapr/state.py` and `rpc/services/state.py` encode them.

Source: dapr `pkg/api/errors/state.go`, `pkg/api/http/http.go`, `pkg/api/grpc/grpc.go`, `pkg/messages/predefined.go`;
kit `errors/errors.go`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from ..actors.errors import PerdureError
from ..runtime.state.errors import EtagMismatch, StateKeyInvalid, StateStoreNotFound, StateUnavailable
from ..runtime.state.state import StateValue
from .words import TRY_AGAIN, Refusal

EXPIRES = "ttlExpireTime"  # the name in the metadata of a value, as in Dapr
END_US = 253_402_300_799_000_000  # the last second of the year 9999

RESOURCE_TYPE = "state"
DOMAIN = "dapr.io"


class ErrorInfo(NamedTuple):
    """A google.rpc.ErrorInfo with the domain DOMAIN."""

    reason: str
    metadata: Mapping[str, str] | None = None


class ResourceInfo(NamedTuple):
    """A google.rpc.ResourceInfo with the type RESOURCE_TYPE."""

    name: str


class FieldViolation(NamedTuple):
    """A google.rpc.BadRequest with one violation."""

    field: str
    description: str


Detail = ErrorInfo | ResourceInfo | FieldViolation


class StateProblem(PerdureError):
    """An error with its answers over HTTP and gRPC.

    Args:
        status: The HTTP status.
        grpc: The name of the gRPC code.
        code: The code in the body over HTTP.
        text: The message.
        http_text: The message over HTTP, if it is another one.
        details: The details over HTTP.
        rpc_details: The details over gRPC.
    """

    def __init__(
        self,
        status: int,
        grpc: str,
        code: str,
        text: str,
        *,
        details: Sequence[Detail] = (),
        rpc_details: Sequence[Detail] | None = None,
        http_text: str | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.grpc = grpc
        self.code = code
        self.text = text
        self.http_text = http_text or text
        self.details = details
        self.rpc_details = details if rpc_details is None else rpc_details


class StateCall(NamedTuple):
    """The call that a request makes, for the words of its errors."""

    operation: str  # a key of FAILURES
    store: str
    key: str = ""
    app_id: str = ""  # only over HTTP, where Dapr's words have it


class FailureWords(NamedTuple):
    """The words for an operation that has failed in the store."""

    code: str
    text: str  # for str.format
    etag_status: int = 409
    etag_grpc: str = "ABORTED"


FAILURES: Mapping[str, FailureWords] = {
    "get": FailureWords("ERR_STATE_GET", "fail to get {key} from state store {store}: {error}"),
    "get_bulk": FailureWords("ERR_STATE_BULK_GET", "{error}"),
    "save": FailureWords("ERR_STATE_SAVE", "failed saving state in state store {store}: {error}"),
    "delete": FailureWords("ERR_STATE_DELETE", "failed deleting state with key {key}: {error}"),
    "delete_bulk": FailureWords("ERR_STATE_BULK_DELETE", "failed deleting state in state store {store}: {error}"),
    "transact": FailureWords(
        "ERR_STATE_TRANSACTION", "error while executing state transaction: {error}", 500, "INTERNAL"
    ),
}


@contextmanager
def in_daprs_words(call: StateCall) -> Iterator[None]:
    """Convert the errors of a block to errors in Dapr's words.

    Raises:
        StateProblem: An error of the block.
        Refusal: The same request may succeed later.
    """
    try:
        yield
    except (StateProblem, Refusal):
        raise
    except PerdureError as error:
        raise problem_of(error, call) from error


def problem_of(error: PerdureError, call: StateCall) -> StateProblem | Refusal:
    """Return the error in Dapr's words for an error."""
    if isinstance(error, StateStoreNotFound):
        return store_not_found(error, call.app_id)
    if isinstance(error, StateKeyInvalid):
        return key_invalid(error)
    for kind, answer in TRY_AGAIN.items():
        if isinstance(error, kind):
            return Refusal(answer, error=str(error))
    words = FAILURES[call.operation]
    text = words.text.format(key=call.key, store=call.store, error=error)
    status, grpc = 500, "INTERNAL"
    if isinstance(error, EtagMismatch):
        status, grpc = words.etag_status, words.etag_grpc
    elif isinstance(error, StateUnavailable):
        status, grpc = 503, "UNAVAILABLE"
    return StateProblem(status, grpc, words.code, text, rpc_details=[ErrorInfo(words.code)])


def store_not_found(error: StateStoreNotFound, app_id: str) -> StateProblem:
    """Return the error for a missing store; the words differ if there is no store at all."""
    own = {"appID": app_id} if app_id else None
    if error.known:
        status, grpc, code, what = 400, "INVALID_ARGUMENT", "ERR_STATE_STORE_NOT_FOUND", "found"
    else:
        status, grpc, code, what = 500, "FAILED_PRECONDITION", "ERR_STATE_STORE_NOT_CONFIGURED", "configured"
    reason = code.replace("ERR_STATE_STORE", "DAPR_STATE")
    text = f"state store {error.store} is not {what}"
    return StateProblem(status, grpc, code, text, details=[ErrorInfo(reason, own)], rpc_details=[ErrorInfo(reason)])


def key_invalid(error: StateKeyInvalid) -> StateProblem:
    """Return the error for an invalid key. Over HTTP Dapr's text contains the error twice."""
    ends: list[Detail] = [ResourceInfo(error.store), ErrorInfo("DAPR_STATE_ILLEGAL_KEY")]
    return StateProblem(
        400,
        "INVALID_ARGUMENT",
        "ERR_MALFORMED_REQUEST",
        str(error),
        details=[FieldViolation(error.key, f"{AGAIN}{error}"), *ends],
        rpc_details=[FieldViolation(error.key, str(error)), *ends],
        http_text=f"{AGAIN}{error}",
    )


AGAIN = "api error: code = InvalidArgument desc = "


def unsupported_operation(operation: str) -> StateProblem:
    """Return the error for an operation of a transaction that is neither upsert nor delete."""
    code = "ERR_NOT_SUPPORTED_STATE_OPERATION"
    text = f"operation type {operation} not supported"
    return StateProblem(400, "UNIMPLEMENTED", code, text, rpc_details=[ErrorInfo(code)])


def key_missing() -> StateProblem:
    """Return the error for a save without a key over gRPC."""
    details = [ErrorInfo("ERR_STATE_SAVE")]
    return StateProblem(400, "INVALID_ARGUMENT", "ERR_STATE_SAVE", "state key cannot be empty", details=details)


def query_unsupported(store: str) -> StateProblem:
    """Return the error for a query: stores of Perdure cannot be queried."""
    details: list[Detail] = [ResourceInfo(store), ErrorInfo("DAPR_STATE_QUERYING_NOT_SUPPORTED")]
    text = "state store does not support querying"
    return StateProblem(500, "INTERNAL", "ERR_STATE_STORE_NOT_SUPPORTED", text, details=details)


def metadata_of(value: StateValue) -> dict[str, str]:
    """Return the metadata of a value besides its etag."""
    if not value.expires_us:
        return {}
    expires = datetime.fromtimestamp(min(value.expires_us, END_US) // 1_000_000, UTC)
    return {EXPIRES: f"{expires:%Y-%m-%dT%H:%M:%SZ}"}
