"""A run in a process of its own, which inherits nothing of what another left: a grown heap, a warm cache, a long file.

The rule: the process is a fresh Python (spawn), told what to do by a pickle, and tells through a pipe how far it is and
in the end what it came to. Its standard error is ours.
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
    """A run did not come to its end; its process has said why on standard error."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"{run.workload} ({run.driver}) did not come to its end; why stands above")


class PipeProgress:
    """Sends how far a run is, every `TELL_EVERY_S` seconds at most: a display shows no more."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._next_s = 0.0

    def part(self, share: float, units: int) -> None:
        now_s = time.perf_counter()
        if now_s >= self._next_s:
            self._next_s = now_s + TELL_EVERY_S
            self._pipe.send((share, units))


class Child(NamedTuple):
    """Another process, and our end of the pipe to it."""

    process: SpawnProcess
    pipe: Connection


@contextmanager
def child(main: Callable[..., None], *arguments: Any) -> Iterator[Child]:
    """Run a function of a module in another process; its last argument is its end of a pipe."""
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
    """Carry out a run in another process.

    Args:
        perform: A function of a module; called there with the run, the folder and its progress.
        folder: An empty one for the store.
        watch: Told how far it is (0 to 1) and how many units are done, some times a second.
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
    """Run this and nothing else in this process."""
    # As the daemon does, and as programs that embed the engine are told to (docs/performance.md). Where the engine is
    # in another process, a pause of the load's collector would pass for one of the engine's.
    tune_garbage_collector()
    options = {"use_uvloop": importlib.util.find_spec("uvloop") is not None}  # as the daemon runs
    try:
        return anyio.run(function, *arguments, backend_options=options)
    except BaseExceptionGroup as group:
        # What breaks one item breaks all that are in flight, and the first tells as much as fifty.
        raise first_of(group) from None


def first_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
