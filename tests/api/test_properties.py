"""An instance is described by the same properties over every API: contract 1.3."""

import pytest

from perdure.api.properties import RUNTIME_STATUS, properties
from perdure.runtime.history.failure import FailureDetails
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
