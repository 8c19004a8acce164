"""The daemon's event loop ends with its main task: no callback or task that user code leaves on it ends it earlier."""

import asyncio
import gc
import importlib.util
import logging
import signal
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from perdure.actors.waiting.ownership import CodeOwner, call_as
from perdure.daemon import event_loop
from perdure.daemon.event_loop import OWNERS_METHODS, new_event_loop, report, run_as_owner
from perdure.daemon.process.process_fence import process_fenced

from ..support.workflows.hard_exceptions import HARD_EXCEPTIONS


@pytest.fixture(params=["asyncio", "uvloop"])
def factory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], asyncio.AbstractEventLoop]:
    if request.param == "asyncio":
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    else:
        pytest.importorskip("uvloop")
    return new_event_loop


def run(factory: Callable[[], asyncio.AbstractEventLoop], function: Callable[[], Any]) -> Any:
    return run_as_owner(anyio.run, function, backend="asyncio", backend_options={"loop_factory": factory})


def as_user(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in the way in which code of users is called."""
    return call_as(CodeOwner.USER, function, *args)


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


@pytest.fixture(params=["alone", "fenced"])
def fenced(request: pytest.FixtureRequest) -> Iterator[None]:
    """The daemon's process has a fence: it must not refuse the loop an action that it refuses the app's code."""
    with process_fenced() if request.param == "fenced" else nullcontext() as fence:
        if fence is not None:
            fence.begin(lambda descriptor: False)
        yield


@pytest.mark.usefixtures("fenced")
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
    assert f"the loop continues: {type(error).__name__}" in caplog.text
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


def test_a_loop_that_is_stopped_all_the_same_goes_on(factory: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> str:
        asyncio.get_running_loop().stop()
        # On a busy machine a timer that is due before the loop reaches its stop would end the task first.
        await anyio.sleep(0.1)
        return "done"

    assert run(factory, main) == "done"
    assert "code other than the daemon's stopped the event loop; the loop continues" in caplog.text


# The methods of a running loop that code of users can call.


def given_to(name: str) -> tuple[Any, ...]:
    """Arguments for a method of a loop."""
    if name.endswith("signal_handler"):
        return (signal.SIGUSR2, print)[: 1 if name.startswith("remove") else 2]
    return (None,) if name.startswith("set_") else ()


@pytest.mark.parametrize("name", OWNERS_METHODS)
@pytest.mark.parametrize("where", ["here", "in a callback", "in a callback from a thread"])
def test_what_is_for_the_owner_of_the_loop_does_nothing_for_code_of_users(
    factory: Any, name: str, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        method, before = getattr(loop, name), (loop.get_debug(), loop.get_task_factory(), loop.get_exception_handler())
        if where == "here":
            done = as_user(method, *given_to(name))
            if asyncio.iscoroutine(done):
                await done
        elif where == "in a callback":
            as_user(loop.call_soon, method, *given_to(name))
        else:
            thread = threading.Thread(target=loop.call_soon_threadsafe, args=[method, *given_to(name)])
            thread.start()
            thread.join()
        await anyio.sleep(0.001)
        assert (loop.get_debug(), loop.get_task_factory(), loop.get_exception_handler()) == before
        return "done"

    with warnings.catch_warnings(action="ignore"):  # the error of a coroutine that a callback returns
        assert run(factory, main) == "done"
    assert f"code of the app has called {name}() of the daemon's event loop; nothing was done" in caplog.text


# Tasks.


def cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


def cancel_all_gathered() -> None:
    asyncio.gather(*asyncio.all_tasks(), return_exceptions=True).cancel()


def cancel_all_as_a_runner() -> None:
    with suppress(RuntimeError):
        asyncio.runners._cancel_all_tasks(asyncio.get_running_loop())  # type: ignore[attr-defined]


async def await_all_in_a_task_that_is_cancelled() -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))


CANCEL = {
    "one by one": cancel_all,
    "gathered": cancel_all_gathered,
    "as a runner": cancel_all_as_a_runner,
    "in a callback": lambda: asyncio.get_running_loop().call_soon(cancel_all),
    "later": lambda: asyncio.get_running_loop().call_later(0.001, cancel_all),
    "by a timeout": lambda: asyncio.create_task(await_all_in_a_task_that_is_cancelled()),
}


@pytest.mark.parametrize("how", CANCEL)
def test_code_of_users_cancels_no_task_of_the_daemon(factory: Any, how: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> str:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 0.02)
            as_user(CANCEL[how])
            await anyio.sleep(0.01)
        return "done"

    assert run(factory, main) == "done"
    assert caplog.text.count("code of the app has cancelled a task of the daemon") == 1


def test_code_of_users_cancels_its_own_tasks(factory: Any) -> None:
    async def main() -> bool:
        task: asyncio.Task[None] = as_user(asyncio.create_task, anyio.sleep_forever())
        await anyio.lowlevel.checkpoint()
        as_user(task.cancel)
        await asyncio.wait([task])
        return task.cancelled()

    assert run(factory, main) is True


def test_a_task_that_is_lent_is_cancelled_by_the_code_that_has_it_and_by_no_other(factory: Any) -> None:
    async def main() -> list[bool]:
        cancelled = []
        tasks = [asyncio.create_task(anyio.sleep_forever()) for _ in range(2)]
        await asyncio.sleep(0)
        for cancels in (tasks[1], tasks[0]):
            call_as(cancels, tasks[0].cancel)
            await asyncio.wait([tasks[0]], timeout=0.001)
            cancelled.append(tasks[0].cancelled())
        tasks[1].cancel()
        return cancelled

    assert run(factory, main) == [False, True]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()])
def test_a_future_of_the_apps_that_cannot_be_cancelled_breaks_nothing_of_the_daemon(
    factory: Any, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(asyncio.Future[None]):
        def cancel(self, msg: Any = None) -> bool:
            raise error

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def waits(future: asyncio.Future[None]) -> None:
            await future

        # Given a task of the daemon, lent to code that awaits a future of its own, and a task beside it,
        future = Stubborn(loop=loop)
        lent, beside = loop.create_task(waits(future)), loop.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        # when the daemon cancels both, then the first goes on, the second ends, and nothing is raised.
        assert [lent.cancel(), lent.cancel(), beside.cancel()] == [False, False, True]
        await asyncio.sleep(0)
        assert not lent.done()
        future.set_result(None)
        await lent

    run(factory, main)
    assert caplog.text.count("cannot be cancelled") == 1


def test_the_daemon_cancels_its_tasks_and_a_scope_of_code_of_users_its_own(factory: Any) -> None:
    async def main() -> list[bool]:
        task = asyncio.create_task(anyio.sleep_forever())
        await anyio.lowlevel.checkpoint()
        task.cancel()
        await asyncio.wait([task])
        with anyio.CancelScope() as scope:
            as_user(asyncio.get_running_loop().call_soon, scope.cancel)
            await anyio.sleep(1)
        return [task.cancelled(), scope.cancelled_caught]

    assert run(factory, main) == [True, True]


def test_what_a_handler_of_a_signal_raises_in_the_middle_of_the_loop_ends_nothing(
    factory: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> str:
        before = signal.signal(signal.SIGALRM, raising(TimeoutError("of an activity that is over")))
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        await anyio.sleep(0.05)
        signal.signal(signal.SIGALRM, before)
        return "done"

    assert run(factory, main) == "done"
    assert "of an activity that is over" in caplog.text


@pytest.mark.parametrize("name", sorted(HARD_EXCEPTIONS))
def test_an_error_that_is_not_awaited_is_logged_whatever_it_is(name: str, caplog: pytest.LogCaptureFixture) -> None:
    told = f"the task of {name} was forgotten"  # a garbage collection may report tasks of other tests meanwhile
    loop = new_event_loop()
    try:
        report(loop, {"message": told, "exception": HARD_EXCEPTIONS[name]()})
    finally:
        loop.close()
    (record,) = (each for each in caplog.records if each.getMessage().startswith(f"{told}: "))
    assert record.levelno == logging.ERROR
    assert record.exc_info is None


def test_the_loop_reports_the_error_of_a_task_that_was_forgotten(factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []  # `caplog` leaves out the report of a garbage collection
    monkeypatch.setattr(event_loop.logger, "error", lambda text, *values, **_: said.append(text % values))

    async def main() -> None:
        asyncio.get_running_loop().create_task(coroutine_that_raises(HARD_EXCEPTIONS["interrupts when asked"]()))
        await anyio.sleep(0.001)
        gc.collect()

    run(factory, main)
    assert any("Task exception was never retrieved: InterruptsWhenAsked" in each for each in said)


def test_a_look_up_of_a_name_that_was_cancelled_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None: ...

    error = socket.gaierror(-2, "Name or service not known")
    loop = new_event_loop()
    loop.call_exception_handler({"message": "never", "exception": error, "future": loop.create_future()})
    assert not caplog.records
    # The error of a task belongs to code of users.
    task = loop.create_task(fail())
    loop.call_exception_handler({"message": "never", "exception": error, "future": task})
    loop.run_until_complete(task)
    loop.close()
    assert "never: gaierror" in caplog.text


def test_what_is_no_error_is_reported_by_its_message(caplog: pytest.LogCaptureFixture) -> None:
    loop = new_event_loop()
    loop.call_exception_handler({"message": "something is odd"})
    loop.close()
    assert "something is odd" in caplog.text
