"""Errors have Dapr's words over every API."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.actors.address import Address
from perdure.actors.errors import ActorFailed, HostStopping, MailboxFull, NotOwner, PerdureError
from perdure.actors.store.errors import StoreFailed
from perdure.api.words import (
    APP_ID_INVALID,
    EVENT_NAME_MISSING,
    FAILURES,
    ID_BYTES_MAX,
    ID_INVALID,
    ID_MISSING,
    ID_TOO_LONG,
    NAME_MISSING,
    NOT_FOUND,
    NOT_FOUND_IS_404,
    PAYLOAD_MALFORMED,
    START_TIME_INVALID,
    TRY_AGAIN,
    ErrorAnswer,
    Refusal,
    check_new_id,
    is_plain,
    other_app,
    refusal,
)
from perdure.runtime.errors import (
    Advice,
    ChildUnfinished,
    EventRefused,
    InstanceExists,
    InstanceFull,
    InstanceNotFound,
    InstanceStalled,
    InstanceUnfinished,
    InvalidRequest,
    LimitExceeded,
)
from perdure.runtime.history.row import CorruptHistory

FIELDS = {"instance_id": "order-1", "workflow_name": "Order", "event_name": "Paid"}

WORDS = [  # contract 1.4; the engine's own words follow
    (
        "start",
        "ERR_START_WORKFLOW",
        "error starting workflow 'Order': unable to start workflow: failed to start workflow",
    ),
    (
        "get",
        "ERR_GET_WORKFLOW",
        "error while getting workflow info on instance 'order-1': failed to get workflow metadata for 'order-1': "
        "failed to fetch workflow metadata",
    ),
    (
        "raise_event",
        "ERR_RAISE_EVENT_WORKFLOW",
        "error raising event on workflow 'order-1': failed to raise event Paid on workflow order-1: "
        "failed to raise event",
    ),
    (
        "pause",
        "ERR_PAUSE_WORKFLOW",
        "error pausing workflow order-1: failed to pause workflow order-1: failed to suspend workflow",
    ),
    (
        "resume",
        "ERR_RESUME_WORKFLOW",
        "error resuming workflow order-1: failed to resume workflow order-1: failed to resume workflow",
    ),
    (
        "terminate",
        "ERR_TERMINATE_WORKFLOW",
        "error terminating workflow 'order-1': failed to terminate workflow order-1: "
        "failed to submit termination request",
    ),
    (
        "purge",
        "ERR_PURGE_WORKFLOW",
        "error purging workflow order-1: failed to Purge workflow order-1: failed to purge workflow state",
    ),
]


@pytest.mark.parametrize(("operation", "code", "words"), WORDS)
@pytest.mark.parametrize(
    "error",
    [
        InstanceStalled("order-1"),
        InstanceUnfinished("order-1"),
        InvalidRequest("no instance can have this name"),
        CorruptHistory("row 7 cannot be read"),
        NotOwner(Address("workflow", "order-1"), shard=3, owner="other"),
        ActorFailed(Address("workflow", "order-1"), ZeroDivisionError("division by zero")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_the_engine_ends_the_words_of_its_operation(
    operation: str, code: str, words: str, error: PerdureError
) -> None:
    refused = refusal(operation, error, **FIELDS)
    assert (refused.answer.status, refused.answer.code, str(refused)) == (500, code, f"{words}: {error}")


def test_these_are_all_operations() -> None:
    assert [operation for operation, _, _ in WORDS] == list(FAILURES)


@pytest.mark.parametrize("operation", FAILURES)
def test_only_some_operations_know_a_missing_instance_as_such(operation: str) -> None:
    refused = refusal(operation, InstanceNotFound("order-1"), **FIELDS)
    if operation in ("get", "terminate", "purge"):
        assert refused.answer == NOT_FOUND
        assert str(refused) == "unable to find workflow with the provided instance ID: order-1"
    else:
        assert refused.answer == FAILURES[operation]
        assert str(refused).endswith(": no such instance exists")


def test_each_operation_that_answers_404_is_an_operation() -> None:
    assert set(FAILURES) > NOT_FOUND_IS_404


@pytest.mark.parametrize("operation", FAILURES)
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (MailboxFull(Address("workflow", "order-1"), messages_max=10), 429, "ERR_MAILBOX_FULL"),
        (HostStopping(), 503, "ERR_HOST_STOPPING"),
        (StoreFailed("the disk is full"), 503, "ERR_STORE_FAILED"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_may_work_later_is_said_without_ado(operation: str, error: PerdureError, status: int, code: str) -> None:
    refused = refusal(operation, error, **FIELDS)
    assert (refused.answer.status, refused.answer.code, str(refused)) == (status, code, str(error))


@pytest.mark.parametrize("operation", FAILURES)
def test_more_than_a_limit_allows_is_the_callers_mistake(operation: str) -> None:
    error = LimitExceeded("the reason", limit="payload_bytes_max", found=7, maximum=5)
    refused = refusal(operation, error, **FIELDS)
    assert (refused.answer.status, refused.answer.code) == (400, FAILURES[operation].code)
    assert "the reason has 7 bytes, and the limit payload_bytes_max is 5" in str(refused)


@pytest.mark.parametrize("operation", FAILURES)
def test_a_full_instance_is_answered_like_a_full_mailbox(operation: str) -> None:
    refused = refusal(operation, InstanceFull("order-1", held=7), **FIELDS)
    assert (refused.answer.status, refused.answer.code) == (429, "ERR_MAILBOX_FULL")


def test_a_special_case_of_what_may_work_later_is_answered_like_it() -> None:
    class DiskFull(StoreFailed):
        pass

    assert refusal("start", DiskFull("no room"), **FIELDS).answer == TRY_AGAIN[StoreFailed]


@pytest.mark.parametrize(
    "error", [InstanceExists("P"), InstanceExists("P", unique=True), ChildUnfinished("P", ("C", "D"))], ids=str
)
def test_the_two_grpc_statuses_among_dapr_s_errors_look_like_go_prints_them(error: PerdureError) -> None:
    refused = refusal("start", error, **FIELDS)
    assert str(refused).endswith(f"failed to start workflow: rpc error: code = AlreadyExists desc = {error}")


@pytest.mark.parametrize("operation", FAILURES)
def test_what_has_its_words_already_keeps_them(operation: str) -> None:
    refused = Refusal(ID_INVALID, instance_id="a.b")
    assert refusal(operation, refused, **FIELDS) is refused


def test_fields_that_a_row_has_no_place_for_are_ignored() -> None:
    refused = refusal("pause", InstanceStalled("order-1"), component="dapr", **FIELDS)
    assert "dapr" not in str(refused)


def test_braces_in_what_was_asked_and_in_what_was_said_are_only_text() -> None:
    refused = refusal("pause", InvalidRequest("{0} {instance_id}"), instance_id="{error}{1}")
    assert str(refused) == (
        "error pausing workflow {error}{1}: failed to pause workflow {error}{1}: "
        "failed to suspend workflow: {0} {instance_id}"
    )


def test_an_unknown_operation_is_a_bug() -> None:
    with pytest.raises(KeyError, match="rewind"):
        refusal("rewind", InstanceStalled("order-1"), **FIELDS)


@pytest.mark.parametrize(
    ("refused", "status", "code", "message"),
    [
        (Refusal(ID_MISSING), 400, "ERR_INSTANCE_ID_PROVIDED_MISSING", "no instance ID was provided"),
        (Refusal(NAME_MISSING), 400, "ERR_WORKFLOW_NAME_MISSING", "workflow name is not configured"),
        (Refusal(EVENT_NAME_MISSING), 400, "ERR_WORKFLOW_EVENT_NAME_MISSING", "missing workflow event name"),
        (
            Refusal(PAYLOAD_MALFORMED, detail="it is not UTF-8"),
            400,
            "ERR_MALFORMED_REQUEST",
            "the payload cannot be kept: it is not UTF-8",
        ),
        (
            Refusal(START_TIME_INVALID, workflow_name="Order"),
            500,
            "ERR_START_WORKFLOW",
            "error starting workflow 'Order': start times must be in RFC3339 format (e.g. \"2009-11-10T23:00:00Z\")",
        ),
    ],
    ids=lambda value: value.answer.code if isinstance(value, Refusal) else None,
)
def test_what_cannot_be_said_over_http_has_its_words_too(
    refused: Refusal, status: int, code: str, message: str
) -> None:
    assert (refused.answer.status, refused.answer.code, str(refused)) == (status, code, message)


@pytest.mark.parametrize("instance_id", ["a", "a_b-C9", "x" * ID_BYTES_MAX, "größe", "日本", "٣", "é" * 32])
def test_an_id_of_letters_and_digits_can_be_given(instance_id: str) -> None:
    check_new_id(instance_id)


@pytest.mark.parametrize("instance_id", ["x" * 65, "é" * 33, "a b" * 30])
def test_an_id_of_more_than_64_bytes_cannot(instance_id: str) -> None:
    with pytest.raises(Refusal) as info:
        check_new_id(instance_id)
    assert info.value.answer == ID_TOO_LONG
    assert str(info.value) == "workflow instance ID exceeds the max length of 64 characters"


@pytest.mark.parametrize("instance_id", ["a b", "a:b", "a|b", "a/b", "a.b", "🙂", "²", "a\n", "\x00", "{0}"])
def test_an_id_with_anything_else_cannot(instance_id: str) -> None:
    with pytest.raises(Refusal) as info:
        check_new_id(instance_id)
    assert info.value.answer == ID_INVALID
    assert f"workflow instance ID '{instance_id}' is invalid" in str(info.value)


@pytest.mark.parametrize(
    ("asked", "hosted"), [(None, "orders"), ("", "orders"), ("orders", "orders"), ("my.app", "my.app")]
)
def test_the_own_app_is_always_welcome_and_need_not_be_named(asked: str | None, hosted: str) -> None:
    assert other_app(asked, own=hosted) is None


def test_another_app_is_named() -> None:
    assert other_app("billing", own="orders") == "billing"


@pytest.mark.parametrize("asked", ["a.b", "a b", " ", "🙂"])
def test_an_app_id_that_no_app_can_have_is_refused(asked: str) -> None:
    with pytest.raises(Refusal) as info:
        other_app(asked, own="orders")
    assert info.value.answer == APP_ID_INVALID
    assert f"workflow app ID '{asked}' is invalid" in str(info.value)


@given(st.text(max_size=5))
def test_plain_is_what_go_calls_letters_and_digits_and_two_signs(text: str) -> None:
    letters = [char for char in text if char not in "_-"]
    plain = all(unicodedata.category(char)[0] == "L" or unicodedata.category(char) == "Nd" for char in letters)
    assert is_plain(text) == plain


def test_a_refusal_has_the_advice_of_the_error_that_it_tells() -> None:
    answer = ErrorAnswer(409, "ERR_X", "it was refused: {error}")
    problem, advice = Refusal(answer, error=EventRefused("i", "go", "COMPLETED")).parts()
    assert problem.startswith("it was refused: event 'go' was not taken")
    assert problem.endswith("takes no events.")
    assert advice is Advice.START_ANEW
    assert Refusal(answer, error="it is over").parts() == ("it was refused: it is over", None)
