"""Processes beside the engine: read a line at a time, and gone with their context."""

import sys
from pathlib import Path

import pytest

from perdure.benchmarks.drivers.processes import ProcessEnded, line_of, started


def test_a_process_is_read_and_ends_with_its_context(tmp_path: Path) -> None:
    with started(
        [sys.executable, "-c", "print('here', flush=True); import signal; signal.pause()"], tmp_path
    ) as process:
        assert line_of(process, "word") == "here\n"
        assert process.poll() is None
    assert process.returncode != 0


def test_a_process_that_ends_without_a_word_is_an_error(tmp_path: Path) -> None:
    with started([sys.executable, "-c", ""], tmp_path) as process, pytest.raises(ProcessEnded, match="no ready line"):
        line_of(process, "ready line")
