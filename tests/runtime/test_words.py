"""Each message, answer and error of this layer's actors is the same at another host."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import perdure.actors
import perdure.runtime
from perdure.actors.cluster.error_form import ErrorForms
from perdure.actors.cluster.protocol import FrameRefused
from perdure.actors.cluster.vocabulary import Vocabulary
from perdure.actors.errors import PerdureError
from perdure.actors.store.listing import ListFilter
from perdure.actors.turn import Recover, ReminderDue, SetAside
from perdure.runtime.execution.drive import ContinuedAsNew
from perdure.runtime.history.attribution import By
from perdure.runtime.history.event import (
    Command,
    DetachedCreated,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    Parent,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
)
from perdure.runtime.history.failure import FailureDetails
from perdure.runtime.history.record import AsideMark, InstanceRecord
from perdure.runtime.history.row import Row
from perdure.runtime.history.status import Status
from perdure.runtime.history.timed_event import TimedEvent, TurnStarted
from perdure.runtime.instance.condition import ANY, Condition
from perdure.runtime.instance.message import (
    ActivityDone,
    Check,
    ChildDone,
    ChildStarted,
    Continue,
    EventsTaken,
    Import,
    Invoke,
    Purge,
    RaiseEvent,
    ReleaseAside,
    RemoteAnswer,
    Repair,
    RepairAction,
    Resume,
    Start,
    StartCopy,
    Suspend,
    Terminate,
    TryAgain,
    Withdraw,
    WorkflowAnswer,
    WorkflowTurnWork,
)
from perdure.runtime.instance.receiving import RECEIVERS
from perdure.runtime.operations.bulk.actor import Advance, Begin, Cancel, Forget, Look, OperationStatus
from perdure.runtime.operations.bulk.operation import (
    ActionOptions,
    BulkAction,
    BulkOperation,
    ItemError,
    OperationProgress,
    OperationState,
    Selection,
)
from perdure.runtime.state.message import ChangeItems, ExpireItems, ItemChange, ItemsChanged, SeenItem
from perdure.runtime.words import vocabulary
from perdure.runtime.workers.mark import Remember

from ..support.actors.errors_of_all_kinds import FAILURE, example, same

VOCABULARY = vocabulary()
FORMS: ErrorForms = VOCABULARY.errors

PARENT = Parent("p", "pe", 3, "parent")
BY = By("ann", "api", "because", "op")
CONDITION = Condition(
    frozenset({"e1", "e2"}),
    ListFilter(statuses=frozenset({"RUNNING"}), root=True, tags={"a": "b"}, created_from_us=5),
    7,
)
FAILED = TaskFailed(4, FailureDetails(error_type="Oh", message="no", inner=FAILURE).pack(), "te", b"wire", 9, "r")
RECORD = InstanceRecord(
    Status.RUNNING,
    "order",
    "e",
    1,
    "custom",
    PARENT,
    generation=2,
    outbox=((b"k", 20, 1, "to", "name", None),),
    received=b"0123456789abcdef",
    set_aside=AsideMark(1, "why"),
    tags=(("a", "b"),),
)
WORK = WorkflowTurnWork(
    "i",
    "e",
    "order",
    [TimedEvent(-1, 1, ExecutionStarted("order", "1", "e"))],
    2,
    [TimedEvent(-1, 2, TurnStarted())],
    [TaskCompleted(1, "2", "te"), FAILED, EventRaised("go", None, b"w", b"k")],
    5,
    b"p",
)
OPERATION = BulkOperation(
    BulkAction.PURGE,
    Selection(ListFilter(names=frozenset({"order"})), 3, 4),
    ActionOptions(True, force=True),
    BY,
    2.5,
    10,
    True,
    1,
    2,
    OperationState.RUNNING,
    OperationProgress("cursor", 1, 2, 3, 4),
    None,
)

MESSAGES: list[Any] = [
    Start("order", None, "e"),
    Start(
        "order",
        '{"a": 1}',
        "e",
        PARENT,
        5,
        True,
        "d",
        "v",
        ("00-a", "b", None),
        2,
        b"p",
        "root",
        (("a", "b"),),
        True,
        "r",
        BY,
        True,
    ),
    RaiseEvent("go", None),
    RaiseEvent("go", "1", b"key", True, CONDITION),
    Suspend("why", BY, CONDITION),
    Resume(None, None, ANY),
    Terminate("1", True, PARENT, BY, CONDITION, True),
    Purge(True, BY, CONDITION, True),
    Check(CONDITION),
    ReleaseAside(False, BY, CONDITION),
    *(Repair(action, 3, "1", FAILURE, BY, CONDITION) for action in RepairAction),
    Continue(),
    TryAgain(),
    ActivityDone("e", 1, "2", None),
    ActivityDone("e", 1, None, FAILURE, 7),
    ChildStarted("e", 1),
    ChildDone("e", 1, Status.COMPLETED.value, "1", None),
    ChildDone("e", 1, Status.FAILED.value, None, FAILURE),
    EventsTaken([b"a", b"b"]),
    StartCopy(
        RECORD,
        [Row(1, [ExecutionStarted("o", None, "e", PARENT), TaskScheduled(1, "a", None, "te")], [FAILED], 1, ("go", 3))],
        [EventSent(1, "to", "go", None), DetachedCreated(2, "i", "n")],
        "source",
        BY,
    ),
    Import(RECORD, [b"row", b"row"], 4, BY),
    Begin(OPERATION),
    Advance(OperationProgress(None, 1), [ItemError("i", "oh")], True),
    Cancel(BY),
    Look(),
    Forget(),
    OperationStatus("op", OPERATION, [ItemError("i", "oh")]),
    Invoke("charge", '{"a": 1}', "i", "e", 3, "te"),
    Withdraw("i", "e", [1, 2], True),
    ChangeItems([ItemChange("a", b"v", "1", True, 5), ItemChange("b", None)], True, {"a": SeenItem(1, 0)}, 7),
    ExpireItems([("a", 1)], -1, 7),
    ItemsChanged(False, [(0, "etag mismatch")]),
]


def crossed(value: Any, between: Vocabulary = VOCABULARY) -> Any:
    return between.hear(*between.say(value))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was(message: Any) -> None:
    arrived = crossed(message)
    assert type(arrived) is type(message)
    assert arrived == message


@pytest.mark.parametrize("continued", [None, ContinuedAsNew("2", [EventRaised("go", None)])])
def test_a_workers_answer_arrives_with_all_that_its_instance_looks_at(continued: ContinuedAsNew | None) -> None:
    commands: list[Command] = [TaskScheduled(1, "a", None, "te", wire=b"w"), ExecutionCompleted(2, 1, "3")]
    answer = WorkflowAnswer("i", "token", commands, continued, "custom", ("p",), "v", True)
    arrived = crossed(RemoteAnswer(WORK, answer))
    assert arrived == RemoteAnswer(WORK._replace(past=(), new=()), answer)


def test_the_mark_of_workers_can_be_set_from_any_host() -> None:
    assert type(crossed(Remember())) is Remember


def test_all_that_a_workflow_takes_has_a_word_but_for_what_its_own_host_sends() -> None:
    assert set(RECEIVERS) - set(VOCABULARY.types) == {ReminderDue, Recover, SetAside}


def test_every_word_has_an_example_here() -> None:
    assert {type(message) for message in MESSAGES} | {RemoteAnswer, Remember} == set(VOCABULARY.types)


@pytest.mark.parametrize("kind", list(FORMS), ids=lambda kind: kind.__name__)
def test_each_error_arrives_as_it_was(kind: type[PerdureError]) -> None:
    error = example(kind)
    same(error, FORMS.hear(FORMS.tell(error)))


# Errors that only the host that got the request raises.
STAY_HOME = {
    "EventKeyInvalid",
    "EventMissing",
    "EventNotFound",
    "EventNotRerunnable",
    "EtagMismatch",
    "FileUnfit",
    "HistoryChanged",
    "ImportMalformed",
    "ImportUnfinished",
    "NoSuchMember",
    "PlanExpired",
    "RerunExists",
    "RerunRefused",
    "Skipped",
    "StateKeyInvalid",
    "StateOptionInvalid",
    "StateRefused",
    "StateStoreNotFound",
    "StateUnavailable",
    "WorkUnknown",
}


def test_each_error_of_actors_and_workflows_travels_or_stays_at_home() -> None:
    for package in (perdure.actors, perdure.runtime):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    known = {kind.__name__ for kind in FORMS}
    found = {kind.__name__ for kind in subclasses(PerdureError) if kind.__module__.split(".")[:2] in LAYERS}
    assert found - known == STAY_HOME
    assert known - found == {"PerdureError"}


LAYERS = (["perdure", "actors"], ["perdure", "runtime"])


def subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


WORDS = sorted(VOCABULARY.say(message)[0] for message in MESSAGES)


@given(word=st.sampled_from(WORDS), said=st.binary(max_size=80), cut=st.integers(0, 200), number=st.integers(0, 30))
def test_any_bytes_are_heard_or_refused_and_so_is_a_message_that_was_cut(
    word: str, said: bytes, cut: int, number: int
) -> None:
    _, whole = VOCABULARY.say(MESSAGES[number % len(MESSAGES)])
    for raw in (said, bytes(whole)[:cut], bytes(whole)[:cut] + said):
        try:
            VOCABULARY.hear(word, type(whole)(raw))
        except FrameRefused:
            continue
