"""Processes that a benchmark starts, such as daemons. Each ends with its context."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from ..workloads import app as under_test
from .in_process import EngineSetup
from .measure import Usage, usage_of_trees

PATIENCE_S = 60.0  # for a start or a stop
APP = f"{under_test.__name__}:app"
READY = re.compile(
    r"(?:Stub|Perdure) ready: (?:http=http://(?P<host>[^ ]+):(?P<port>\d+) )?grpc=\S+:(?P<grpc_port>\d+)\n"
)


class ProcessEnded(Exception):
    """A process has failed; its standard error is shown above."""


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PERDURE_", "DAPR_"))}


@contextmanager
def started(command: Sequence[str], folder: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process, and end it and its children with the context.

    Args:
        options: Of `subprocess.Popen`, in place of the defaults.
    """
    import psutil  # noqa: PLC0415  the extra

    usual: dict[str, Any] = {"stdout": subprocess.PIPE, "cwd": folder, "env": clean_environment(), "text": True}
    with subprocess.Popen(command, **(usual | options)) as process:  # noqa: S603  ours
        try:
            yield process
        finally:
            with suppress(psutil.NoSuchProcess):
                root = psutil.Process(process.pid)
                tree = [root, *root.children(recursive=True)]
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE_S)
                for each in tree:
                    with suppress(psutil.NoSuchProcess):
                        each.kill()


def line_of(process: subprocess.Popen[str], wanted: str) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise ProcessEnded(f"no {wanted} came from {process.args!r}; why stands above")
    return line


def ready_line(process: subprocess.Popen[str]) -> re.Match[str]:
    line = line_of(process, "ready line")
    if (ready := READY.fullmatch(line)) is None:
        raise ProcessEnded(f"{process.args!r} said {line!r} and not that it is ready")
    return ready


def run_command(setup: EngineSetup, *arguments: str) -> list[str]:
    return [
        *(sys.executable, "-m", __name__.partition(".")[0], "run", *arguments),
        *("--http-port", "0", "--grpc-port", "0", "--log-level", "warning"),
        *("--data", str(setup.store), "--durability", setup.durability),
        *(["--always-replay"] if setup.always_replay else []),
        *(["--processes", str(setup.processes)] if setup.processes > 1 else []),
    ]


class Daemon(NamedTuple):
    process: subprocess.Popen[str]
    host: str
    port: int

    @property
    def pid(self) -> int:
        return self.process.pid

    def crash(self) -> None:
        """kill -9, and wait for the end."""
        self.process.kill()
        self.process.wait()

    def usage(self) -> Usage:
        return usage_of_trees([self.pid])


@asynccontextmanager
async def serving(
    setup: EngineSetup, variables: Mapping[str, str] | None = None, options: Sequence[str] = ()
) -> AsyncIterator[Daemon]:
    """Run a daemon. It is stopped in order if the block ends in order, else killed.

    Args:
        variables: Additions to its environment.
        options: Additions to its command line.

    Raises:
        ProcessEnded: It did not become ready, or did not stop in order.
    """
    environment = clean_environment() | dict(variables or {})
    with started([*run_command(setup, APP), *options], setup.folder, env=environment) as process:
        with anyio.fail_after(PATIENCE_S):
            ready = await anyio.to_thread.run_sync(ready_line, process, abandon_on_cancel=True)
        yield Daemon(process, ready["host"], int(ready["port"]))
        crashed = process.returncode is not None
    if not crashed and process.returncode != 0:
        raise ProcessEnded(f"the daemon ended with {process.returncode}, not 0")
