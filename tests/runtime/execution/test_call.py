"""A call says which of its tries has failed, and two calls with the same content are different calls."""

import pytest

from perdure.runtime.authoring.codec import UNTYPED
from perdure.runtime.authoring.task import Task
from perdure.runtime.execution.call import Call
from perdure.runtime.history.failure import ACTIVITY_CALL, CHILD_CALL, FailedCall


def call(what: str) -> Call:
    return Call(Task(None), what, "charge", UNTYPED, "1", lambda again: None, None, 17)


@pytest.mark.parametrize(
    ("what", "failed"),
    [
        ("Activity", FailedCall(kind=ACTIVITY_CALL, name="charge", id=4, attempt=2)),
        ("Child workflow", FailedCall(kind=CHILD_CALL, name="charge", id="c-1", attempt=2)),
    ],
)
def test_a_failed_call_names_its_last_try(what: str, failed: FailedCall) -> None:
    asked = call(what)
    asked.attempt, asked.child_id = 2, "c-1"
    assert asked.failed(4) == failed


def test_two_calls_with_the_same_values_are_not_the_same_call() -> None:
    assert call("Activity") != call("Activity")
