"""A worker's answer to a turn is the same at another host."""

from typing import Any

import msgspec
import pytest

from perdure.runtime.execution.drive import ContinuedAsNew
from perdure.runtime.history.event import EventRaised, ExecutionCompleted, TaskCompleted, TaskScheduled, TimerCreated
from perdure.runtime.history.failure import FailureDetails
from perdure.runtime.history.row import CorruptHistory, RowPacker
from perdure.runtime.instance.message import WorkflowAnswer
from perdure.runtime.workers.hosts.wire import ACTIVITY_ANSWER, ITEMS, TURN_ANSWER, TurnAnswerForm
from perdure.runtime.workers.items import ActivityAnswer, PassedItem

ANSWERS = [
    WorkflowAnswer("i", "t", []),
    WorkflowAnswer("i", "", [TaskScheduled(1, "a", "1", "k"), TimerCreated(2, 5)], custom_status="s", version="2"),
    WorkflowAnswer("i", "t", [ExecutionCompleted(3, 1, "9")], patches=("p", "q")),
    WorkflowAnswer("i", "t", [], ContinuedAsNew("7", [EventRaised("e", "1")])),
    WorkflowAnswer("i", "t", [], version_missing=True),
]


def over(method: Any, *arguments: Any) -> Any:
    """The arguments at another host."""
    return method.arguments_in(msgspec.Raw(method.pack_arguments(arguments)))


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_to_a_turn_is_the_same_there(answer: WorkflowAnswer) -> None:
    [form] = over(TURN_ANSWER, TurnAnswerForm.of(answer))
    assert form.value() == answer


@pytest.mark.parametrize(
    "answer",
    [
        ActivityAnswer("i", 3, "t", "1", None),
        ActivityAnswer("i", 3, "", None, FailureDetails(error_type="E", message="no")),
    ],
)
def test_an_answer_to_an_activity_is_the_same_there(answer: ActivityAnswer) -> None:
    assert over(ACTIVITY_ANSWER, answer) == (answer,)


def test_items_are_the_same_there() -> None:
    items = [PassedItem("i", None, "", "t", b"\x00\xff"), PassedItem("i", 3, "a", "u", b"")]
    assert over(ITEMS, "host-1", "s", "l", 7, items) == ("host-1", "s", "l", 7, items)


def test_code_that_asks_for_an_arrival_is_refused() -> None:
    form = TurnAnswerForm.of(ANSWERS[0])._replace(commands=RowPacker().pack(0, [TaskCompleted(1, None)], ()))
    with pytest.raises(CorruptHistory):
        form.value()
