"""A call of user code never raises: it has a result, a failure, or something to await."""

import os
import sys
import threading
from typing import Any

import pytest

from perdure import ActivityContext
from perdure.runtime.authoring.fence import Performed, ToAwait, perform
from perdure.runtime.authoring.parameters import parameters_of

from ...support.workflows.hard_exceptions import HARD_EXCEPTIONS

CONTEXT = ActivityContext("i", 1, "x-1", "work")


def called(function: Any, payload: str | None = None) -> Any:
    return perform(function, parameters_of(function, "work"), CONTEXT, payload)


def test_a_call_decodes_its_input_and_encodes_its_result() -> None:
    def work(ctx: ActivityContext, n: int) -> list[Any]:
        return [ctx.activity_name, n + 1]

    assert called(work, "4") == Performed('["work",5]', None)


@pytest.mark.parametrize("name", sorted(HARD_EXCEPTIONS))
def test_whatever_the_function_raises_is_a_failure(name: str) -> None:
    def work(ctx: ActivityContext) -> None:
        raise HARD_EXCEPTIONS[name]()

    performed = called(work)
    assert performed.result is None
    assert performed.failure is not None


@pytest.mark.parametrize("name", sorted(HARD_EXCEPTIONS))
def test_whatever_the_type_of_the_input_or_of_the_result_raises_is_a_payload_error(name: str) -> None:
    # Given a type that refuses to be made, and one that refuses to be written,
    class Given:
        @classmethod
        def model_validate_json(cls, text: bytes) -> "Given":
            raise HARD_EXCEPTIONS[name]()

    class Result:
        def model_dump(self, **_: Any) -> Any:
            raise HARD_EXCEPTIONS[name]()

    def takes(ctx: ActivityContext, given: Given) -> None:
        raise AssertionError("called")

    def gives(ctx: ActivityContext) -> Result:
        return Result()

    # when they are used, then the failure names the payload as the cause.
    for function, payload in ((takes, "{}"), (gives, None)):
        performed = called(function, payload)
        assert performed.failure is not None
        assert performed.failure.error_type == "PayloadError"
        assert performed.failure.non_retriable
        assert performed.failure.inner is not None


def test_a_result_whose_class_cannot_be_asked_for_is_a_failure() -> None:
    class Odd:
        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            raise KeyboardInterrupt

    def work(ctx: ActivityContext) -> Any:
        return Odd()

    assert called(work).failure is not None


async def hidden() -> int:
    return 1


def test_an_awaitable_is_handed_on() -> None:
    performed = called(lambda ctx: hidden())
    assert isinstance(performed, ToAwait)
    performed.value.close()  # type: ignore[attr-defined]


def test_calls_in_several_threads_do_not_meet() -> None:
    def work(ctx: ActivityContext, n: int) -> int:
        return n

    results: list[Any] = []
    threads = [threading.Thread(target=lambda n=n: results.append(called(work, str(n)))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(performed.result for performed in results) == [str(n) for n in range(8)]


@pytest.mark.parametrize(("name", "present"), [("settrace", sys.gettrace), ("setprofile", sys.getprofile)])
def test_a_function_that_is_called_for_all_others_goes_with_the_call_that_has_set_it(name: str, present: Any) -> None:
    def traces(*_: object) -> None:
        pass

    def work(ctx: ActivityContext) -> None:
        getattr(sys, name)(traces)

    before = present()
    try:
        called(work)
        assert present() is before
    finally:
        getattr(sys, name)(before)


@pytest.mark.parametrize(("raises", "code"), [(False, 0), (True, 1)], ids=["returns", "raises"])
def test_a_forked_child_that_comes_back_from_its_function_ends(raises: bool, code: int) -> None:
    def work(ctx: ActivityContext) -> int:
        child = os.fork()
        if child == 0 and raises:
            raise ValueError
        return child

    performed = called(work)
    _, status = os.waitpid(int(performed.result), 0)
    assert os.waitstatus_to_exitcode(status) == code
