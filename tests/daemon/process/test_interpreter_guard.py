"""The daemon restores settings of the interpreter that code of the app has changed to its harm."""

import gc
import resource
import sys
import threading
from collections.abc import Callable, Iterator

import anyio
import anyio.lowlevel
import pytest

from perdure.daemon.process.interpreter_guard import SETTINGS, guard_interpreter


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = [setting.read() for setting in SETTINGS]
    yield
    for setting, value in zip(SETTINGS, before, strict=True):
        setting.write(value)


async def guarded(change: Callable[[], object]) -> None:
    """Guard, change something, and look twice."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: guard_interpreter(interval_s=0.001))
        await anyio.lowlevel.checkpoint()
        change()
        await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()


def lower(limit: int) -> None:
    """Lower a soft limit of the process, to a value that breaks nothing for a moment."""
    soft, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (soft - 1 if soft != resource.RLIM_INFINITY else 2**40, hard))


def traces(*_: object) -> None:
    """A function for sys.settrace and sys.setprofile."""


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (gc.disable, "gc.isenabled() from True to False"),
        (lambda: sys.setrecursionlimit(sys.getrecursionlimit() - 1), "sys.getrecursionlimit()"),
        (lambda: sys.setswitchinterval(60), "sys.getswitchinterval()"),
        (lambda: lower(resource.RLIMIT_NOFILE), "RLIMIT_NOFILE from"),
        (lambda: lower(resource.RLIMIT_FSIZE), "RLIMIT_FSIZE from"),
        (lambda: lower(resource.RLIMIT_CPU), "RLIMIT_CPU from"),
        (lambda: gc.set_threshold(0), "gc.get_threshold() from"),
        (lambda: gc.set_debug(gc.DEBUG_SAVEALL), "gc.get_debug() from"),
        (lambda: sys.set_coroutine_origin_tracking_depth(9), "sys.get_coroutine_origin_tracking_depth() from 0 to 9"),
        (lambda: sys.set_asyncgen_hooks(traces, traces), "sys.get_asyncgen_hooks() from"),
        (lambda: setattr(sys, "excepthook", None), "sys.excepthook from"),
        (lambda: delattr(sys, "excepthook"), "sys.excepthook from"),
        (lambda: setattr(sys, "unraisablehook", 5), "sys.unraisablehook from"),
        (lambda: setattr(threading, "excepthook", None), "threading.excepthook from"),
    ],
)
def test_what_is_worse_is_put_back_and_told_once(
    change: Callable[[], object], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = [setting.read() for setting in SETTINGS]
    anyio.run(guarded, change)
    assert [setting.read() for setting in SETTINGS] == before
    (line,) = caplog.messages
    assert f"code of the app had changed {name}" in line


def test_what_does_the_daemon_no_harm_stays(caplog: pytest.LogCaptureFixture) -> None:
    def change() -> None:
        sys.setrecursionlimit(sys.getrecursionlimit() + 1000)
        sys.setswitchinterval(0.001)

    before = sys.getrecursionlimit()
    anyio.run(guarded, change)
    assert sys.getrecursionlimit() == before + 1000
    assert sys.getswitchinterval() == pytest.approx(0.001)
    assert caplog.messages == []


def test_an_app_that_sets_them_while_it_is_imported_has_its_way() -> None:
    gc.disable()
    anyio.run(guarded, lambda: None)
    assert not gc.isenabled()


@pytest.mark.parametrize(("name", "present"), [("settrace", sys.gettrace), ("setprofile", sys.getprofile)])
@pytest.mark.parametrize("by_the_app", [True, False], ids=["the app's", "a debugger's"])
def test_a_function_that_code_of_the_app_has_left_behind_is_taken_off(
    name: str, present: Callable[[], object], by_the_app: bool, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a function that is called for each other function of the thread,
    tracers: dict[str, object] = {}

    async def look() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: guard_interpreter(tracers, interval_s=0.001))
            await anyio.lowlevel.checkpoint()
            before = present()
            getattr(sys, name)(traces)
            if by_the_app:
                tracers[name] = traces
            try:
                # when the daemon looks, then it removes the app's function.
                await anyio.sleep(0.01)
                assert (present() is traces) is not by_the_app
            finally:
                getattr(sys, name)(before)
            tasks.cancel_scope.cancel()

    anyio.run(look)
    assert len(caplog.messages) == by_the_app
