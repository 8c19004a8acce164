"""The job of an answer is found by its key."""

import pytest

from perdure.actors.address import Address
from perdure.runtime.directory import ACTIVITY
from perdure.runtime.instance.message import Invoke
from perdure.runtime.workers.items import CALL_MARK, ActivityAnswer
from perdure.runtime.workers.keys import activity_key, instance_of, key_of
from perdure.runtime.workers.stream import Job


def test_a_key_has_the_instance_in_it() -> None:
    assert activity_key("order::1", 3) == Address(ACTIVITY, "order::1::3")
    assert instance_of(activity_key("order::1", 3)) == "order::1"
    assert instance_of(Address("workflow", "order::1")) == "order::1"


def test_an_answer_to_a_call_is_found_by_its_token() -> None:
    answer = ActivityAnswer("order", 3, f"token{CALL_MARK}call-id", None, None)
    assert key_of(answer, {}) == activity_key("call-id", 3)


def call_under_way(call_id: str, *, sent: bool) -> Job:
    invoke = Invoke("charge", None, "order", "generation", 3, "stable key", caller="shop", call=call_id)
    job = Job(activity_key(call_id, 3), invoke)
    job.sent = sent
    return job


@pytest.mark.parametrize(
    ("instance_id", "task_id", "token", "sent", "expected"),
    [
        ("order", 3, "", True, activity_key("call-id", 3)),
        ("order", 3, "", False, activity_key("order", 3)),  # no worker has it yet, so this cannot be its answer
        ("order", 4, "", True, activity_key("order", 4)),
        ("other", 3, "", True, activity_key("other", 3)),
        ("order", 3, "of an earlier delivery", True, activity_key("order", 3)),  # a token would have named the call
    ],
)
def test_an_answer_without_a_token_may_be_to_a_call_of_the_same_instance(
    instance_id: str, task_id: int, token: str, *, sent: bool, expected: Address
) -> None:
    job = call_under_way("call-id", sent=sent)
    answer = ActivityAnswer(instance_id, task_id, token, None, None)
    assert key_of(answer, {job.key: job}) == expected


def test_an_answer_without_a_token_is_to_the_own_activity_of_its_instance_first() -> None:
    call = call_under_way("call-id", sent=True)
    own = Job(activity_key("order", 3), Invoke("charge", None, "order", "generation", 3, "stable key"))
    assert key_of(ActivityAnswer("order", 3, "", None, None), {call.key: call, own.key: own}) == own.key
