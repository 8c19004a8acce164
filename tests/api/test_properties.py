"""An instance is described by the same properties over every API: contract 1.3."""

import pytest

from perdure.api.properties import RUNTIME_STATUS, properties
from perdure.runtime.history.failure import ACTIVITY_CALL, CHILD_CALL, FailedCall, FailureDetails
from perdure.runtime.history.status import Status

from ..support.doors.fake_facade import state


def test_each_status_has_its_name_and_stalled_has_dapr_s() -> None:
    assert RUNTIME_STATUS.keys() == set(Status)
    assert RUNTIME_STATUS[Status.STALLED] == "UNKNOWN"
    assert all(name == status.name for status, name in RUNTIME_STATUS.items() if status is not Status.STALLED)


def test_payloads_are_strings_as_stored_even_empty_ones() -> None:
    found = properties(state(status=Status.COMPLETED, input="", output='{"done": 1}', custom_status=""))
    assert found == {
        "dapr.workflow.custom_status": "",
        "dapr.workflow.input": "",
        "dapr.workflow.output": '{"done": 1}',
    }


def test_what_there_is_not_is_left_out() -> None:
    assert properties(state(input=None)) == {}


def test_a_pending_instance_has_none_yet() -> None:
    assert properties(state(status=Status.PENDING, input="1", custom_status="waiting")) == {}


def test_a_failure_stands_in_place_of_the_output() -> None:
    failure = FailureDetails(error_type="ValueError", message="no such item", stack_trace="at line 3")
    assert properties(state(status=Status.FAILED, failure=failure, output="no such item", input=None)) == {
        "dapr.workflow.failure.error_message": "no such item",
        "dapr.workflow.failure.stack_trace": "at line 3",
        "dapr.workflow.failure.error_type": "ValueError",
    }


@pytest.mark.parametrize("stack_trace", [None, ""])
def test_a_failure_without_a_stack_trace_shows_none(stack_trace: str | None) -> None:
    failure = FailureDetails(error_type="", message="", stack_trace=stack_trace)
    assert properties(state(status=Status.FAILED, failure=failure, input=None)) == {
        "dapr.workflow.failure.error_message": "",
        "dapr.workflow.failure.error_type": "",
    }


def test_a_terminated_instance_shows_the_output_it_was_given() -> None:
    found = properties(state(status=Status.TERMINATED, output='"stop"', input=None))
    assert found == {"dapr.workflow.output": '"stop"'}


def test_a_stalled_instance_tells_why() -> None:
    assert properties(state(status=Status.STALLED, input=None)) == {"perdure.workflow.stall": "the code changed"}


DECLINED = FailureDetails(error_type="CardDeclined", message="no money", stack_trace="in charge")
CALL = FailedCall(kind=ACTIVITY_CALL, name="charge", id=2, attempt=3)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (
            FailureDetails(error_type="TaskFailedError", message="m", inner=DECLINED, call=CALL),
            {"activity": "charge", "id": "2", "attempt": "3", "error_type": "CardDeclined", "error_message": "no money",
             "stack_trace": "in charge"},
        ),
        (
            FailureDetails(
                error_type="LookupError",
                message="m",
                inner=FailureDetails(error_type="TaskFailedError", message="m", inner=DECLINED, call=CALL),
            ),
            {"activity": "charge", "id": "2", "attempt": "3", "error_type": "CardDeclined", "error_message": "no money",
             "stack_trace": "in charge"},
        ),
        (
            # As a worker's code reports it: only in its message.
            FailureDetails(
                error_type="TaskFailedError",
                message="m",
                call=FailedCall(kind=CHILD_CALL, name="ship", id="kid", failure=DECLINED),
            ),
            {"child": "ship", "id": "kid", "error_type": "CardDeclined", "error_message": "no money",
             "stack_trace": "in charge"},
        ),
    ],
)  # fmt: skip
def test_the_activity_or_the_child_that_failed_is_named_beside_dapr_s_properties(
    failure: FailureDetails, expected: dict[str, str]
) -> None:
    found = properties(state(status=Status.FAILED, failure=failure, input=None))
    assert found["dapr.workflow.failure.error_type"] == failure.error_type
    assert found.pop("perdure.workflow.failure.trace") == failure.trace
    own = "perdure.workflow.failure."
    assert {name.removeprefix(own): value for name, value in found.items() if name.startswith(own)} == expected
