"""The machine: what figures are of, and what it did meanwhile."""

import sqlite3
from collections import namedtuple
from pathlib import Path
from typing import Any

import psutil
import pytest

from perdure.benchmarks.report import machine as module
from perdure.benchmarks.report.machine import LoadReading, cpu_seconds, machine, named, version_of


def test_a_machine_says_what_it_runs_and_what_its_disk_takes(tmp_path: Path) -> None:
    described = machine(tmp_path)
    assert described.sqlite == sqlite3.sqlite_version
    assert described.cores >= 1
    assert described.flush_ms > 0
    assert described.processor
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_a_build_is_named_as_what_it_is() -> None:
    assert version_of("no-such-distribution") == "not installed"
    assert named("1.2.3", "/lib/perdure/runtime/execution.py") == "1.2.3"
    assert named("1.2.3", "/lib/perdure/runtime/execution.cpython-311-x86_64-linux-gnu.so") == "1.2.3, compiled"


@pytest.mark.parametrize(("later", "busy"), [((105.0, 1020.0), 0.75), ((100.0, 1000.0), 0.0)])
def test_what_was_busy_is_what_was_not_idle(
    later: tuple[float, float], busy: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [(100.0, 1000.0), later]
    monkeypatch.setattr(module, "cpu_seconds", lambda: left.pop(0))
    assert LoadReading().until_now().busy == busy


def test_waiting_for_a_disk_is_idle_and_guests_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    times: Any = namedtuple("times", "user nice system idle iowait irq softirq steal guest guest_nice")
    monkeypatch.setattr(psutil, "cpu_times", lambda: times(30, 0, 10, 50, 5, 1, 1, 3, 20, 0))
    assert cpu_seconds() == (55, 100)
