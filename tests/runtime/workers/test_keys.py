"""Which job an answer is to."""

from perdure.actors.address import Address
from perdure.runtime.directory import ACTIVITY
from perdure.runtime.workers.items import CALL_MARK, ActivityAnswer
from perdure.runtime.workers.keys import activity_key, instance_of, key_of


def test_a_key_has_the_instance_in_it() -> None:
    assert activity_key("order::1", 3) == Address(ACTIVITY, "order::1::3")
    assert instance_of(activity_key("order::1", 3)) == "order::1"
    assert instance_of(Address("workflow", "order::1")) == "order::1"


def test_an_answer_to_a_call_is_found_by_its_token() -> None:
    answer = ActivityAnswer("order", 3, f"token{CALL_MARK}call-id", None, None)
    assert key_of(answer, {}) == activity_key("call-id", 3)
