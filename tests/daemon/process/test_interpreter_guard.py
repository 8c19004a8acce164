"""Settings of the interpreter that code of the app makes worse for the daemon are put back."""

import gc
import resource
import sys
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
    """Lower a soft limit of the process, by so much that nothing breaks for a moment."""
    soft, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (soft - 1 if soft != resource.RLIM_INFINITY else 2**40, hard))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (gc.disable, "gc.isenabled() from True to False"),
        (lambda: sys.setrecursionlimit(sys.getrecursionlimit() - 1), "sys.getrecursionlimit()"),
        (lambda: sys.setswitchinterval(60), "sys.getswitchinterval()"),
        (lambda: lower(resource.RLIMIT_NOFILE), "RLIMIT_NOFILE from"),
        (lambda: lower(resource.RLIMIT_FSIZE), "RLIMIT_FSIZE from"),
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
