"""The process of a run: its settings before anything runs, and the messages that say how far it is.

The process writes messages as lines of JSON to its standard output, for the process that started it.
"""

import importlib.util
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import anyio
import msgspec

from ..daemon.process.garbage_collector import tune_garbage_collector

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

TELL_EVERY_S = 0.1


class ProgressMessage(msgspec.Struct, tag=True):
    """How far a run is; written to the process that started it."""

    share: float  # 0 to 1
    units: int


class Teller:
    """Writes a message of progress every `TELL_EVERY_S` seconds at most: a display shows no more."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def part(self, share: float, units: int) -> None:
        now_s = time.perf_counter()
        if now_s >= self._next_s:
            self._next_s = now_s + TELL_EVERY_S
            write(ProgressMessage(share, units))


def write(message: msgspec.Struct) -> None:
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
    sys.stdout.flush()


def run_alone(function: Callable[[*Arguments], Awaitable[T]], *arguments: *Arguments) -> T:
    """Run this and nothing else in this process."""
    # As the daemon does, and as programs that embed the engine are told to (docs/performance.md). Where the engine is
    # in another process, a pause of the load's collector would pass for one of the engine's.
    tune_garbage_collector()
    # As the daemon runs.
    options = {"use_uvloop": importlib.util.find_spec("uvloop") is not None}
    try:
        return anyio.run(function, *arguments, backend_options=options)
    except BaseExceptionGroup as group:
        # What breaks one item breaks all that are in flight, and the first tells as much as fifty.
        raise first_of(group) from None


def first_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
