"""Errors of the state API are put into Dapr's words, once for both doors."""

import pytest

from perdure.actors.errors import HostStopping
from perdure.api.state import StateCall, StateProblem, in_daprs_words, metadata_of, problem_of
from perdure.api.words import Refusal
from perdure.runtime.state.errors import EtagMismatch, StateUnavailable
from perdure.runtime.state.state import StateValue

CALL = StateCall("save", "s", "k")


def test_an_error_of_a_block_gets_its_words() -> None:
    with pytest.raises(StateProblem) as told, in_daprs_words(CALL):
        raise EtagMismatch([0], ["why"], several=False)
    assert (told.value.status, told.value.grpc, told.value.code) == (409, "ABORTED", "ERR_STATE_SAVE")
    assert told.value.details == ()
    with pytest.raises(ZeroDivisionError), in_daprs_words(CALL):
        raise ZeroDivisionError


def test_what_may_succeed_later_is_told_as_for_workflows() -> None:
    assert isinstance(problem_of(HostStopping(), CALL), Refusal)
    unavailable = problem_of(StateUnavailable("an older release"), CALL)
    assert isinstance(unavailable, StateProblem)
    assert (unavailable.status, unavailable.grpc, unavailable.code) == (503, "UNAVAILABLE", "ERR_STATE_SAVE")


def test_a_time_is_told_to_the_second_and_one_beyond_all_dates_as_the_last() -> None:
    assert metadata_of(StateValue(b"", "1")) == {}
    assert metadata_of(StateValue(b"", "1", 1_700_000_000_999_999)) == {"ttlExpireTime": "2023-11-14T22:13:20Z"}
    assert metadata_of(StateValue(b"", "1", 2**62)) == {"ttlExpireTime": "9999-12-31T23:59:59Z"}
