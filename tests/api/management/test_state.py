"""Changes of values are the same after they were written into a request and read from it."""

import msgspec
import pytest

from perdure.api.management.state import StateChanges, body_of, changes_in
from perdure.runtime.state.state import TTL_S_MAX, StateChange

CHANGES = [
    StateChange("a", b'{"n":  1}', "7", False, 60),
    StateChange("b", b"null", "", True, 0),
    StateChange("c", None, "8"),
    StateChange("d", None),
]


def test_changes_come_out_of_a_request_as_they_went_in() -> None:
    body = msgspec.json.encode(body_of(CHANGES))
    assert changes_in(msgspec.json.decode(body, type=StateChanges)) == CHANGES


def test_a_time_that_is_longer_than_any_store_counts_is_the_longest() -> None:
    [made] = body_of([StateChange("a", b"1", ttl_s=TTL_S_MAX * 10)]).changes
    assert made.ttl_s == TTL_S_MAX


@pytest.mark.parametrize("etag", ["7", '"7"'])
def test_an_etag_may_have_the_quotes_of_a_header(etag: str) -> None:
    body = msgspec.json.encode({"changes": [{"key": "a", "etag": etag}]})
    assert changes_in(msgspec.json.decode(body, type=StateChanges)) == [StateChange("a", None, "7")]
