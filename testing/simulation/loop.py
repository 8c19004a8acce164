"""An event loop of one seed: virtual time, one step at a time, hosts that can be killed.

The one law: nothing about a run depends on the machine. The loop takes the next step itself, the oldest or the one
that its `StepOrder` chooses, and lets time jump to the next timer when no step is ready.

All code of a host runs in a context in which HOST is the number of its *life*: tasks, callbacks and timers inherit it.
A life is killed by taking none of its steps any more. Nothing of it is cancelled, and no `finally` of it runs, as after
`kill -9`.

An engine runs on it as it does on asyncio's own loop. `testing/simulation/world.py` starts and kills hosts on it.
"""

import asyncio
import asyncio.events
import gc
import heapq
import inspect
import math
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from itertools import count
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

# The number of the life whose code runs; 0: code of the world's own.
HOST: ContextVar[int] = ContextVar("perdure_simulated_host", default=0)


class Stuck(Exception):
    """No step is ready, no timer is set, and what is waited for has not come."""

    def __init__(
        self, what: str = "nothing is left that could happen, and the story waits: it awaits what nobody will give"
    ) -> None:
        super().__init__(what)


class StepOrder(Protocol):
    """Chooses among the steps that are ready, and learns of each that is taken."""

    def choose(self, ready: int) -> int:
        """Which of so many steps is next; 0 is the oldest."""
        ...

    def cost_s(self) -> float:
        """How long the next step takes, in virtual seconds."""
        ...

    def taken(self, number: int, ready: int, at: int, now_s: float) -> None:
        """Learn that a step of a task was taken.

        Args:
            number: The task's; 0: a plain callback.
            ready: How many steps were ready.
            at: Which of them it was.
            now_s: Virtual seconds.
        """
        ...


class Oldest:
    """Takes the oldest step, as asyncio does, in no time."""

    def choose(self, ready: int) -> int:
        return 0

    def cost_s(self) -> float:
        return 0.0

    def taken(self, number: int, ready: int, at: int, now_s: float) -> None:
        pass


class SimTask(asyncio.Task[T]):
    """A task whose hash is a number, so that sets of tasks have an order that repeats."""

    number: int

    def __new__(cls, coro: Any, *, loop: "SimLoop", **named: Any) -> "SimTask[T]":
        # Before asyncio hashes it, which its own __init__ does.
        task = super().__new__(cls)
        task.number = next(loop.numbers)
        return task

    def __hash__(self) -> int:
        return self.number


class SimFuture(asyncio.Future[T]):
    """A future whose hash is a number."""

    number: int

    def __new__(cls, *, loop: "SimLoop") -> "SimFuture[T]":
        future = super().__new__(cls)
        future.number = next(loop.numbers)
        return future

    def __hash__(self) -> int:
        return self.number


class SimLoop(asyncio.AbstractEventLoop):
    """The loop.

    Args:
        steps: Chooses the order of steps.

    Attributes:
        dead: The lives that were killed.
        held: The steps of lives that are stopped for a while, as by SIGSTOP.
        errors: What reached the loop's exception handler.
        outside: The context of code that belongs to no life.
        after_step: Called once behind the present step; an error of it ends the run.
    """

    def __init__(self, steps: StepOrder | None = None) -> None:
        self._steps = steps or Oldest()
        self.numbers = count(1)
        self.dead: set[int] = set()
        self.held: dict[int, list[asyncio.Handle]] = {}
        self.errors: list[dict[str, Any]] = []
        self.steps = 0
        self.outside = copy_context()
        self.outside.run(HOST.set, 0)
        self.after_step: Callable[[], None] | None = None
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = count()
        self._now_s = 0.0
        self._running = False
        self._closed = False
        self._tasks: dict[int, SimTask[Any]] = {}
        self._graveyard: list[asyncio.Handle] = []

    # What asyncio asks of a loop.

    def time(self) -> float:
        return self._now_s

    def call_soon(  # type: ignore[override]  # asyncio types the arguments of the callback too
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if when < math.inf:
            heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def create_future(self) -> SimFuture[Any]:
        return SimFuture(loop=self)

    def create_task(self, coro: Any, **named: Any) -> SimTask[Any]:
        task: SimTask[Any] = SimTask(coro, loop=self, **named)
        self._tasks[task.number] = task
        task.add_done_callback(self._forget)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def get_task_factory(self) -> None:
        return None

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass  # it is dropped when its time comes

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        assert isinstance(task, SimTask)
        self._tasks.pop(task.number, None)

    # What a world does with it.

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, and whatever it has begun meanwhile; return its result.

        Raises:
            Stuck: Nothing is left that could happen.
            BaseException: What the coroutine has raised.
        """
        with self._entered():
            task = self.create_task(story, context=copy_context())
            while not task.done():
                self._run_once()
            result: T = task.result()
            return result

    def in_life(self, life: int) -> Context:
        """A context whose code belongs to a life."""
        context = self.outside.copy()
        context.run(HOST.set, life)
        return context

    def hold(self, life: int) -> None:
        """Take no step of a life until `go_on`."""
        self.held.setdefault(life, [])

    def go_on(self, life: int) -> None:
        """Take the steps of a life again; those that were held are due now."""
        self._ready.extend(self.held.pop(life, ()))

    def close(self) -> None:
        """End all tasks that are left, in the order of their making, and collect what they held.

        Nothing that they do on the way counts: no loop runs, and their steps are thrown away.
        """
        self._closed = True
        hook, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
        try:
            for _, task in sorted(self._tasks.items()):
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                for coroutine in _to_close(task.get_coro()):
                    with suppress(BaseException):
                        coroutine.close()
            self._forget_in_anyio()
            self._tasks.clear()
            self._ready.clear()
            self._timers.clear()
            self._graveyard.clear()
            self.held.clear()
            gc.collect()
        finally:
            gc.unfreeze()
            sys.unraisablehook = hook

    def _forget_in_anyio(self) -> None:
        # The table is weak in its keys, but its values hold them.
        from anyio._backends import _asyncio  # noqa: PLC0415

        for task in [task for task in list(_asyncio._task_states) if isinstance(task, SimTask)]:
            if task.get_loop() is self:
                del _asyncio._task_states[task]

    @contextmanager
    def _entered(self) -> Iterator[None]:
        assert threading.current_thread() is threading.main_thread() or asyncio._get_running_loop() is None
        asyncio._set_running_loop(self)
        self._running = True
        collecting = gc.isenabled()
        gc.disable()  # finalizers would run at moments of the collector's choice
        gc.freeze()  # what was there before is not looked at by `close`
        try:
            yield
        finally:
            if collecting:
                gc.enable()
            self._running = False
            asyncio._set_running_loop(None)

    def _run_once(self) -> None:
        """Take one step."""
        ready, timers = self._ready, self._timers
        if not ready:
            while timers and timers[0][2].cancelled():
                heapq.heappop(timers)
            if not timers:
                raise Stuck
            self._now_s = max(self._now_s, timers[0][0])  # time jumps when nobody can run
        while timers and timers[0][0] <= self._now_s:
            ready.append(heapq.heappop(timers)[2])
        at = self._steps.choose(len(ready)) if len(ready) > 1 else 0
        if at and _task_of(ready[at]) is None:
            # Plain callbacks keep their order: futures and protocols lean on it. Nothing promises that of tasks.
            at = next(i for i, other in enumerate(ready) if _task_of(other) is None)
        handle = ready[at]
        del ready[at]
        if handle.cancelled():
            return
        life = _life_of(handle)
        if life in self.dead:
            self._graveyard.append(handle)  # and nothing of it is collected before the world's end
            return
        if life in self.held:
            self.held[life].append(handle)
            return
        task = _task_of(handle)
        self.steps += 1
        self._steps.taken(task.number if task is not None else 0, len(ready) + 1, at, self._now_s)
        self._now_s += self._steps.cost_s()
        handle._run()
        if self.after_step is not None:
            look, self.after_step = self.after_step, None
            look()


def _to_close(coroutine: Any) -> "list[Coroutine[Any, Any, Any]]":
    """A task's coroutine, and what is inside of one that has not begun: anyio has one of its own around each."""
    if not inspect.iscoroutine(coroutine):
        return []
    inside: list[Any] = []
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        inside = [getattr(value, "_coro", value) for value in inspect.getcoroutinelocals(coroutine).values()]
    return [coroutine, *filter(inspect.iscoroutine, inside)]


def _life_of(handle: asyncio.Handle) -> int:
    context: Context | None = getattr(handle, "_context", None)
    return context.get(HOST, 0) if context is not None else 0


def _task_of(handle: asyncio.Handle) -> SimTask[Any] | None:
    """The task that a step belongs to; None: it is a plain callback."""
    owner = getattr(getattr(handle, "_callback", None), "__self__", None)
    return owner if isinstance(owner, SimTask) else None


class _Never:
    """Awaited by code that was killed in the middle of a step: it goes no further."""

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.get_running_loop().create_future().__await__()


def never() -> _Never:
    """Go no further. For code of a life that has just been killed."""
    return _Never()
