"""The workshop of a simulated machine: threads of which one runs at a time, and processes that are such threads.

The rule: the threads and processes of a killed host stop in the middle of their work.

A process of an activity is a thread here: its function is found by its name, and its input and output cross as the
bytes that they are between processes. Unlike a real process it can see a global variable that another one has changed.
"""

import asyncio
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskGroup

from ....actors.waiting.own_task import name_library
from ....runtime.activities.process_call import Outcome, Reference, perform_elsewhere
from ....runtime.activities.process_pool import Call, broken
from ....runtime.activities.worker_protocol import LENGTH, packed, unpacked
from ....runtime.authoring.fence import Performed
from ....runtime.history.failure import FailureDetails
from ..choices import Choices
from ..patches import worker_thread
from .threads import SimThread, current

T = TypeVar("T")


def _nothing() -> None:
    pass


# Until a thread has begun: the usual time, or as long as a busy machine takes.
BEGINS_S = (0.000_050, 0.0, 0.000_500, 0.02)


class SimWorkshop:
    """Threads and processes of all hosts of a world.

    Args:
        choices: Decide how long threads take to begin (stream `thread.begins`), and which processes die
            (`process.dies`).

    Attributes:
        calls: The number of calls, in threads and processes.
        processes_die: Whether processes die by themselves: their activities fail then.
    """

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._threads: dict[SimThread, None] = {}
        self.calls = 0
        self.processes_die = False

    async def in_thread(self, function: Callable[[], T], limiter: anyio.CapacityLimiter) -> T:
        place = object()  # as anyio does: a call that was abandoned keeps its place to its end
        await limiter.acquire_on_behalf_of(place)
        _, answer = self.begin(function, partial(limiter.release_on_behalf_of, place))
        result: T = await answer
        return result

    def in_loop(self, function: Callable[..., object], *given: Any) -> None:
        thread = current()
        if thread is None:
            raise RuntimeError("this is no thread of a world")
        thread.do(function, *given)

    def processes(self, tasks: TaskGroup) -> "SimProcesses":
        return SimProcesses(self.begin, dies=self._dies)

    def _dies(self) -> bool:
        return self.processes_die and bool(self._choices.fault("process.dies"))

    @contextmanager
    def buried(self) -> Iterator[None]:
        """End the threads that are left, also those of dead hosts, in the order of their making.

        Until the block ends Python does not warn of the things that they leave: an event loop of a thread's own cannot
        be closed in order where its host is gone.
        """
        threads, self._threads = self._threads, {}
        with _without_warnings() if threads else nullcontext():
            for thread in threads:
                thread.bury()
            yield

    def begin(
        self, function: Callable[[], Any], ended: Callable[[], None] = _nothing
    ) -> "tuple[SimThread, asyncio.Future[Any]]":
        """Begin to call a function in a thread.

        Args:
            ended: Called when it has ended, also if nothing waits for its answer.
        """
        loop: Any = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()

        def perform() -> Any:
            name_library(None)  # the thread's context is a copy of that of the code which has begun it
            with worker_thread(loop):
                return function()

        def end(result: Any, error: BaseException | None) -> None:
            self._threads.pop(thread, None)
            ended()
            if not answer.done():
                _settle(answer, result, error)

        thread = SimThread(loop, perform, end)
        self._threads[thread] = None
        self.calls += 1
        loop.call_later(BEGINS_S[self._choices.fault("thread.begins", len(BEGINS_S))], thread.step)
        return thread, answer


class SimProcesses:
    """Processes of one host's activities. A call that is cancelled goes no further, as its process is killed.

    Args:
        begin: Calls a function in a thread.
        dies: Decides whether a process that is about to answer dies.
    """

    def __init__(
        self,
        begin: "Callable[[Callable[[], Any], Callable[[], None]], tuple[SimThread, asyncio.Future[Any]]]",
        *,
        dies: Callable[[], bool],
    ) -> None:
        self._begin = begin
        self._dies = dies

    async def perform(self, reference: Reference, call: Call, payload: str | None) -> Performed:
        """Perform an activity; its arguments and its result are packed as for a real process."""
        sent = packed((tuple(reference), call, payload))[LENGTH.size :]
        thread, answer = self._begin(partial(_perform, sent), _nothing)
        try:
            answered = await answer
        except asyncio.CancelledError:
            thread.drop()
            raise
        if self._dies():
            return Performed(None, broken(call, "was ended by SIGKILL before it answered"))
        outcome = Outcome(*unpacked(answered))
        return Performed(outcome.result, FailureDetails.unpack(outcome.failure) if outcome.failure else None)


@contextmanager
def _without_warnings() -> Iterator[None]:
    hook, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.unraisablehook = hook


def _perform(sent: bytes) -> bytes:
    reference, call, payload = unpacked(sent)
    return packed(tuple(perform_elsewhere(Reference(*reference), tuple(call), payload, find=find_here)))[LENGTH.size :]


def find_here(reference: Reference) -> Callable[..., Any]:
    """Find a function in this process, which has imported its module."""
    found: Any = sys.modules[reference.module]
    for part in reference.qualname.split("."):
        found = getattr(found, part)
    function: Callable[..., Any] = found
    return function


def _settle(answer: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if error is None:
        answer.set_result(result)
    elif isinstance(error, StopIteration):  # a future does not take it
        answer.set_exception(RuntimeError("a plain function raised StopIteration"))
    else:
        answer.set_exception(error)
