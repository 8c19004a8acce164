"""The kernel's timers send their signals in time, and do not affect the timers of setitimer(2)."""

import signal
import time
from collections.abc import Iterator

import pytest

from perdure.daemon.pulse.kernel_timer import CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, KernelTimer, split

NUMBER = 50
pytestmark = pytest.mark.skipif(KernelTimer.make(CLOCK_MONOTONIC, NUMBER) is None, reason="another system")


@pytest.fixture
def came() -> Iterator[list[int]]:
    came: list[int] = []
    yield came
    signal.signal(NUMBER, signal.SIG_DFL)


def make(clock: int, came: list[int]) -> KernelTimer:
    timer = KernelTimer.make(clock, NUMBER)
    assert timer is not None
    signal.signal(NUMBER, lambda number, frame: came.append(number))
    return timer


def wait(came: list[int], *, times: int = 1, spinning: bool = False) -> None:
    end_s = time.monotonic() + 10
    while len(came) < times:
        assert time.monotonic() < end_s
        if not spinning:
            time.sleep(0.001)


def test_it_counts_the_time_of_its_clock_and_sends_its_signal_once(came: list[int]) -> None:
    timer = make(CLOCK_MONOTONIC, came)
    timer.set(0.01)
    wait(came)
    time.sleep(0.05)
    timer.delete()
    assert came == [NUMBER]


def test_it_goes_on_as_it_is_told(came: list[int]) -> None:
    timer = make(CLOCK_MONOTONIC, came)
    timer.set(0.01, 0.01)
    wait(came, times=3)
    timer.delete()


def test_it_can_be_begun_anew_and_stopped(came: list[int]) -> None:
    timer = make(CLOCK_MONOTONIC, came)
    timer.set(0.05)
    timer.set(30)
    time.sleep(0.1)
    timer.set(0.05)
    timer.set(0)
    time.sleep(0.1)
    timer.delete()
    assert came == []


def test_time_without_cpu_does_not_count_for_one_of_cpu_time(came: list[int]) -> None:
    timer = make(CLOCK_PROCESS_CPUTIME_ID, came)
    timer.set(0.2)
    time.sleep(0.3)
    assert came == []
    wait(came, spinning=True)
    timer.delete()


def test_the_timers_that_programs_share_are_not_touched(came: list[int]) -> None:
    timers = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    timer = make(CLOCK_PROCESS_CPUTIME_ID, came)
    timer.set(30)
    assert [signal.getitimer(each) for each in timers] == [(0.0, 0.0)] * 3
    timer.delete()


def test_a_signal_that_the_program_uses_is_not_taken(came: list[int]) -> None:
    signal.signal(NUMBER, lambda number, frame: None)
    assert KernelTimer.make(CLOCK_MONOTONIC, NUMBER) is None


def test_times_have_seconds_and_nanoseconds() -> None:
    assert split(70.25) == (70, 250_000_000)
    assert split(0) == (0, 0)
