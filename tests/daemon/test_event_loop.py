"""The daemon's event loop ends with its main task, whatever user code leaves on it."""

import asyncio
import gc
import importlib.util
import logging
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from perdure.daemon.event_loop import new_event_loop, report

from ..support.workflows.hard_exceptions import HARD_EXCEPTIONS


@pytest.fixture(params=["asyncio", "uvloop"])
def factory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], asyncio.AbstractEventLoop]:
    if request.param == "asyncio":
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    else:
        pytest.importorskip("uvloop")
    return new_event_loop


def run(factory: Callable[[], asyncio.AbstractEventLoop], function: Callable[[], Any]) -> Any:
    return anyio.run(function, backend="asyncio", backend_options={"loop_factory": factory})


def raising(error: BaseException) -> Callable[..., None]:
    def raise_it(*_: Any) -> None:
        raise error

    return raise_it


async def coroutine_that_raises(error: BaseException) -> None:
    raise error


LEAVE = {
    "task": lambda loop, error: loop.create_task(coroutine_that_raises(error)),
    "callback": lambda loop, error: loop.call_soon(raising(error)),
    "later callback": lambda loop, error: loop.call_later(0.001, raising(error)),
    "callback from a thread": lambda loop, error: loop.call_soon_threadsafe(raising(error)),
    "done callback": lambda loop, error: loop.create_task(asyncio.sleep(0)).add_done_callback(raising(error)),
}


@pytest.mark.parametrize("left", sorted(LEAVE))
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_is_left_behind_and_would_end_the_process_is_a_line_in_the_log(
    factory: Any, left: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> str:
        LEAVE[left](asyncio.get_running_loop(), error)
        await anyio.sleep(0.02)
        return "done"

    assert run(factory, main) == "done"
    assert f"it goes on: {type(error).__name__}" in caplog.text
    assert "in raise_it" in caplog.text or "in coroutine_that_raises" in caplog.text


def test_who_awaits_the_task_gets_its_error(factory: Any) -> None:
    async def main() -> str:
        try:
            await asyncio.get_running_loop().create_task(coroutine_that_raises(SystemExit(3)))
        except SystemExit as error:
            return f"caught {error.code}"
        return "nothing"

    assert run(factory, main) == "caught 3"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), ValueError("x")], ids=repr)
def test_an_error_of_the_main_task_ends_the_loop(factory: Any, error: BaseException) -> None:
    async def main() -> None:
        await anyio.lowlevel.checkpoint()
        raise error

    with pytest.raises(type(error)):
        run(factory, main)


def test_code_that_stops_the_loop_stops_nothing(factory: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> str:
        asyncio.get_running_loop().stop()
        await anyio.sleep(0.001)
        return "done"

    assert run(factory, main) == "done"
    assert "user code stopped the event loop" in caplog.text


@pytest.mark.parametrize("name", sorted(HARD_EXCEPTIONS))
def test_an_error_that_nobody_awaits_is_logged_whatever_it_is(name: str, caplog: pytest.LogCaptureFixture) -> None:
    loop = new_event_loop()
    try:
        report(loop, {"message": "Task exception was never retrieved", "exception": HARD_EXCEPTIONS[name]()})
    finally:
        loop.close()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("Task exception was never retrieved: ")
    assert record.exc_info is None


def test_the_loop_reports_the_error_of_a_task_that_was_forgotten(
    factory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        asyncio.get_running_loop().create_task(coroutine_that_raises(HARD_EXCEPTIONS["interrupts when asked"]()))
        await anyio.sleep(0.001)
        gc.collect()

    run(factory, main)
    assert "Task exception was never retrieved: InterruptsWhenAsked" in caplog.text


def test_what_is_no_error_is_reported_by_its_message(caplog: pytest.LogCaptureFixture) -> None:
    loop = new_event_loop()
    loop.call_exception_handler({"message": "something is odd"})
    loop.close()
    assert "something is odd" in caplog.text
