"""A run in a process of its own: both ends of the wire.

The child reads its run from its arguments and writes lines of JSON to its
standard output: how far it is, and in the end what it came to. Its standard
error is ours.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from .drivers.measure import RunOutcome
from .run import Run, perform
from .run_process import ProgressMessage, Teller, run_alone, write


class Whole(msgspec.Struct, tag=True):
    """What a run came to."""

    outcome: RunOutcome


class RunFailed(Exception):
    """A run did not come to its end; its process has said why on standard error."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.run = run

    def __str__(self) -> str:
        return f"{self.run.workload} ({self.run.driver}) did not come to its end; why stands above"


def run_in_child(run: Run, folder: Path, watch: Callable[[ProgressMessage], None]) -> RunOutcome:
    """Carry out a run in another process.

    Args:
        folder: An empty one for the store.
        watch: Told how far it is, some times a second.

    Raises:
        RunFailed: The process ended without a result.
    """
    command = [sys.executable, "-m", __name__, msgspec.json.encode(run).decode(), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder) as process:  # noqa: S603  our own command
        assert process.stdout is not None
        try:
            for line in process.stdout:
                message = msgspec.json.decode(line, type=ProgressMessage | Whole)
                if isinstance(message, Whole):
                    return message.outcome
                watch(message)
        except BaseException:
            process.terminate()
            raise
    raise RunFailed(run)


def main(run_json: str, folder: str) -> None:
    run = msgspec.json.decode(run_json, type=Run)
    write(Whole(run_alone(perform, run, Path(folder), Teller())))


if __name__ == "__main__":
    main(*sys.argv[1:])
