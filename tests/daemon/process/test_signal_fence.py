"""A signal handler of the app's code raises only in the step that has set it."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from perdure import ActivityContext, App, Engine, Status, WorkflowContext
from perdure.actors.store.memory import MemoryStore
from perdure.daemon.event_loop import new_event_loop, run_as_owner
from perdure.daemon.process.signal_fence import (
    GUARDED,
    TIMERS,
    FencedHandler,
    UnawaitedAlarm,
    handlers_fenced,
    is_foreign,
    name_of,
)
from perdure.daemon.process.signal_guard import guard_signals
from perdure.runtime.operations.handle import WorkflowState

SOON_S = 0.02


class TooLate(Exception):
    """The error that the handlers here raise."""


def raises(number: int, frame: object) -> None:
    raise TooLate(f"signal {number}")


def interrupts(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def spin() -> None:
    """Use CPU time, user and system, so that each timer runs out."""
    end_s, until_s = time.process_time() + 4 * SOON_S, time.monotonic() + 4 * SOON_S
    while time.process_time() < end_s or time.monotonic() < until_s:
        sum(range(10_000))


# The ways to send a signal soon.
COMES: dict[signal.Signals, Callable[[], object]] = {
    signal.SIGALRM: lambda: signal.setitimer(signal.ITIMER_REAL, SOON_S),
    signal.SIGPROF: lambda: signal.setitimer(signal.ITIMER_PROF, SOON_S),
    signal.SIGVTALRM: lambda: signal.setitimer(signal.ITIMER_VIRTUAL, SOON_S),
    signal.SIGUSR1: lambda: os.kill(os.getpid(), signal.SIGUSR1),
}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in COMES}
    yield
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)
    for number, handler in before.items():
        signal.signal(number, handler)


def app_with_signals(number: signal.Signals, handler: Callable[..., Any]) -> App:
    """Workflows that set a handler, and get its signal in one place or another."""
    app = App("signals")

    @app.activity
    async def waits_for_it(ctx: ActivityContext) -> str:
        signal.signal(number, handler)
        COMES[number]()
        spin()
        return "went on"

    @app.activity
    async def leaves_it(ctx: ActivityContext) -> str:
        signal.signal(number, handler)
        if number is signal.SIGUSR1:
            asyncio.get_running_loop().call_later(SOON_S, COMES[number])
        else:
            COMES[number]()
        return "left"

    @app.activity
    async def awaits_beside_it(ctx: ActivityContext) -> str:
        await leaves_it(ctx)
        end_s = time.process_time() + 8 * SOON_S
        while time.process_time() < end_s:
            await asyncio.sleep(0)  # CPU time goes by in the event loop
        return "went on"

    @app.activity
    async def innocent(ctx: ActivityContext) -> str:
        spin()
        return "innocent"

    @app.workflow
    async def calls(ctx: WorkflowContext, name: str) -> Any:
        return await ctx.call_activity(name)

    @app.workflow
    async def by_itself(ctx: WorkflowContext) -> str:
        signal.signal(number, handler)
        COMES[number]()
        spin()
        return "went on"

    return app


def run(app: App, *starts: tuple[Any, ...]) -> list[WorkflowState]:
    """Run workflows one after the other, as a daemon does."""

    async def main() -> list[WorkflowState]:
        guard = asyncio.create_task(guard_signals(interval_s=0.01))
        async with asyncio.timeout(20), Engine(app, data=MemoryStore()) as engine:
            states = []
            for workflow, given in starts:
                instance_id = await engine.client.start(workflow, input=given)
                states.append(await engine.client.wait(instance_id))
            await asyncio.sleep(0.05)
        guard.cancel()
        return states

    def serve() -> list[WorkflowState]:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(main())

    with handlers_fenced():
        return run_as_owner(serve)


@pytest.mark.parametrize("number", COMES)
@pytest.mark.parametrize("start", [("calls", "waits_for_it"), ("by_itself", None)])
def test_in_the_step_that_has_set_it_a_handler_raises(number: signal.Signals, start: tuple[Any, ...]) -> None:
    [state] = run(app_with_signals(number, raises), start)
    assert state.status is Status.FAILED
    assert f"signal {number:d}" in str(state.failure)


@pytest.mark.parametrize("number", COMES)
@pytest.mark.parametrize("handler", [raises, interrupts])
def test_in_the_step_of_another_it_is_a_line_in_the_log(
    number: signal.Signals, handler: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    # Given an activity that has set a handler and ended, when the signal comes in another, then the other goes on.
    states = run(app_with_signals(number, handler), ("calls", "leaves_it"), *[("calls", "innocent")] * 3)
    assert [(state.status, state.output) for state in states] == [
        (Status.COMPLETED, "left"),
        *[(Status.COMPLETED, "innocent")] * 3,
    ]
    assert f"a handler of {number.name} that code of the app has set raised" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("number", COMES)
def test_a_signal_handler_that_raises_in_the_event_loop_harms_no_code(
    number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    [state] = run(app_with_signals(number, raises), ("calls", "awaits_beside_it"))
    if state.status is Status.COMPLETED:  # the signal came in the loop, and not in one of the activity's steps
        assert f"a handler of {number.name} that code of the app has set raised TooLate" in caplog.text
    else:
        assert f"signal {number:d}" in str(state.failure)


@pytest.mark.parametrize("number", [signal.SIGPROF, signal.SIGVTALRM])
def test_a_profiler_goes_on_sampling_while_others_work(number: signal.Signals) -> None:
    timer = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGVTALRM: signal.ITIMER_VIRTUAL}[number]
    samples: list[object] = []
    app = app_with_signals(number, lambda number, frame: samples.append(frame.f_code if frame else None))

    @app.activity
    async def profiles(ctx: ActivityContext) -> None:
        signal.signal(number, lambda number, frame: samples.append(frame.f_code if frame else None))
        signal.setitimer(timer, 0.001, 0.001)

    states = run(app, ("calls", "profiles"), *[("calls", "innocent")] * 5)
    assert {state.status for state in states} == {Status.COMPLETED}
    assert len(samples) > 10


def test_while_the_app_is_imported_a_handler_raises() -> None:
    with handlers_fenced():
        signal.signal(signal.SIGUSR1, raises)
        with pytest.raises(TooLate):
            os.kill(os.getpid(), signal.SIGUSR1)


def test_when_the_daemon_has_stopped_no_handler_raises() -> None:
    with handlers_fenced() as fence:
        signal.signal(signal.SIGUSR1, raises)
        fence.imported = True
        os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR1)


def test_the_fence_is_taken_down_and_the_daemons_own_handlers_have_none() -> None:
    original = signal.signal
    with handlers_fenced():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
        fenced = signal.signal(signal.SIGUSR1, raises)
        fenced = signal.signal(signal.SIGUSR1, raises)
        assert type(fenced) is FencedHandler
        # A handler that is set again has no second fence.
        signal.signal(signal.SIGUSR1, fenced)
        assert signal.getsignal(signal.SIGUSR1) is fenced
        run_as_owner(signal.signal, signal.SIGUSR1, raises)
        assert signal.getsignal(signal.SIGUSR1) is raises
    assert signal.signal is original


class Odd:
    """A handler that raises when its attributes are read."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __call__(self, *_: object) -> None: ...


def test_it_is_told_whose_a_handler_is() -> None:
    foreign = [raises, interrupts, Odd(), signal.default_int_handler]
    ours = [FencedHandler(raises), handlers_fenced, signal.SIG_DFL, signal.SIG_IGN, None]
    assert [is_foreign(each) for each in (*foreign, *ours)] == [True] * len(foreign) + [False] * len(ours)


def test_each_signal_has_a_name() -> None:
    assert (name_of(signal.SIGALRM), name_of(50)) == ("SIGALRM", "signal 50")


@pytest.mark.parametrize("number", [*GUARDED, *TIMERS])
def test_code_of_the_app_takes_no_signal_that_the_daemon_lives_by(
    number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    app = App("takes")

    @app.activity
    async def takes(ctx: ActivityContext) -> None:
        signal.signal(number, signal.SIG_DFL)
        if number in TIMERS:
            signal.raise_signal(number)

    @app.workflow
    async def calls(ctx: WorkflowContext) -> None:
        await ctx.call_activity(takes)

    before = signal.getsignal(number)
    [state] = run(app, ("calls", None))
    assert state.status is Status.COMPLETED
    assert number.name in caplog.text
    # A timer of the app may run on until the process has ended.
    assert signal.getsignal(number) == (signal.SIG_IGN if number in TIMERS else before)


@pytest.mark.parametrize("number", TIMERS)
@pytest.mark.parametrize("handler", [FencedHandler(raises), UnawaitedAlarm()])
def test_a_timer_that_the_app_left_behind_does_not_end_the_process_at_its_end(
    number: signal.Signals, handler: FencedHandler | UnawaitedAlarm
) -> None:
    # Given a timer of the app that runs when the daemon has stopped,
    with handlers_fenced():
        signal.signal(number, handler)
        COMES[number]()
    # then its signal is ignored, since the interpreter takes the handler away before the process ends.
    assert signal.getsignal(number) is signal.SIG_IGN
    spin()


def test_a_handler_of_the_program_stays_when_the_daemon_has_stopped() -> None:
    signal.signal(signal.SIGALRM, raises)
    with handlers_fenced():
        pass
    assert signal.getsignal(signal.SIGALRM) is raises
