"""The daemon receives SIGTERM and SIGINT, and survives other signals, also if the app's code changes their handlers."""

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from perdure.daemon.process.signal_fence import GUARDED, TIMERS
from perdure.daemon.process.signal_guard import guard_signals

from ...support.processes.lines import Lines, ended

APP = """
import signal
import perdure
app = perdure.App("deaf")

@app.activity
async def deafen(ctx):
    signal.signal(signal.SIGTERM, signal.{handler})
    signal.signal(signal.SIGINT, signal.{handler})

@app.workflow
async def deafened(ctx, given=None):
    await ctx.call_activity(deafen)
"""


@pytest.mark.parametrize(("told", "handler"), [(signal.SIGTERM, "SIG_IGN"), (signal.SIGINT, "SIG_DFL")])
def test_an_activity_that_takes_the_signals_does_not_keep_them(
    tmp_path: Path, told: signal.Signals, handler: str
) -> None:
    (tmp_path / "deaf.py").write_text(APP.format(handler=handler))
    process = subprocess.Popen(
        [sys.executable, "-m", "perdure", "run", "deaf.py", "--http-port", "0", "--grpc-port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = Lines(process.stdout), Lines(process.stderr)
    url = out.hear("Perdure ready", err).split("http=")[1].split()[0]
    urllib.request.urlopen(f"{url}/v1.0/workflows/dapr/deafened/start", b"").close()  # noqa: S310
    err.hear("had replaced the handler of SIGTERM")
    err.hear("had replaced the handler of SIGINT")
    process.send_signal(told)
    assert ended(process, out, err) == 0
    assert told.name in "\n".join(err.said)


def test_another_thread_than_the_main_one_leaves_the_signals_alone() -> None:
    async def main() -> None:
        with anyio.fail_after(10):
            await anyio.to_thread.run_sync(lambda: anyio.run(guard_signals))

    anyio.run(main)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in TIMERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def guarded(*changes: Callable[[], object]) -> None:
    """Guard the signals, and change something."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: guard_signals(interval_s=0.001))
        await anyio.lowlevel.checkpoint()
        for change in changes:
            change()
        await some_looks()
        tasks.cancel_scope.cancel()


async def some_looks() -> None:
    """Wait for many looks of the guard, also on a slow event loop."""
    for _ in range(20):
        await anyio.sleep(0.001)


@pytest.mark.parametrize("number", TIMERS)
def test_an_alarm_that_no_code_waits_for_is_a_line_in_the_log(
    number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    anyio.run(guarded, lambda: signal.raise_signal(number))
    assert caplog.messages == [f"{number.name} came, because code of the app has set an alarm; nothing was done"]
    # An alarm between the end of the guard and that of the process ends nothing either.
    signal.raise_signal(number)


@pytest.mark.parametrize("number", TIMERS)
def test_a_timer_whose_signal_has_no_handler_any_more_ends_nothing(
    number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: guard_signals(interval_s=0.001))
            await anyio.lowlevel.checkpoint()
            signal.signal(number, signal.SIG_DFL)
            await some_looks()
            signal.raise_signal(number)
            await some_looks()
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert caplog.messages == [f"{number.name} came, because code of the app has set an alarm; nothing was done"]


@pytest.mark.parametrize("number", TIMERS)
def test_a_handler_that_was_set_past_the_fence_is_fenced(
    number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    def raises(*_: object) -> None:
        raise ValueError("past")

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: guard_signals(interval_s=0.001))
            await anyio.sleep(0.01)
            signal.signal(number, raises)
            await some_looks()
            signal.raise_signal(number)
            await some_looks()
            tasks.cancel_scope.cancel()

    before = signal.getsignal(number)
    anyio.run(main)
    signal.signal(number, before)
    assert "raised ValueError: past" in caplog.text


def test_the_signals_of_the_pulse_are_guarded_too(caplog: pytest.LogCaptureFixture) -> None:
    number = 50
    signal.signal(number, lambda *_: None)
    handler = signal.getsignal(number)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: guard_signals((number,), interval_s=0.001))
            await anyio.sleep(0.01)
            signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [number])
            await some_looks()
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert signal.getsignal(number) is handler
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
    signal.signal(number, signal.SIG_DFL)
    assert "had replaced the handler of signal 50" in caplog.text


@pytest.mark.parametrize("number", GUARDED)
def test_each_guarded_signal_has_its_handler_again_and_is_not_blocked(
    number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    before = signal.getsignal(number)
    replaced = signal.SIG_IGN if before is not signal.SIG_IGN else signal.SIG_DFL
    anyio.run(
        guarded,
        lambda: signal.signal(number, replaced),
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [number]),
    )
    assert signal.getsignal(number) == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
    assert f"had replaced the handler of {number.name}" in caplog.text
    assert f"had blocked {number.name}; the daemon has unblocked them" in caplog.text
