"""The machine of the figures, and its load meanwhile."""

import sqlite3
from pathlib import Path

import psutil
import pytest

from perdure.benchmarks.report.machine import machine, machine_load, named, version_of


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


def test_a_load_is_what_was_busy_since_it_was_read_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda: 74.96)
    load = machine_load()
    assert (load.busy, load.ready >= 0) == (0.75, True)
