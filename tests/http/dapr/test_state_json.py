"""The JSON of an instance follows contract 1.3."""

import json
from typing import Any

import pytest

from perdure.http.dapr.state_json import state_json, timestamp
from perdure.runtime.history.failure import FailureDetails
from perdure.runtime.history.status import Status

from ...support.doors.fake_facade import state


def shown(*args: Any, **fields: Any) -> dict[str, Any]:
    """Encode an instance and read it back."""
    body: dict[str, Any] = json.loads(state_json(state(*args, **fields)))
    return body


def test_a_running_instance_is_described_byte_for_byte_as_in_dapr() -> None:
    assert state_json(state()) == (
        b'{"instanceID":"order-1","workflowName":"OrderProcessing",'
        b'"createdAt":"2026-11-23T04:00:00.123456Z","lastUpdatedAt":"2026-11-23T04:00:01.123456Z",'
        b'"runtimeStatus":"RUNNING","properties":{"dapr.workflow.input":"{\\"item\\":\\"paperclips\\"}"}}'
    )


@pytest.mark.parametrize(
    ("unix_us", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_795_406_400_000_000, "2026-11-23T04:00:00Z"),
        (1_795_406_400_120_000, "2026-11-23T04:00:00.120Z"),
        (1_795_406_400_001_000, "2026-11-23T04:00:00.001Z"),
        (1_795_406_400_000_001, "2026-11-23T04:00:00.000001Z"),
        (1_795_406_400_123_400, "2026-11-23T04:00:00.123400Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_times_have_no_three_or_six_digits_of_fraction(unix_us: int, text: str) -> None:
    assert timestamp(unix_us) == text


@pytest.mark.parametrize("status", Status)
def test_each_status_has_its_string_and_stalled_has_dapr_s(status: Status) -> None:
    assert shown(status=status)["runtimeStatus"] == ("UNKNOWN" if status is Status.STALLED else status.name)


def test_a_pending_instance_has_no_times_and_no_properties_yet() -> None:
    assert shown(status=Status.PENDING) == {
        "instanceID": "order-1",
        "workflowName": "OrderProcessing",
        "createdAt": "0001-01-01T00:00:00Z",
        "lastUpdatedAt": "0001-01-01T00:00:00Z",
        "runtimeStatus": "PENDING",
    }


def test_an_instance_without_payloads_has_no_properties_at_all() -> None:
    assert "properties" not in shown(input=None)


def test_an_instance_without_a_name_has_no_name_at_all() -> None:
    assert "workflowName" not in shown(name="")


def test_payloads_are_strings_as_stored_even_empty_ones() -> None:
    properties = shown(status=Status.COMPLETED, input="", output='"done"', custom_status="")["properties"]
    assert properties == {
        "dapr.workflow.input": "",
        "dapr.workflow.output": '"done"',
        "dapr.workflow.custom_status": "",
    }


def test_a_failed_instance_tells_its_failure_and_no_output() -> None:
    failure = FailureDetails(error_type="ValueError", message="no such item", stack_trace="at line 3")
    properties = shown(status=Status.FAILED, failure=failure, output="no such item", input=None)["properties"]
    assert properties == {
        "dapr.workflow.failure.error_type": "ValueError",
        "dapr.workflow.failure.error_message": "no such item",
        "dapr.workflow.failure.stack_trace": "at line 3",
    }


@pytest.mark.parametrize("stack_trace", [None, ""])
def test_a_failure_without_a_stack_trace_shows_none(stack_trace: str | None) -> None:
    failure = FailureDetails(error_type="", message="", stack_trace=stack_trace)
    properties = shown(status=Status.FAILED, failure=failure, input=None)["properties"]
    assert properties == {"dapr.workflow.failure.error_type": "", "dapr.workflow.failure.error_message": ""}


def test_a_terminated_instance_shows_the_output_it_was_given() -> None:
    assert shown(status=Status.TERMINATED, output='"stop"')["properties"]["dapr.workflow.output"] == '"stop"'


def test_a_stalled_instance_tells_why() -> None:
    properties = shown(status=Status.STALLED)["properties"]
    assert properties["perdure.workflow.stall"] == "the code changed"


def test_any_text_survives_the_encoding() -> None:
    text = '"\\\u0000\u2028🙂é'
    assert shown(text, input=text, name=text)["properties"]["dapr.workflow.input"] == text
