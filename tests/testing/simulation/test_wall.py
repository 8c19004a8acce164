"""A world that takes too much of the processor's time is ended, wherever its code stands, and is not run again."""

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest

from perdure.testing.simulation import wall
from perdure.testing.simulation.choices import Choices
from perdure.testing.simulation.loop import SimLoop
from perdure.testing.simulation.search.attempt import Attempt, FoundFailure, failing_again
from perdure.testing.simulation.search.shrink import shrink
from perdure.testing.simulation.search.sweep import sweep
from perdure.testing.simulation.wall import WorldTooLong, walled

CPU_S = 0.03


@pytest.fixture(autouse=True)
def collected() -> None:
    """The first loop of a process collects the garbage of the program, which is not measured here."""
    loop = SimLoop()  # type: ignore[abstract]
    loop.run(asyncio.sleep(1))
    loop.close()


async def never_gives_the_loop_back() -> None:
    while True:
        pass


async def takes_it_for_an_error_of_its_own() -> None:
    try:
        await never_gives_the_loop_back()
    except Exception:
        await asyncio.sleep(1)


async def polls_for_ever() -> None:
    while True:
        await asyncio.sleep(1)


@pytest.mark.parametrize("story", [never_gives_the_loop_back, takes_it_for_an_error_of_its_own, polls_for_ever])
def test_a_world_is_ended_wherever_it_stands(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop = SimLoop()  # type: ignore[abstract]
    with (
        pytest.raises(WorldTooLong, match=r"has taken 0\.03 s of the processor's time, .* It stands in \w+"),
        walled(loop, CPU_S),
    ):
        loop.run(story())
    loop.close()
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) is signal.SIG_DFL


async def waits_for_a_lock(lock: threading.Lock) -> None:
    with lock:
        pass


def test_code_that_waits_in_real_time_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wall, "LOOK_S", 0.05)
    loop, lock = SimLoop(), threading.Lock()  # type: ignore[abstract]
    # A lock that is not released is no error of this test's: a signal ends the wait for it.
    lock.acquire()
    with (
        pytest.raises(WorldTooLong, match=r"has waited for .* of real time, .* It stands in waits_for_a_lock"),
        walled(loop, 1_000),
    ):
        loop.run(waits_for_a_lock(lock))
    loop.close()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("debugger", [None, "pdb", "pydevd"])
def test_code_that_stands_in_a_debugger_is_not_ended(debugger: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wall, "LOOK_S", 0.02)
    loop, lock = SimLoop(), threading.Lock()  # type: ignore[abstract]
    lock.acquire()
    # Given a prompt at which nothing happens for several times as long as a world may wait,
    prompt: dict[str, Any] = {"__name__": f"{debugger}.prompt", "wait": partial(lock.acquire, timeout=0.3)}
    exec("async def at_prompt(): wait()", prompt)  # noqa: S102
    # then that is the end of a world only if it is none of a debugger.
    with nullcontext() if debugger else pytest.raises(WorldTooLong), walled(loop, 1_000):
        loop.run(prompt["at_prompt"]())
    loop.close()


def test_a_tool_that_traces_is_no_debugger() -> None:
    before = sys.gettrace()
    sys.settrace(lambda *_: None)
    try:
        assert not wall.is_debugged()
    finally:
        sys.settrace(before)


def test_where_the_timer_is_not_ours_there_is_no_wall() -> None:
    loop = SimLoop()  # type: ignore[abstract]
    # In another thread nobody is called;
    thread = threading.Thread(target=lambda: walled(loop, CPU_S).__enter__())
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGVTALRM) is signal.SIG_DFL
    # and whoever has set the timer keeps it.
    with walled(loop, 1_000), walled(loop, CPU_S):
        assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 900
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0


class Slow:
    """Worlds that take too long if a fault strikes, and how many there were."""

    def __init__(self) -> None:
        self.worlds = 0

    def run(self, choices: Choices) -> Attempt:
        self.worlds += 1
        struck = [choices.fault("kill.unheard") for _ in range(3)]
        error = WorldTooLong("the world has taken 60 s") if any(struck) else None
        return Attempt(error, "", (), choices)


def test_what_takes_too_long_is_neither_run_again_nor_made_small() -> None:
    schedule = {("kill.unheard", 0): 1, ("kill.unheard", 1): 1}
    slow = Slow()
    failed = failing_again(slow.run, schedule)
    assert failed is not None
    assert isinstance(failed.error, WorldTooLong)
    found = FoundFailure(schedule, failed.error, "", 0, failed)
    assert shrink(slow.run, found) == found
    assert slow.worlds == 1


def test_a_sweep_goes_no_further_than_what_takes_too_long() -> None:
    slow = Slow()
    swept = sweep(slow.run)
    assert not swept.complete
    assert [each.schedule for each in swept.failures] == [{("kill.unheard", 0): 1}]
    assert slow.worlds == 2
