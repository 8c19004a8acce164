"""Processes that a benchmark starts beside the engine: started, read a line at a time, and ended with their context."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .daemon import clean_environment

PATIENCE_S = 20.0  # for an orderly end


class ProcessEnded(Exception):
    """A process did not do what it should; its standard error is shown above."""


@contextmanager
def started(command: Sequence[str], folder: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process, and end it with the context.

    Args:
        options: More of `subprocess.Popen`'s, or others than these.
    """
    how: dict[str, Any] = {"stdout": subprocess.PIPE, "cwd": folder, "env": clean_environment(), "text": True}
    with subprocess.Popen(command, **(how | options)) as process:  # noqa: S603  ours
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def line_of(process: subprocess.Popen[str], wanted: str) -> str:
    """Read the next line.

    Raises:
        ProcessEnded: The process has ended.
    """
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise ProcessEnded(f"no {wanted} came from {process.args!r}; why stands above")
    return line
