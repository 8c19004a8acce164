"""Processes that a benchmark starts beside itself: started, read a line at a time, and ended with their context."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .in_process import EngineSetup

PATIENCE_S = 20.0  # for an orderly end
READY = re.compile(
    r"(?:Stub|Perdure) ready: (?:http=http://(?P<host>[^ ]+):(?P<port>\d+) )?grpc=\S+:(?P<grpc_port>\d+)\n"
)


class ProcessEnded(Exception):
    """A process did not do what it should; its standard error is shown above."""


def clean_environment() -> dict[str, str]:
    """Our environment without what would configure a daemon or an SDK."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PERDURE_", "DAPR_"))}


def run_command(setup: EngineSetup, *arguments: str) -> list[str]:
    """`perdure run` on the store of a setup, on free ports."""
    return [
        *(sys.executable, "-m", __name__.partition(".")[0], "run", *arguments),
        *("--http-port", "0", "--grpc-port", "0", "--log-level", "warning"),
        *("--data", str(setup.store), "--durability", setup.durability),
        *(["--always-replay"] if setup.always_replay else []),
        *(["--processes", str(setup.processes)] if setup.processes > 1 else []),
    ]


@contextmanager
def started(command: Sequence[str], folder: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process, and end it with the context; `options` are those of `subprocess.Popen`, in place of these."""
    usual: dict[str, Any] = {"stdout": subprocess.PIPE, "cwd": folder, "env": clean_environment(), "text": True}
    with subprocess.Popen(command, **(usual | options)) as process:  # noqa: S603  ours
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def line_of(process: subprocess.Popen[str], wanted: str) -> str:
    """Read the next line, for which a process that has ended is too late (`ProcessEnded`)."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise ProcessEnded(f"no {wanted} came from {process.args!r}; why stands above")
    return line


def ready_line(process: subprocess.Popen[str]) -> re.Match[str]:
    """Wait until a host says that it is ready, and where."""
    line = line_of(process, "ready line")
    if (ready := READY.fullmatch(line)) is None:
        raise ProcessEnded(f"{process.args!r} said {line!r} and not that it is ready")
    return ready


def kill_tree(pid: int) -> None:
    """End a process and all that it started, which would otherwise stop in order, on files that are about to go."""
    import psutil  # noqa: PLC0415  the extra

    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (*root.children(recursive=True), root):
            with suppress(psutil.NoSuchProcess):
                process.kill()
