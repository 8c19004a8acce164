"""Does a run in a new process, so that no run inherits a grown heap or a warm cache from another.

The rule: the process is a new Python (spawn), gets its run as a pickle, and sends its progress and its result through a
pipe. It shares our standard error.
"""

import importlib.util
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, TypeVarTuple

import anyio
import click

from ..daemon.process.garbage_collector import tune_garbage_collector
from .workloads.run import Run

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

TELL_EVERY_S = 0.1


class RunFailed(click.ClickException):
    """A run has failed; its process has printed the reason on standard error."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"{run.workload} ({run.driver}) did not come to its end; why stands above")


class PipeProgress:
    """Sends the progress of a run, at most once in `TELL_EVERY_S` seconds."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._next_s = 0.0

    def part(self, share: float, units: int) -> None:
        now_s = time.perf_counter()
        if now_s >= self._next_s:
            self._next_s = now_s + TELL_EVERY_S
            self._pipe.send((share, units))


class Child(NamedTuple):
    process: SpawnProcess
    pipe: Connection


@contextmanager
def child(main: Callable[..., None], *arguments: Any) -> Iterator[Child]:
    """Run a function of a module in a new process; its last argument is its end of a pipe."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=main, args=(*arguments, theirs))
    process.start()
    theirs.close()
    try:
        yield Child(process, ours)
    finally:
        process.kill()
        process.join()
        ours.close()


def run_in_child(
    perform: Callable[..., Awaitable[T]], run: Run, folder: Path, watch: Callable[[float, int], None]
) -> T:
    """Do a run in a new process.

    Args:
        perform: A function of a module; called with the run, the folder and its progress.
        folder: An empty folder for the store.
        watch: Called with the finished share (0 to 1) and units, a few times a second.

    Raises:
        RunFailed: The process ended without a result.
    """
    with child(child_main, perform, run, folder) as (_, pipe), suppress(EOFError):
        while isinstance(said := pipe.recv(), tuple):
            watch(*said)
        found: T = said
        return found
    raise RunFailed(run)


def child_main(perform: Callable[..., Awaitable[T]], run: Run, folder: Path, pipe: Connection) -> None:
    pipe.send(run_alone(perform, run, folder, PipeProgress(pipe)))


def run_alone(function: Callable[[*Arguments], Awaitable[T]], *arguments: *Arguments) -> T:
    # As in the daemon, and as docs/performance.md advises programs that embed the engine. If the engine is in another
    # process, a pause of the load's collector would look like a pause of the engine.
    tune_garbage_collector()
    options = {"use_uvloop": importlib.util.find_spec("uvloop") is not None}  # as in the daemon
    try:
        return anyio.run(function, *arguments, backend_options=options)
    except BaseExceptionGroup as group:
        # An error usually fails all items in flight, so the first is enough.
        raise first_of(group) from None


def first_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
