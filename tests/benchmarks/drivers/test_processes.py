"""Processes beside the engine: read a line at a time, and gone with their context."""

import sys
from pathlib import Path

import pytest

from perdure.benchmarks.drivers.processes import ProcessEnded, line_of, ready_line, started


def test_a_process_is_read_and_ends_with_its_context(tmp_path: Path) -> None:
    program = "print('here', flush=True); import signal; signal.pause()"
    with started([sys.executable, "-S", "-c", program], tmp_path) as process:
        assert line_of(process, "word") == "here\n"
        assert process.poll() is None
    assert process.returncode != 0


@pytest.mark.parametrize(
    ("program", "why"), [("", "no ready line"), ("print('Stub is ready')", "not that it is ready")]
)
def test_a_process_that_does_not_get_ready_is_an_error(tmp_path: Path, program: str, why: str) -> None:
    with started([sys.executable, "-S", "-c", program], tmp_path) as process, pytest.raises(ProcessEnded, match=why):
        ready_line(process)
