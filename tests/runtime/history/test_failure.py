"""The failure of an exception keeps its class, its words, its place and its cause."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure import FailureDetails, NonRetryableError, TaskFailedError
from perdure.runtime.history.failure import ACTIVITY_CALL, CAUSES_MAX, CHILD_CALL, FailedCall, failure_of

from ...support.workflows.hard_exceptions import HARD_EXCEPTIONS


def caught(raise_it: object) -> BaseException:
    """The exception that a function raises, with its traceback."""
    assert callable(raise_it)
    with pytest.raises(BaseException) as info:  # noqa: PT011  it is for the caller to say
        raise_it()
    return info.value


def boom() -> None:
    raise ValueError("it broke")


def test_the_class_the_message_and_the_place_are_kept() -> None:
    failure = failure_of(caught(boom))
    assert (failure.error_type, failure.message) == ("ValueError", "it broke")
    assert failure.stack_trace is not None
    assert 'raise ValueError("it broke")' in failure.stack_trace
    assert "in boom" in failure.stack_trace
    assert failure.inner is None
    assert not failure.non_retriable


def test_the_outermost_frames_can_be_left_out() -> None:
    error = caught(boom)
    everything = failure_of(error).stack_trace
    assert everything is not None
    assert "in caught" in everything
    theirs = failure_of(error, frames_skipped=1).stack_trace
    assert theirs is not None
    assert "in caught" not in theirs
    assert "in boom" in theirs
    assert failure_of(error, frames_skipped=2).stack_trace is None


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    assert failure_of(KeyError("x")) == FailureDetails(error_type="KeyError", message="'x'")


def test_a_cause_is_kept_and_the_cause_of_that_too() -> None:
    def deep() -> None:
        try:
            try:
                raise KeyError("first")
            except KeyError as first:
                raise ValueError("second") from first
        except ValueError as second:
            raise RuntimeError("third") from second

    failure = failure_of(caught(deep))
    kinds = []
    level: FailureDetails | None = failure
    while level is not None:
        kinds.append(level.error_type)
        level = level.inner
    assert kinds == ["RuntimeError", "ValueError", "KeyError"]


def test_what_was_being_handled_counts_as_the_cause() -> None:
    def while_handling() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second")  # noqa: B904  this is the case

    failure = failure_of(caught(while_handling))
    assert failure.inner is not None
    assert failure.inner.error_type == "KeyError"


def test_a_cause_that_was_hidden_on_purpose_is_not_kept() -> None:
    def hidden() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second") from None

    assert failure_of(caught(hidden)).inner is None


def test_a_chain_of_causes_has_an_end() -> None:
    # Given two exceptions that are each other's cause,
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    # when they are described, then the description is finite.
    level, levels = failure_of(one), 1
    while level.inner is not None:
        level, levels = level.inner, levels + 1
    assert levels == 9


def test_only_what_says_so_is_not_to_be_tried_again() -> None:
    class Said(Exception):
        non_retriable = True

    class Unclear(Exception):
        non_retriable = "perhaps"

    assert failure_of(Said()).non_retriable
    assert failure_of(NonRetryableError("no")).non_retriable
    assert not failure_of(Unclear()).non_retriable
    assert not failure_of(ValueError()).non_retriable


def test_a_system_exit_can_be_described_too() -> None:
    assert failure_of(SystemExit(3)).error_type == "SystemExit"


def test_words_that_cannot_be_stored_are_replaced() -> None:
    assert failure_of(OSError("no such file: \udcff")).message == "no such file: ?"


@pytest.mark.parametrize("name", sorted(HARD_EXCEPTIONS))
def test_every_exception_can_be_described_and_the_description_stored(name: str) -> None:
    # Given an exception that was raised, and one that was not,
    def raise_it() -> None:
        raise HARD_EXCEPTIONS[name]()

    for error in (caught(raise_it), HARD_EXCEPTIONS[name]()):
        # when they are described,
        failure = failure_of(error)
        # then the description is plain text of bounded length, which a file can hold.
        packed = msgpack.packb(failure.pack())
        assert FailureDetails.unpack(msgpack.unpackb(packed)) == failure
        level: FailureDetails | None = failure
        while level is not None:
            for text in (level.error_type, level.message, level.stack_trace or ""):
                assert type(text) is str
                assert len(text.encode()) < 66_000
            level = level.inner


@pytest.mark.parametrize(
    ("name", "error_type", "message"),
    [
        ("no text", "NoText", "its __str__ raised AttributeError: 'NoText' object has no attribute 'response'"),
        ("no text", "NoText", "its arguments: 'x'"),
        ("none for text", "NoneForText", "its __str__ raised TypeError"),
        ("exits when asked", "ExitsWhenAsked", "its __str__ raised SystemExit: 3"),
        ("raises itself", "RaisesItself", "its __str__ raised RaisesItself"),
        ("text of another class", "TextOfAnotherClass", "sly"),
        ("raises on its parts", "RaisesOnItsParts", "x"),
        ("lies about its class", "LiesAboutItsClass", "x"),
        ("class without name", "OfAClassWithoutName", "x"),
        ("long text", "ValueError", "[cut to 65,536 bytes; the text has 6,000,000 characters]"),
        ("long text in many bytes", "ValueError", "[cut to 65,536 bytes; the text has 60,000 characters]"),
    ],
)
def test_the_description_says_what_could_be_said(name: str, error_type: str, message: str) -> None:
    failure = failure_of(HARD_EXCEPTIONS[name]())
    assert failure.error_type == error_type
    assert message in failure.message


def test_a_cause_that_has_no_text_is_kept_all_the_same() -> None:
    failure = failure_of(HARD_EXCEPTIONS["cause without text"]())
    assert failure.inner is not None
    assert failure.inner.error_type == "NoText"


def test_of_a_deep_stack_the_first_and_the_last_frames_are_kept() -> None:
    trace = failure_of(HARD_EXCEPTIONS["deep traceback"]()).stack_trace
    assert trace is not None
    assert "frames are left out here" in trace
    assert 'raise ValueError("from far below")' in trace
    assert "_deep_traceback" in trace


def test_notes_and_the_members_of_a_group_stand_behind_the_stack() -> None:
    error = ExceptionGroup("two", [ValueError("one"), KeyError("other")])
    error.add_note("seen at night")
    trace = failure_of(error).stack_trace
    assert (
        trace == "note: seen at night\n1 of 2 in the group: ValueError: one\n2 of 2 in the group: KeyError: 'other'\n"
    )


def test_the_packed_form_is_pinned() -> None:
    # Files hold it: the order never changes, and a new field goes to the end.
    inner = FailureDetails(error_type="KeyError", message="'x'")
    failure = FailureDetails(error_type="ValueError", message="no", stack_trace="here", inner=inner, non_retriable=True)
    assert failure.pack() == ("ValueError", "no", "here", ("KeyError", "'x'", None, None, False), True)


def test_what_a_newer_release_added_is_passed_over() -> None:
    assert FailureDetails.unpack(["E", "m", None, None, False, None, None, "later"]) == FailureDetails(
        error_type="E", message="m"
    )


failures = st.recursive(
    st.builds(
        FailureDetails,
        error_type=st.text(),
        message=st.text(),
        stack_trace=st.none() | st.text(),
        non_retriable=st.booleans(),
    ),
    lambda inner: st.builds(FailureDetails, error_type=st.text(), message=st.text(), inner=inner),
    max_leaves=5,
)


@given(failures)
def test_every_failure_comes_back_from_the_disk_as_it_was(failure: FailureDetails) -> None:
    assert FailureDetails.unpack(msgpack.unpackb(msgpack.packb(failure.pack()))) == failure


DECLINED = FailureDetails(error_type="CardDeclined", message="no money", stack_trace="  in charge\n")
CHARGE = FailedCall(kind=ACTIVITY_CALL, name="charge", id=2, attempt=3)
SHIP = FailedCall(kind=CHILD_CALL, name="ship", id="i:0001", attempt=None, failure=DECLINED)


def test_the_packed_form_of_a_failed_call_is_pinned() -> None:
    failure = FailureDetails(error_type="TaskFailedError", message="m", inner=DECLINED, call=CHARGE)
    declined = ("CardDeclined", "no money", "  in charge\n", None, False)
    assert failure.pack() == ("TaskFailedError", "m", None, declined, False, None, ("activity", "charge", 2, 3))
    assert SHIP.pack() == ("child", "ship", "i:0001", None, declined)


@pytest.mark.parametrize("call", [CHARGE, SHIP])
def test_a_failed_call_comes_back_as_it_went(call: FailedCall) -> None:
    failure = FailureDetails(error_type="E", message="m", wire=b"x", call=call)
    assert FailureDetails.unpack(msgpack.unpackb(msgpack.packb(failure.pack()))) == failure


def test_the_failure_of_a_workflow_has_that_of_the_activity_as_its_cause() -> None:
    def raised() -> None:
        raise TaskFailedError("Activity task #2 failed: no money", DECLINED, CHARGE)

    failure = failure_of(caught(raised))
    assert (failure.error_type, failure.call, failure.inner) == ("TaskFailedError", CHARGE, DECLINED)
    assert (failure.failed_call, failure.failure_of_call, failure.cause) == (CHARGE, DECLINED, DECLINED)
    assert failure.trace.splitlines()[0] == "TaskFailedError: Activity task #2 failed: no money"
    assert failure.trace.endswith(
        "Caused by activity 'charge' (task 2), attempt 3:\nCardDeclined: no money\n  in charge"
    )


def test_an_error_of_the_code_s_own_has_it_too_a_step_further_down() -> None:
    def raised() -> None:
        try:
            raise TaskFailedError("Activity task #2 failed: no money", DECLINED, CHARGE)
        except TaskFailedError as error:
            raise LookupError("no order") from error

    failure = failure_of(caught(raised))
    assert (failure.error_type, failure.call) == ("LookupError", None)
    assert (failure.failed_call, failure.failure_of_call) == (CHARGE, DECLINED)


def test_where_a_worker_told_of_the_call_in_its_message_the_cause_is_known_all_the_same() -> None:
    failure = FailureDetails(error_type="TaskFailedError", message="no money", call=SHIP)
    assert (failure.cause, failure.failure_of_call) == (DECLINED, DECLINED)
    assert "Caused by child workflow 'ship' ('i:0001'):\nCardDeclined" in failure.trace


def test_a_failure_without_a_call_names_none() -> None:
    assert (DECLINED.failed_call, DECLINED.failure_of_call, DECLINED.cause) == (None, None, None)


class Liar(TaskFailedError):
    @property
    def details(self) -> FailureDetails:
        raise KeyboardInterrupt

    @details.setter
    def details(self, value: FailureDetails) -> None:
        pass


def test_an_error_that_lies_about_its_failure_is_described_without_it() -> None:
    assert failure_of(Liar("m", DECLINED, CHARGE)) == FailureDetails(error_type="Liar", message="m")


def test_a_tree_of_children_keeps_the_first_causes_and_the_last() -> None:
    failure = DECLINED
    for depth in range(100):
        error = TaskFailedError(f"level {depth}", failure, CHARGE)
        failure = failure_of(error)
    chain = [failure]
    while (inner := chain[-1].inner) is not None:
        chain.append(inner)
    assert len(chain) == CAUSES_MAX + 2
    assert [each.message for each in chain[:2]] == ["level 99", "level 98"]
    assert chain[-1] == DECLINED


def test_a_failure_with_its_causes_has_those_of_calls_in_their_place() -> None:
    parent = FailureDetails(
        error_type="TaskFailedError",
        message="the child failed",
        call=FailedCall(
            kind=CHILD_CALL,
            name="kid",
            id="k",
            failure=FailureDetails(error_type="TaskFailedError", message="no money", call=SHIP),
        ),
    )
    whole = parent.with_causes
    assert whole.inner is not None
    assert whole.inner.inner == DECLINED
    assert DECLINED.with_causes is DECLINED
