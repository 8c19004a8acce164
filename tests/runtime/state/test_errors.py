"""The errors of the state API have Dapr's words, and cross between hosts."""

from perdure.runtime.state.errors import EtagMismatch, StateStoreNotFound

PREFIX = "possible etag mismatch. error from state store"


def test_a_change_by_itself_has_daprs_words_once() -> None:
    assert str(EtagMismatch([0], ["state etag not match"], several=False)) == f"{PREFIX}: state etag not match"


def test_several_changes_have_them_around_and_before_each() -> None:
    error = EtagMismatch([0, 2], ["one", "two"], several=True)
    assert str(error) == f"{PREFIX}: {PREFIX}: one\n{PREFIX}: two"
    assert error.positions == [0, 2]


def test_an_engine_without_stores_says_so() -> None:
    assert str(StateStoreNotFound("a", [])) == "state store a is not found; there is none"
