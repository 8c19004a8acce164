"""Performing an activity in another process: it is found by its name there, and only text crosses."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from perdure import ActivityContext, FailureDetails
from perdure.runtime.activities.process_call import MAIN, Outcome, Reference, perform_elsewhere

CALL = ("i", 3, "x1-3", "work")

MODULE = """
from __future__ import annotations
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from perdure import ActivityContext

@dataclass
class Order:
    sku: str

def work(ctx: ActivityContext, order: Order) -> dict[str, object]:
    who = {"who": ctx.workflow_id, "task": ctx.task_id, "key": ctx.task_execution_id}
    return {"sku": order.sku, **who, "pid": os.getpid()}

def without_input(ctx):
    return ctx.activity_name

def with_default(ctx, n=5):
    return n

def prints(ctx):
    print("to standard output")
    return 1

def fails(ctx, message):
    raise ValueError(message)

def exits(ctx):
    raise SystemExit(3)

def is_interrupted(ctx):
    raise KeyboardInterrupt

def no_json(ctx):
    return object()
"""


@dataclass
class Here:
    n: int


def here(ctx: ActivityContext, given: Here) -> list[Any]:
    return [given.n + 1, ctx.activity_name]


@pytest.fixture
def module(tmp_path: Path) -> str:
    """A file with activities that is on no import path, as `perdure run FILE.py` loads it."""
    file = tmp_path / "activities_of_a_test.py"
    file.write_text(MODULE)
    return str(file)


@pytest.fixture(autouse=True)
def paths() -> Iterator[None]:
    before, known = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = before
    for name in set(sys.modules) - known:
        if name.startswith("activities_of_a_test"):
            del sys.modules[name]


def call(module: str, function: str, payload: str | None = None) -> Outcome:
    # Each file has its own name, because a module that was found once is found again.
    name = f"activities_of_a_test_{abs(hash(module))}"
    return perform_elsewhere(Reference(name, function, module), CALL, payload)


def failure_in(outcome: Outcome) -> FailureDetails:
    assert outcome.result is None
    return FailureDetails.unpack(outcome.failure)


def test_a_function_is_found_by_its_module_and_name() -> None:
    reference = Reference.of(here)
    assert reference == Reference(__name__, "here", __file__)
    assert perform_elsewhere(reference, CALL, '{"n":1}') == Outcome('[2,"work"]', None)


def test_a_function_in_a_file_that_is_on_no_path_is_found_by_its_file(module: str) -> None:
    outcome = call(module, "work", '{"sku":"a"}')
    assert outcome.failure is None
    assert outcome.result is not None
    assert outcome.result.startswith('{"sku":"a","who":"i","task":3,"key":"x1-3","pid":')


def test_a_file_may_import_what_lies_beside_it(module: str) -> None:
    Path(module).with_name("activities_of_a_test_neighbour.py").write_text("value = 7\n")
    Path(module).write_text("from activities_of_a_test_neighbour import value\ndef work(ctx): return value\n")
    assert call(module, "work") == Outcome("7", None)


def test_a_function_without_an_input_gets_none_and_a_default_counts(module: str) -> None:
    assert call(module, "without_input", '"ignored"') == Outcome('"work"', None)
    assert call(module, "with_default") == Outcome("5", None)
    assert call(module, "with_default", "6") == Outcome("6", None)


def test_an_error_comes_back_as_text_and_points_into_the_users_code(module: str) -> None:
    failure = failure_in(call(module, "fails", '"broke"'))
    assert (failure.error_type, failure.message) == ("ValueError", "broke")
    assert failure.stack_trace is not None
    assert "raise ValueError(message)" in failure.stack_trace
    assert "process_call" not in failure.stack_trace.replace(Path(module).name, "")


@pytest.mark.parametrize(("function", "kind"), [("exits", "SystemExit"), ("is_interrupted", "KeyboardInterrupt")])
def test_what_would_end_the_process_ends_only_the_activity(module: str, function: str, kind: str) -> None:
    assert failure_in(call(module, function)).error_type == kind


@pytest.mark.parametrize(
    ("function", "payload", "kind"),
    [
        ("work", "{}", "PayloadError"),
        ("work", "nope", "PayloadError"),
        ("no_json", None, "PayloadError"),
        ("nobody", None, "AttributeError"),
    ],
)
def test_what_cannot_be_called_or_crossed_is_a_failure_and_says_why(
    module: str, function: str, payload: str | None, kind: str
) -> None:
    assert failure_in(call(module, function, payload)).error_type == kind


def test_a_module_that_is_nowhere_is_a_failure() -> None:
    outcome = perform_elsewhere(Reference("no_such_module_anywhere", "work", None), CALL, None)
    assert failure_in(outcome).error_type == "ModuleNotFoundError"


def test_an_awaitable_where_there_is_no_loop_is_a_failure_that_says_so(module: str) -> None:
    Path(module).write_text("async def coroutine(): pass\ndef work(ctx): return coroutine()\n")
    assert "no event loop in the process of an activity" in failure_in(call(module, "work")).message


def test_a_module_that_breaks_while_it_is_imported_breaks_again_at_the_next_call(module: str) -> None:
    # Half of a module in `sys.modules` would hide the reason.
    Path(module).write_text("def work(ctx): return 1\nraise KeyboardInterrupt\n")
    for _ in range(2):
        assert failure_in(call(module, "work")).error_type == "KeyboardInterrupt"


def test_the_main_program_is_imported_under_the_name_that_multiprocessing_gives_it(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setitem(sys.modules, MAIN, sys.modules["__main__"])  # so that its entry is removed again
    monkeypatch.delitem(sys.modules, MAIN)
    Path(module).write_text("import sys\ndef work(ctx): return [__name__, sys.modules['__main__'].__name__]\n")
    outcome = perform_elsewhere(Reference("__main__", "work", module), CALL, None)
    assert outcome == Outcome('["__mp_main__","__mp_main__"]', None)


def test_a_main_program_without_a_file_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, MAIN, raising=False)
    assert "has no file" in failure_in(perform_elsewhere(Reference("__main__", "typed_in", None), CALL, None)).message
