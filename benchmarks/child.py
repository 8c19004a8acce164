"""A run in a process of its own: both ends of the wire.

The child reads its run from its arguments and writes lines of JSON to its
standard output: how far it is, and in the end what it came to. Its standard
error is ours.
"""

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import msgspec

from ..cli.collector import calm_collector
from .measure import Outcome
from .run import Run, perform

TELL_EVERY_S = 0.1


class Part(msgspec.Struct, tag=True):
    """How far a run is."""

    share: float  # 0 to 1
    units: int


class Whole(msgspec.Struct, tag=True):
    """What a run came to."""

    outcome: Outcome


class RunFailed(Exception):
    """A run did not come to its end; its process has said why on standard error."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.run = run

    def __str__(self) -> str:
        return f"{self.run.workload} ({self.run.driver}) did not come to its end; why stands above"


def run_in_child(run: Run, folder: Path, watch: Callable[[Part], None]) -> Outcome:
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
                message = msgspec.json.decode(line, type=Part | Whole)
                if isinstance(message, Whole):
                    return message.outcome
                watch(message)
        except BaseException:
            process.terminate()
            raise
    raise RunFailed(run)


class Teller:
    """Writes how far the run is, but not more often than anybody looks."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def part(self, share: float, units: int) -> None:
        now_s = time.perf_counter()
        if now_s >= self._next_s:
            self._next_s = now_s + TELL_EVERY_S
            write(Part(share, units))


def write(message: Part | Whole) -> None:
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
    sys.stdout.flush()


def main(run_json: str, folder: str) -> None:
    run = msgspec.json.decode(run_json, type=Run)
    # As the daemon does, and as programs that embed the engine are told to (docs/performance.md). Where the engine is
    # in another process, a pause of the load's collector would pass for one of the engine's.
    calm_collector()
    # As the daemon runs.
    options = {"use_uvloop": importlib.util.find_spec("uvloop") is not None}
    try:
        outcome = anyio.run(perform, run, Path(folder), Teller(), backend_options=options)
    except BaseExceptionGroup as group:
        # What breaks one item breaks all that are in flight, and the first tells as much as fifty.
        raise first_of(group) from None
    write(Whole(outcome))


def first_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    main(*sys.argv[1:])
