"""A timer of CPU time sends its signal while code spins, by the kernel's timers or by setitimer's."""

import signal
import time

import pytest

from perdure.daemon.pulse.cpu_timer import END, INTERRUPTION, CpuAlarm, CpuTimer
from perdure.daemon.pulse.kernel_timer import KernelTimer


@pytest.fixture(params=["the kernel's", "setitimer's"])
def of_the_kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param != "the kernel's":
        monkeypatch.setattr(KernelTimer, "make", lambda clock, number: None)
    return bool(request.param == "the kernel's")


@pytest.mark.parametrize("alarm", [INTERRUPTION, END])
def test_it_runs_out_while_code_spins(alarm: CpuAlarm, of_the_kernel: bool) -> None:
    # Given a timer that has its own signal, or shares one with profilers,
    timer = CpuTimer(alarm)
    if KernelTimer.make(2, timer.number) is not None:
        assert (timer.number == alarm.interval_signal) is not of_the_kernel
    came: list[int] = []
    before = signal.signal(timer.number, lambda number, frame: came.append(number))
    try:
        # when code uses CPU time, then it runs out;
        timer.set(0.02)
        end_s = time.monotonic() + 10
        while not came:
            assert time.monotonic() < end_s
        # a timer that was restarted, or removed, does not.
        timer.set(30)
        timer.set(0.02)
        timer.close()
        for _ in range(200_000):
            pass
        assert len(came) == 1
    finally:
        signal.signal(timer.number, before)


def test_the_two_have_signals_of_their_own(of_the_kernel: bool) -> None:
    timers = [CpuTimer(INTERRUPTION), CpuTimer(END)]
    assert timers[0].number != timers[1].number
    for timer in timers:
        timer.close()
