"""A process in which no thread can run any more ends; a process that was stopped for long, and goes on, lives."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from perdure.daemon.pulse.last_resort import LastResort

pytestmark = pytest.mark.skipif(LastResort().number is None, reason="another system")

# Starts the timer in a thread, as the pulse does, and then runs some code.
PROGRAM = """
import ctypes, signal, sys, threading, time
from perdure.daemon.pulse.last_resort import LastResort

resort = LastResort()

def pulse():
    while True:
        resort.wind_up(0.3, 0.5)
        time.sleep(0.05)

threading.Thread(target=pulse, daemon=True).start()
time.sleep(0.1)
print("running", flush=True)
{does}
print("done", flush=True)
"""
DEADLOCK = """
mutex = ctypes.create_string_buffer(64)
for _ in range(2):
    ctypes.PyDLL(None).pthread_mutex_lock(mutex)
"""


@contextmanager
def begun(does: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PROGRAM.format(does=does)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "running\n"
            yield process
        finally:
            process.kill()


def test_code_that_keeps_pythons_lock_and_uses_no_cpu_is_ended() -> None:
    with begun(DEADLOCK) as process:
        assert process.wait(20) == -(signal.SIGRTMAX - 2)


def test_a_system_call_in_it_ends_at_the_first_signal() -> None:
    with begun("ctypes.PyDLL(None).usleep(60_000_000)") as process:
        assert process.wait(20) == 0


def test_a_process_that_was_stopped_for_longer_goes_on() -> None:
    with begun("time.sleep(2.5)") as process:
        for _ in range(2):
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(1.0)
            os.kill(process.pid, signal.SIGCONT)
            time.sleep(0.1)
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    "does",
    [
        "time.sleep(1)",  # releases Python's lock
        "resort.close(); resort.close(); time.sleep(1)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()); time.sleep(1)",
    ],
)
def test_a_process_in_which_the_pulse_comes_back_lives(does: str) -> None:
    with begun(does) as process:
        assert process.wait(20) == 0


def test_a_program_that_uses_the_signal_keeps_it() -> None:
    number = signal.SIGRTMAX - 2
    before = signal.signal(number, lambda *_: None)
    try:
        resort = LastResort()
        assert resort.number is None
        resort.wind_up(0.001, 0.001)
        resort.close()
    finally:
        signal.signal(number, before)
