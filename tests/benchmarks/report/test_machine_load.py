"""What the machine did during a run is the difference of its counters."""

from typing import Any

import pytest

from perdure.benchmarks.report import machine_load
from perdure.benchmarks.report.machine_load import LoadReading, cpu_seconds


def counters(monkeypatch: pytest.MonkeyPatch, *readings: tuple[float, float]) -> None:
    left = list(readings)
    monkeypatch.setattr(machine_load, "cpu_seconds", lambda: left.pop(0))


def test_what_was_busy_is_what_was_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given two cores for ten seconds, which were idle for five of twenty,
    counters(monkeypatch, (100.0, 1000.0), (105.0, 1020.0))
    # when the load is read, then three quarters were worked in.
    assert LoadReading().until_now().busy == 0.75


def test_a_run_of_no_time_has_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    counters(monkeypatch, (100.0, 1000.0), (100.0, 1000.0))
    assert LoadReading().until_now().busy == 0.0


def test_waiting_for_a_disk_is_idle_and_guests_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple  # noqa: PLC0415

    import psutil  # noqa: PLC0415

    times: Any = namedtuple("times", "user nice system idle iowait irq softirq steal guest guest_nice")
    monkeypatch.setattr(psutil, "cpu_times", lambda: times(30, 0, 10, 50, 5, 1, 1, 3, 20, 0))
    assert cpu_seconds() == (55, 100)


def test_the_counters_of_this_machine_grow() -> None:
    idle, total = cpu_seconds()
    assert 0 <= idle <= total
