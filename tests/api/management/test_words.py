"""An error of the engine has one answer, and its text says which instance and what to do."""

import pytest

from perdure.actors.errors import ActorFailed, PerdureError
from perdure.api.management import words
from perdure.api.words import INTERNAL, ErrorAnswer, Refusal
from perdure.runtime import errors


def test_a_code_has_one_status() -> None:
    answers = [value for value in vars(words).values() if isinstance(value, ErrorAnswer)]
    statuses = {(answer.code, answer.status) for answer in [*answers, *words.ANSWERS.values()]}
    assert len({code for code, _ in statuses}) == len(statuses)


def test_each_error_that_refuses_a_request_has_an_answer() -> None:
    refusals = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.RequestRefused) and kind is not errors.RequestRefused
    ]
    missing = {kind.__name__ for kind in refusals if not issubclass(kind, tuple(words.ANSWERS))}
    # These two are handled inside: by the start that reads descendants, and by the bulk operation that skips the
    # instance.
    assert missing == {"DescendantsUnknown", "NoMatch"}


def test_the_most_special_answer_counts() -> None:
    error = errors.LimitExceeded("the input", limit="payload_bytes_max", found=2, maximum=1)
    assert words.management_refusal(error).answer is words.LIMIT_EXCEEDED


def test_a_name_that_is_too_long_is_a_mistake_in_the_request() -> None:
    error = errors.LimitExceeded("the name", limit="name_bytes_max", found=2, maximum=1)
    assert words.management_refusal(error).answer is words.REQUEST_INVALID


def test_the_instance_is_that_of_the_error_or_of_the_path() -> None:
    assert "'child'" in str(words.management_refusal(errors.InstanceUnfinished("child"), instance_id="parent"))
    refused = Refusal(words.FILTER_INVALID, detail="no")
    assert words.management_refusal(refused) is refused


@pytest.mark.parametrize("error", [PerdureError("secret"), ActorFailed.__new__(ActorFailed)])
def test_what_is_not_known_is_internal(error: PerdureError) -> None:
    assert words.management_refusal(error).answer is INTERNAL
