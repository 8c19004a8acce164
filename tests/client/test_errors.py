"""The errors of a client that calls a daemon: the classes of an embedded engine where these exist."""

import pickle

import pytest

from perdure import InstanceExists, InstanceNotFound, InstanceStalled, PerdureError
from perdure.client.errors import IdHeld, ServerRefused, ServerUnreachable, TokenRefused, Told, error_of
from perdure.runtime.errors import Advice, InstanceUnfinished


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "ERR_INSTANCE_ID_NOT_FOUND", InstanceNotFound),
        (409, "ERR_INSTANCE_EXISTS", IdHeld),
        (409, "ERR_INSTANCE_UNFINISHED", InstanceUnfinished),
        (409, "ERR_INSTANCE_STALLED", InstanceStalled),
        (401, "ERR_TOKEN_MISSING", TokenRefused),
        (403, "", TokenRefused),
        (412, "ERR_RUN_CHANGED", ServerRefused),
        (502, "", ServerRefused),
    ],
)
def test_an_answer_becomes_the_error_that_an_engine_raises(status: int, code: str, kind: type[PerdureError]) -> None:
    error = error_of(status, Told(code, "so it is"), instance_id="order-17")
    assert type(error) is kind
    assert "so it is" in (str(error), *getattr(error, "__notes__", ())) or kind is TokenRefused
    assert getattr(error, "instance_id", "order-17") == "order-17"


def test_an_id_that_is_held_is_an_instance_that_exists_with_the_words_of_the_server() -> None:
    error = error_of(409, Told("ERR_INSTANCE_EXISTS", "it is COMPLETED"), instance_id="order-17")
    assert isinstance(error, InstanceExists)
    assert str(error) == str(pickle.loads(pickle.dumps(error))) == "it is COMPLETED"  # noqa: S301  our own


def test_an_answer_about_no_instance_keeps_the_servers_words() -> None:
    error = error_of(404, Told("ERR_INSTANCE_ID_NOT_FOUND", "so it is"), instance_id=None)
    assert isinstance(error, ServerRefused)
    assert (error.status, error.code, str(error)) == (404, "ERR_INSTANCE_ID_NOT_FOUND", "so it is")


ANSWERED = {"errorCode": "ERR_X", "message": "It ran. Add force=true.", "problem": "It ran."}


@pytest.mark.parametrize(
    ("advice", "parts"),
    [
        ("force", ("It ran.", Advice.FORCE)),
        ("dance", ("It ran. Add force=true.", None)),  # of a newer daemon
        (None, ("It ran. Add force=true.", None)),
        (["force"], ("It ran. Add force=true.", None)),
    ],
)
def test_the_advice_of_an_answer_comes_as_a_word_beside_the_problem(
    advice: object, parts: tuple[str, Advice | None]
) -> None:
    told = Told.of(ANSWERED | {"advice": advice})
    for status, code in ((409, "ERR_INSTANCE_EXISTS"), (404, "ERR_X")):
        error = error_of(status, told._replace(code=code), instance_id="i")
        assert isinstance(error, IdHeld | ServerRefused)
        assert error.parts() == parts
        assert str(error) == "It ran. Add force=true."


def test_advice_of_the_client_itself_is_for_python() -> None:
    assert str(TokenRefused(401, "", "Who?")) == "Who? Give a token with perdure.connect(..., token=...)."
    assert "perdure.connect(url)" in str(ServerUnreachable("http://here", "refused", sent=False))


@pytest.mark.parametrize(
    ("sent", "words"), [(True, "it may have happened"), (False, "nothing of this request was done")]
)
def test_an_answer_that_did_not_come_says_whether_the_request_may_have_happened(sent: bool, words: str) -> None:
    error = ServerUnreachable("http://here", "refused", sent=sent)
    assert words in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301  our own
