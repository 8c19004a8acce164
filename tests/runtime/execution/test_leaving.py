"""Workflow code is closed once; its errors and requests during that are ignored."""

from collections.abc import Callable, Generator
from contextvars import copy_context
from typing import Any

import pytest

from perdure.runtime.execution.leaving import leave

from ...support.workflows.hard_exceptions import HARD_EXCEPTIONS


def begun(on_exit: Callable[[], object], *, waits_again: bool = False) -> Generator[Any, Any, None]:
    """Code that waits."""

    def code() -> Generator[Any, Any, None]:
        try:
            yield
        except GeneratorExit:
            on_exit()
            if waits_again:
                yield

    made = code()
    next(made)
    return made


def test_code_that_ends_has_left() -> None:
    exits: list[str] = []
    assert leave(copy_context().run, begun(lambda: exits.append("out")), "w")
    assert exits == ["out"]


@pytest.mark.parametrize("name", sorted(HARD_EXCEPTIONS))
def test_code_that_raises_has_not(name: str) -> None:
    def raises() -> None:
        raise HARD_EXCEPTIONS[name]()

    assert leave(copy_context().run, begun(raises), "w") is (name == "generator exit")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_code_that_waits_again_has_not() -> None:
    assert not leave(copy_context().run, begun(lambda: None, waits_again=True), "w")
