"""The errors of the workflow layer: the drawn tree is the tree of the classes, and each error says what to do."""

import pickle
import re

import pytest

import perdure
from perdure import FailureDetails, Status
from perdure.actors import errors as actor_errors
from perdure.actors.errors import PerdureError
from perdure.runtime import errors
from perdure.runtime.errors import (
    ADVICE_WORDS,
    Advice,
    Advised,
    ChildUnfinished,
    EventRefused,
    IdTaken,
    InstanceExists,
    InstanceNotFound,
    InstanceStalled,
    InstanceUnfinished,
    NondeterminismError,
    NonRetryableError,
    PayloadError,
    RequestRefused,
    TaskFailedError,
    WorkflowFailed,
    WorkflowUnknown,
)
from perdure.runtime.history.instance_state import InstanceState
from perdure.runtime.operations.bulk.actor import OperationNotFound


def drawn(docstring: str) -> set[tuple[str, str]]:
    """Each error of a tree as it is drawn, with its parent."""
    found: set[tuple[str, str]] = set()
    path: list[str] = []
    for line in docstring.splitlines():
        match = re.match(r"^((?:│   |    )*)(?:├── |└── )?([A-Z]\w+)(?:$|  )", line)
        if match is None or (not path and not re.match(r"^[A-Z]\w+$", line)):
            continue
        depth = len(match[1]) // 4 + (1 if "──" in line else 0)
        del path[depth:]
        if path:
            found.add((match[2], path[-1]))
        path.append(match[2])
    return found


def defined(module: object) -> set[tuple[str, str]]:
    """Each error that a module defines, with the error it extends."""
    return {
        (name, next(base.__name__ for base in thing.__bases__ if issubclass(base, PerdureError)))
        for name, thing in vars(module).items()
        if isinstance(thing, type) and issubclass(thing, PerdureError) and thing.__module__ == module.__name__  # type: ignore[attr-defined]
        if thing is not PerdureError
    }


@pytest.mark.parametrize("module", [errors, actor_errors], ids=["runtime", "actors"])
def test_the_tree_in_the_docstring_is_the_tree_of_the_classes(module: object) -> None:
    assert module.__doc__ is not None
    assert drawn(module.__doc__) == defined(module)


def test_one_except_clause_catches_everything_raised_on_purpose() -> None:
    for name in perdure.__all__:
        thing = getattr(perdure, name)
        if isinstance(thing, type) and issubclass(thing, BaseException):
            assert issubclass(thing, PerdureError), name


def test_a_payload_error_is_a_value_error_too() -> None:
    assert issubclass(PayloadError, ValueError)
    assert PayloadError.non_retriable, "it will be no better the second time"
    assert NonRetryableError.non_retriable


@pytest.mark.parametrize(
    ("error", "text"),
    [
        # Dapr's words, which clients look for (contract 1.4, 3.9, 3.22, 4.2).
        (InstanceNotFound("i"), "no such instance exists"),
        (InstanceExists("i"), "an active workflow with ID 'i' already exists"),
        (
            InstanceExists("i", unique=True),
            "a workflow with ID 'i' already exists and the create enforces instance ID uniqueness",
        ),
        (
            ChildUnfinished("i", ("c",)),
            "cannot recreate workflow with ID 'i': child workflow 'c': orchestration has not yet completed",
        ),
        (
            ChildUnfinished("i", ("c", "g")),
            "cannot recreate workflow with ID 'i': child workflow 'c': child workflow 'g': "
            "orchestration has not yet completed",
        ),
        (InstanceUnfinished("i"), "orchestration has not yet completed"),
        (InstanceStalled("i"), "workflow is stalled"),
    ],
)
def test_a_refusal_has_dapr_s_words_and_keeps_the_id(error: RequestRefused, text: str) -> None:
    assert str(error) == text
    assert error.instance_id == "i"  # type: ignore[attr-defined]


def test_a_difference_names_the_place_both_sides_the_usual_causes_and_the_way_out() -> None:
    error = NondeterminismError(instance_id="i", workflow="w", event_id=7, recorded="activity 'a'", asked="a timer")
    text = str(error)
    for part in ("workflow 'w'", "instance 'i'", "event 7", "recorded activity 'a'", "now the code asks a timer"):
        assert part in text
    for advice in ("ctx.is_patched", "ctx.now", "ctx.random", "ctx.uuid4", "an activity"):
        assert advice in text


def test_a_difference_with_a_cause_of_its_own_gives_that_instead_of_the_usual_ones() -> None:
    error = NondeterminismError(
        instance_id="i", workflow="w", event_id=7, recorded="x", asked="y", hint="Because of this."
    )
    assert str(error).endswith("Because of this.")
    assert "Usual causes" not in str(error)


def test_a_failed_task_keeps_what_it_failed_with() -> None:
    details = FailureDetails(error_type="ValueError", message="no")
    error = TaskFailedError("Activity task #1 failed: no", details)
    assert (str(error), error.details) == ("Activity task #1 failed: no", details)


def test_a_failed_workflow_says_how_it_ended_and_why() -> None:
    def ended(status: Status, failure: FailureDetails | None) -> str:
        state = InstanceState(
            instance_id="i", execution_id="x", name="w", status=status, created_us=0, updated_us=0, input=None,
            output=None, custom_status=None, failure=failure, stall=None, parent_id=None,
        )  # fmt: skip
        return str(WorkflowFailed(state))

    failure = FailureDetails(error_type="ValueError", message="no")
    assert ended(Status.FAILED, failure) == "workflow instance 'i' ended FAILED: ValueError: no"
    assert ended(Status.TERMINATED, None) == "workflow instance 'i' ended TERMINATED"


@pytest.mark.parametrize(
    "error", [InstanceNotFound("i"), InstanceUnfinished("i"), InstanceStalled("i"), PayloadError("x")]
)
def test_an_error_survives_a_trip_between_processes(error: PerdureError) -> None:
    # As concurrent.futures and multiprocessing send them.
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(again), str(again)) == (type(error), str(error))


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (IdTaken("i", name="w", status="FAILED", restart=False), Advice.IF_EXISTS),
        (IdTaken("i", name="w", status="RUNNING", restart=True), Advice.FORCE),
        (IdTaken("i", name="w", status="RUNNING", restart=None), None),
        (EventRefused("i", "go", "COMPLETED"), Advice.START_ANEW),
        (WorkflowUnknown("w", app="shop", nearest=()), Advice.LIST_WORKFLOWS),
        (WorkflowUnknown("w", app="shop", nearest=("v",)), None),
        (OperationNotFound("x"), Advice.LIST_OPERATIONS),
    ],
)
def test_an_error_says_what_has_happened_and_then_what_to_do(error: Advised, advice: Advice | None) -> None:
    problem, found = error.parts()
    assert found is advice
    assert problem.endswith(".")
    assert str(error) == (f"{problem} {ADVICE_WORDS[advice]}" if advice is not None else problem)
    assert pickle.loads(pickle.dumps(error)).parts() == error.parts()  # noqa: S301  our own


def test_the_words_that_are_on_the_wire_stay() -> None:
    assert [*map(str, Advice)] == [
        "if_exists",
        "force",
        "start_anew",
        "list_workflows",
        "list_operations",
        "find_server",
        "give_token",
    ]
