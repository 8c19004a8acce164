"""Each piece of a message reads back unchanged, and a missing piece is None."""

from collections.abc import Callable
from typing import Any

import pytest

from perdure.rpc.messages import HistoryEvent, Message
from perdure.rpc.wire.fields import (
    ORIGINS,
    origin,
    origin_from,
    packed_failure,
    packed_failure_from,
    parent,
    parent_from,
    rerun,
    rerun_from,
    text,
    text_from,
    trace,
    trace_from,
    value_if_set,
)
from perdure.runtime.history.event import Parent, TimerOrigin
from perdure.runtime.history.failure import FailureDetails

FAILURE = FailureDetails(error_type="ValueError", message="no", stack_trace="", non_retriable=True).pack()


def said(kind: str, **fields: Any) -> Message:
    """The inside of an event, as it comes from the wire."""
    sent = HistoryEvent(**{kind: fields}).SerializeToString()
    inside: Message = getattr(HistoryEvent.FromString(sent), kind)
    return inside


# Of each piece: the kind of event and the field that it stands in, how it is written and read, and values.
PIECES: list[tuple[str, str, Callable[[Any], Any], Callable[[Message], Any], list[Any]]] = [
    ("eventRaised", "input", text, lambda message: text_from(message, "input"), ["", "x", "ü"]),
    (
        "taskScheduled",
        "parentTraceContext",
        trace,
        lambda message: trace_from(message, "parentTraceContext"),
        [("00-1-2-01", "2", None), ("00-1-2-01", "2", "a=b"), ("", "", "")],
    ),
    ("taskFailed", "failureDetails", packed_failure, packed_failure_from, [FAILURE]),
    (
        "executionStarted",
        "parentInstance",
        lambda value: parent(value, "orders"),
        parent_from,
        [Parent("p", "e1", 3, "Parent"), Parent("", "", 0, "")],
    ),
    ("taskScheduled", "rerunParentInstanceInfo", rerun, rerun_from, ["order-0", ""]),
]


@pytest.mark.parametrize(
    ("kind", "field", "write", "read", "value"),
    [(kind, field, write, read, value) for kind, field, write, read, values in PIECES for value in (None, *values)],
)
def test_a_piece_comes_back(
    kind: str, field: str, write: Callable[[Any], Any], read: Callable[[Message], Any], value: Any
) -> None:
    message = said(kind, **{field: write(value)})
    assert message.HasField(field) == (value is not None)
    assert read(message) == value


@pytest.mark.parametrize("number", ORIGINS)
def test_the_origin_of_a_timer_comes_back_with_what_it_is_for(number: int) -> None:
    reference = "x" if ORIGINS[number][1] is not None else None
    assert origin_from(said("timerCreated", **origin(number, reference))) == (number, reference)


def test_a_timer_of_an_old_sdk_has_no_origin() -> None:
    assert origin(TimerOrigin.UNSAID, None) == {}
    assert origin_from(said("timerCreated")) == (TimerOrigin.UNSAID, None)


def test_a_value_that_was_set_to_its_default_is_told_from_one_that_was_not_set() -> None:
    assert value_if_set(said("taskScheduled", historyPropagationScope=0), "historyPropagationScope") == 0
    assert value_if_set(said("taskScheduled"), "historyPropagationScope") is None
