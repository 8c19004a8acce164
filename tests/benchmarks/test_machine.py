"""The machine: what figures are of."""

import sqlite3
from pathlib import Path

from perdure.benchmarks.machine import machine, named, version_of


def test_a_machine_says_what_it_runs_and_what_its_disk_takes(tmp_path: Path) -> None:
    described = machine(tmp_path)
    assert described.sqlite == sqlite3.sqlite_version
    assert described.cores >= 1
    assert described.flush_ms > 0
    assert described.processor
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_what_is_not_installed_is_said_to_be_so() -> None:
    assert version_of("no-such-distribution") == "not installed"


def test_a_compiled_engine_is_named_as_another_build() -> None:
    assert named("1.2.3", "/lib/perdure/runtime/execution.py") == "1.2.3"
    assert named("1.2.3", "/lib/perdure/runtime/execution.cpython-311-x86_64-linux-gnu.so") == "1.2.3, compiled"
