"""Failures pass verbatim, through Perdure's store too."""

import msgpack
import pytest

from perdure.rpc.messages import Message, TaskFailureDetails
from perdure.rpc.wire.failure import DEPTH_MAX, failure_from, failure_message
from perdure.runtime.history.failure import FailureDetails

UNKNOWN = b"\xfa\x3f\x02hi"


def through_the_store(failure: FailureDetails) -> FailureDetails:
    return FailureDetails.unpack(msgpack.unpackb(msgpack.packb(failure.pack()), use_list=False))


def nested(depth: int) -> Message:
    message = TaskFailureDetails(errorType="Innermost")
    for level in range(depth):
        message = TaskFailureDetails(errorType=f"E{level}", innerFailure=message)
    return message


@pytest.mark.parametrize(
    "said",
    [
        TaskFailureDetails(),
        TaskFailureDetails(errorType="ValueError", errorMessage="no", isNonRetriable=True),
        TaskFailureDetails(errorType="E", stackTrace={"value": ""}),
        nested(3),
        nested(DEPTH_MAX + 10),
        TaskFailureDetails.FromString(nested(2).SerializeToString() + UNKNOWN),
    ],
)
def test_a_failure_comes_back_as_it_was(said: Message) -> None:
    kept = through_the_store(failure_from(said))
    assert failure_message(kept).SerializeToString(deterministic=True) == said.SerializeToString(deterministic=True)


def test_unknown_fields_of_a_cause_stay_with_the_cause() -> None:
    inner = TaskFailureDetails.FromString(TaskFailureDetails(errorType="I").SerializeToString() + UNKNOWN)
    read = failure_from(TaskFailureDetails(errorType="E", innerFailure=inner))
    assert read.wire is None
    assert read.inner is not None
    assert read.inner.wire == UNKNOWN


def test_a_native_failure_is_written_whole() -> None:
    failure = FailureDetails(
        error_type="E", message="m", stack_trace="s", inner=FailureDetails(error_type="I", message="")
    )
    written = failure_message(failure)
    assert (written.errorType, written.errorMessage, written.stackTrace.value) == ("E", "m", "s")
    assert written.innerFailure.errorType == "I"
