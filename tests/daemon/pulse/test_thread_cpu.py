"""A waiting thread is not starved; a thread that could run and does not is; without the kernel's figures, none is."""

import threading
from pathlib import Path

import pytest

from perdure.daemon.pulse import thread_cpu
from perdure.daemon.pulse.thread_cpu import ThreadCpu, parse


def stat(state: str, ticks: int) -> str:
    return f"12 (a name) R) {state} " + "0 " * 10 + f"{ticks} 0 0 0"


def test_the_state_and_the_time_are_read_behind_a_name_with_parentheses() -> None:
    assert parse(stat("S", 7)) == ("S", 7)


@pytest.mark.parametrize(
    ("state", "used_s", "starved"),
    [("R", 0.0, True), ("R", 0.09, True), ("R", 0.2, False), ("S", 0.0, False), ("D", 0.0, False)],
)
def test_starved_is_a_thread_that_could_run_and_does_not(
    state: str, used_s: float, starved: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = ThreadCpu(1)
    thread._path = tmp_path / "stat"
    thread._path.write_text(stat("R", 1000))
    thread.starved(1.0)
    thread._path.write_text(stat(state, 1000 + round(used_s * thread._ticks_a_second)))
    assert thread.starved(1.0) is starved


def test_this_thread_runs() -> None:
    thread = ThreadCpu(threading.get_native_id())
    thread.starved(1.0)
    sum(range(3_000_000))
    assert not thread.starved(0.01)


def test_without_the_kernels_word_no_thread_is_starved() -> None:
    assert not ThreadCpu(-1).starved(1.0)
    assert thread_cpu.SHARE_MIN > 0
