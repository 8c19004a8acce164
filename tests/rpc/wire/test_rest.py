"""Fields of a message beyond the kept ones come back, and the kept ones are not stored twice."""

from perdure.rpc.messages import Message, TaskFailureDetails, TaskRouter
from perdure.rpc.wire.rest import put_back, rest_of

UNKNOWN = b"\xfa\x3f\x02hi"


def router(**fields: str) -> Message:
    return TaskRouter(**fields)


def test_equal_messages_leave_nothing() -> None:
    assert rest_of(router(sourceAppID="a"), router(sourceAppID="a")) is None


def test_what_is_not_kept_comes_back() -> None:
    said = TaskRouter.FromString(router(sourceAppID="a", targetAppID="b").SerializeToString() + UNKNOWN)
    kept = router(sourceAppID="a")
    rest = rest_of(said, kept)
    assert rest == router(targetAppID="b").SerializeToString() + UNKNOWN
    put_back(kept, rest)
    assert kept == said


def test_what_is_kept_otherwise_comes_back_as_it_was() -> None:
    # Given a nested message that Perdure keeps in another form,
    said = TaskFailureDetails(errorType="E", innerFailure={"errorType": "Inner"})
    kept = TaskFailureDetails(errorType="E", innerFailure={"errorMessage": "other"})
    # when it is put back,
    rest = rest_of(said, kept)
    assert rest is not None
    put_back(kept, rest)
    # then it replaces that form: the two are not mixed.
    assert kept == said


def test_a_default_that_was_said_comes_back_as_said() -> None:
    said, kept = router(targetAppID=""), router()
    rest = rest_of(said, kept)
    assert rest is not None
    put_back(kept, rest)
    assert kept.HasField("targetAppID")
