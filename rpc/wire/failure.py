"""Encodes and decodes failures, verbatim in both directions (contract 3.15).

The rule: a failure from the wire is sent out unchanged.

`rpc/wire/history.py` and `rpc/wire/actions.py` use it.
"""

from typing import Any

from ...runtime.history.failure import FailureDetails
from ..messages import Message, TaskFailureDetails
from .rest import put_back, rest_of

# SDKs nest causes. Causes below this depth are kept as bytes in `wire`, and are sent out too.
DEPTH_MAX = 32


def failure_message(failure: FailureDetails) -> Message:
    """Encode a failure."""
    message = TaskFailureDetails(**_fields(failure))
    if failure.wire is not None:
        put_back(message, failure.wire)
    return message


def failure_from(message: Message, *, depth: int = DEPTH_MAX) -> FailureDetails:
    """Decode a failure."""
    deeper = message.HasField("innerFailure") and depth > 0
    failure = FailureDetails(
        error_type=message.errorType,
        message=message.errorMessage,
        stack_trace=message.stackTrace.value if message.HasField("stackTrace") else None,
        inner=failure_from(message.innerFailure, depth=depth - 1) if deeper else None,
        non_retriable=message.isNonRetriable,
    )
    rest = rest_of(message, failure_message(failure))
    if rest is None:
        return failure
    return FailureDetails(
        error_type=failure.error_type,
        message=failure.message,
        stack_trace=failure.stack_trace,
        inner=failure.inner,
        non_retriable=failure.non_retriable,
        wire=rest,
    )


def _fields(failure: FailureDetails) -> dict[str, Any]:
    return {
        "errorType": failure.error_type,
        "errorMessage": failure.message,
        "stackTrace": {"value": failure.stack_trace} if failure.stack_trace is not None else None,
        "innerFailure": failure_message(failure.inner) if failure.inner is not None else None,
        "isNonRetriable": failure.non_retriable,
    }
