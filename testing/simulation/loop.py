"""An event loop of one seed: virtual time, one step at a time, hosts that can be killed.

The rule: nothing about a run depends on the machine. The loop takes the next step itself, the oldest or the one
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
import math
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from itertools import count, islice
from typing import Any, Protocol, TypeAlias, TypeVar

from ..unfinished import LeftGenerators, to_close

T = TypeVar("T")

# The number of the life whose code runs; 0: code of the world's own.
HOST: ContextVar[int] = ContextVar("perdure_simulated_host", default=0)

# Generations of the collector. It is off while a loop runs, so that all that is made there is young.
YOUNG, MIDDLE_AGED, OLD = 0, 1, 2
# The number of loops between two collections of objects that have outlived their loop, as a world that its test has.
# Each makes the world that is about to run old, and old objects are found late, when no cache has them any more.
LOOPS_BETWEEN = 5
COLLECTIONS_BETWEEN = 10  # the number of these between two collections of old objects
# This many new old objects belong to the program's heap, which has grown, as in a suite of thousands of tests.
GROWN_OBJECTS = 100_000
TASKS_KEPT = 1_000  # finished tasks that are kept at least
TOLD_MAX = 5  # steps that are named in the report of a livelock


class Stuck(Exception):
    """No step is ready, no timer is set, and the awaited value has not come."""

    def __init__(
        self, what: str = "nothing is left that could happen, and the story waits for a result that will not come"
    ) -> None:
        super().__init__(what)


class Livelock(Stuck):
    """Steps are taken without end, and no time passes between them."""


class SimHandle:
    """A callback that is to be called, like asyncio's `Handle` and `TimerHandle`.

    Args:
        when: Virtual seconds; 0 for one that is due at once.
    """

    __slots__ = ("args", "callback", "context", "gone", "number", "when_s")

    def __init__(
        self, callback: Callable[..., object], args: Sequence[Any], context: Context | None, when: float = 0.0
    ) -> None:
        self.callback, self.args = callback, args
        self.context = context if context is not None else copy_context()
        self.gone = False
        self.when_s = when
        # The number of the task whose step it is; 0: it is a plain callback.
        owner = getattr(callback, "__self__", None)
        self.number: int = owner.number if type(owner) is SimTask else 0

    def cancel(self) -> None:
        """Do not call it."""
        self.gone = True

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self.gone

    def when(self) -> float:
        """The virtual time at which it is due; seconds."""
        return self.when_s

    @property
    def life(self) -> int:
        """The life to which the code belongs."""
        return self.context.get(HOST, 0)

    @property
    def where(self) -> str:
        """Where the code of a task stands, or the name of a callback."""
        task = getattr(self.callback, "__self__", None)
        if not isinstance(task, SimTask):
            return str(getattr(self.callback, "__qualname__", type(self.callback).__qualname__))
        code = task.get_coro()
        while (inner := getattr(code, "cr_await", None)) is not None and hasattr(inner, "cr_code"):
            code = inner
        frame = getattr(code, "cr_frame", None)
        return f"{getattr(code, '__qualname__', code)}, line {frame.f_lineno if frame is not None else 0}"


class StepOrder(Protocol):
    """Chooses among the steps that are ready."""

    def choose(self, ready: Sequence[SimHandle]) -> int:
        """Which of two or more steps is next; 0 is the oldest."""
        ...


# Called before each step: with the number of ready steps, its place among them, and the virtual time in seconds.
StepSeen: TypeAlias = Callable[[SimHandle, int, int, float], None]


class SimTask(asyncio.Task[T]):
    """A task whose hash is a number, so that sets of tasks have an order that repeats."""

    __slots__ = ("life", "number")

    number: int
    life: int  # to which the code belongs; 0: the world's own

    def __new__(cls, coro: Any, *, loop: "SimLoop", **named: Any) -> "SimTask[T]":
        # Before asyncio hashes it and plans its first step, both of which its own __init__ does.
        task = super().__new__(cls)
        task.number = next(loop.numbers)
        return task

    def __hash__(self) -> int:
        return self.number

    def __repr__(self) -> str:
        # anyio writes the task into the reason of each cancellation, and asyncio's own form is slow.
        coroutine = self.get_coro()
        return f"<SimTask {self.number}: {getattr(coroutine, '__qualname__', coroutine)}>"


class SimFuture(asyncio.Future[T]):
    """A future whose hash is a number. It has none until it is hashed, which is seldom."""

    __slots__ = ("number",)

    number: int

    def __hash__(self) -> int:
        try:
            return self.number
        except AttributeError:
            loop = self.get_loop()
            assert isinstance(loop, SimLoop)
            self.number = next(loop.numbers)
            return self.number


class SimLoop(asyncio.AbstractEventLoop):
    """The loop. Code that runs for each step is written for speed: a search takes millions of steps.

    Args:
        order: Chooses the order of steps; without one the oldest is next, as on asyncio's loop.
        step_s: How long a step takes, in virtual seconds.

    Attributes:
        dead: The lives that were killed.
        held: The steps of lives that are stopped for a while, as by SIGSTOP.
        errors: The errors that reached the loop's exception handler.
        outside: The context of code that belongs to no life.
        tasks: All tasks that have not ended, and some that have, in the order of their making.
        steps: How many steps were taken.
        fingerprint: A number made from all steps that were taken, and their times.
        on_step: Called before each step.
        after_step: Called once after the present step; an error of it ends the run.
        delay: Replaces a timer of a life by a late one, or returns it unchanged.
        generators: Closes the async generators that code leaves behind.
        long_steps: Steps that take longer than others: which, and for how many virtual seconds.
        busy_steps_max: The maximum number of steps between two jumps of time; None: no limit.
    """

    # Of the process, as its collector is. Asking the collector would count millions of objects.
    _heap_frozen = False

    def __init__(self, order: StepOrder | None = None, *, step_s: float = 0.0) -> None:
        self.order, self.step_s = order, step_s
        self.numbers = count(1)
        self.dead: set[int] = set()
        self.held: dict[int, list[SimHandle]] = {}
        self.errors: list[dict[str, Any]] = []
        self.steps = 0
        self.fingerprint = 0
        self.outside = copy_context()
        self.outside.run(HOST.set, 0)
        self.on_step: StepSeen | None = None
        self.after_step: Callable[[], None] | None = None
        self.delay: Callable[[SimHandle], SimHandle] | None = None
        self.long_steps: dict[int, float] = {}
        self.busy_steps_max: int | None = None
        self._busy_until = sys.maxsize  # the number of the step that may be the last before time jumps
        self._next_odd = 0  # the number of the next step that takes longer, or is one too many
        self._ready: deque[SimHandle] = deque()
        self._timers: list[tuple[float, int, SimHandle]] = []
        self._timer_numbers = count()
        self._now_s = 0.0
        self._running = self._closed = self._collecting = False
        self.tasks: list[SimTask[Any]] = []
        self._tasks_max = TASKS_KEPT
        self._graveyard: list[SimHandle] = []
        self.generators = LeftGenerators(self)

    # The methods that asyncio calls.

    def time(self) -> float:
        return self._now_s

    def call_soon(  # type: ignore[override]  # asyncio types the arguments of the callback too
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> SimHandle:
        handle = SimHandle(callback, args, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> SimHandle:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> SimHandle:
        """Call a function at a virtual time. A chosen delay may make it later."""
        handle = SimHandle(callback, args, context, when)
        if when < math.inf:
            if self.delay is not None and handle.life:
                handle = self.delay(handle)
            heapq.heappush(self._timers, (handle.when_s, next(self._timer_numbers), handle))
        return handle

    def create_future(self) -> SimFuture[Any]:
        return SimFuture(loop=self)

    def create_task(self, coro: Any, **named: Any) -> SimTask[Any]:
        """Make a task of this loop, which belongs to the life of the code that makes it."""
        task: SimTask[Any] = SimTask(coro, loop=self, **named)
        context: Context | None = named.get("context")
        task.life = HOST.get() if context is None else context.get(HOST, 0)
        # They are kept so that none is collected while it waits, and forgotten many at once: a callback at the end of
        # each would be a step more.
        self.tasks.append(task)
        if len(self.tasks) > self._tasks_max:
            self.tasks = [each for each in self.tasks if not each.done() or each._log_traceback]
            self._tasks_max = 2 * len(self.tasks) + TASKS_KEPT
        return task

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # threads of a world run one at a time
    get_debug = staticmethod(bool)  # asyncio asks for each future, and `bool()` is False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep an error that no code has caught, for the world."""
        self.errors.append(context)

    def get_task_factory(self) -> None:
        return None

    # The methods that a world calls.

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, and all that it has begun meanwhile; return its result.

        Raises:
            Stuck: Nothing is left that could happen.
            Livelock: Steps go on without end, and no time passes.
            BaseException: The error of the coroutine.
        """
        if asyncio._get_running_loop() is not None:
            story.close()
            raise RuntimeError("an event loop runs already; virtual time has one of its own, in a plain function")
        with self._entered():
            task = self.create_task(story, context=copy_context())
            self._run_until(task)
            result: T = task.result()
            return result

    def in_life(self, life: int) -> Context:
        """A context whose code belongs to a life."""
        context = self.outside.copy()
        context.run(HOST.set, life)
        return context

    def pass_time(self, seconds: float) -> None:
        """Let time pass within the present step, as code does that blocks the loop."""
        self._now_s += seconds

    def hold(self, life: int) -> None:
        """Take no step of a life until `go_on`."""
        self.held.setdefault(life, [])

    def go_on(self, life: int) -> None:
        """Take the steps of a life again; held ones are due now."""
        self._ready.extend(self.held.pop(life, ()))

    def close(self) -> None:
        """End all tasks that are left, in the order of their making, and collect what they held.

        Their last actions have no effect: no loop runs, and their steps are discarded.
        """
        if self._running:
            raise RuntimeError("Cannot close a running event loop")
        self._closed = True
        hook, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
        try:
            for task in self.tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                if task.done():
                    continue
                for coroutine in to_close(task.get_coro()):
                    with suppress(BaseException):
                        coroutine.close()
            self._forget_in_anyio()
            self.tasks.clear()
            self._ready.clear()
            self._timers.clear()
            self._graveyard.clear()
            self.held.clear()
            gc.collect(YOUNG)
        finally:
            if self._collecting:
                gc.enable()
            sys.unraisablehook = hook

    def _forget_in_anyio(self) -> None:
        # The table is weak in its keys, but its values hold them.
        from anyio._backends import _asyncio  # noqa: PLC0415

        for task in [task for task in list(_asyncio._task_states) if isinstance(task, SimTask)]:
            if task.get_loop() is self:
                del _asyncio._task_states[task]

    @contextmanager
    def _entered(self) -> Iterator[None]:
        asyncio._set_running_loop(self)
        self._running = True
        try:
            # Until `close`: finalizers would run at moments of the collector's choice.
            self._collecting = self._collecting or gc.isenabled()
            gc.disable()
            self._collect_what_is_over()
            with self.generators.watched():
                yield
        finally:
            self._running = False
            asyncio._set_running_loop(None)

    @classmethod
    def _collect_what_is_over(cls) -> None:
        """Collect the objects of earlier loops, without the heap of the program, which would take much longer."""
        if not cls._heap_frozen:
            cls._freeze_heap()
        elif gc.get_count()[OLD] >= COLLECTIONS_BETWEEN:
            gc.collect(OLD)
            if len(gc.get_objects(OLD)) > GROWN_OBJECTS:
                cls._freeze_heap()
        elif gc.get_count()[MIDDLE_AGED] >= LOOPS_BETWEEN:
            gc.collect(MIDDLE_AGED)

    @classmethod
    def _freeze_heap(cls) -> None:
        """Leave to the collector only objects made from now on. Earlier frozen ones that are garbage are freed."""
        cls._heap_frozen = True
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    def _run_until(self, task: SimTask[Any]) -> None:
        """Take one step after the other, until a task is done."""
        # One function for all the work of a step, because there are many thousand steps.
        ready, timers, dead, held, order = self._ready, self._timers, self.dead, self.held, self.order
        on_step, step_s = self.on_step, self.step_s
        pop_timer, done = heapq.heappop, task.done
        self._at_rest()
        while not done():
            if not ready and not self._jump():
                continue
            while timers and timers[0][0] <= self._now_s:
                ready.append(pop_timer(timers)[2])
            choices = len(ready)
            at = 0
            if order is None or choices == 1:
                handle = ready.popleft()
            else:
                at = self._choose(order)
                handle = ready[at]
                del ready[at]
            if handle.gone:
                continue
            if (dead or held) and ((life := handle.context.get(HOST, 0)) in dead or life in held):
                self._set_aside(handle, life)
                continue
            now_s = self._now_s
            if on_step is not None:
                on_step(handle, choices, at, now_s)
            self.steps = step = self.steps + 1
            self.fingerprint = hash((self.fingerprint, handle.number, choices, at, now_s))
            self._now_s = now_s + step_s
            if step >= self._next_odd:
                self._odd_step(handle)
            try:
                handle.context.run(handle.callback, *handle.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self.call_exception_handler({"message": f"an error in {handle.where}", "exception": error})
            if self.after_step is not None:
                look, self.after_step = self.after_step, None
                look()

    def _jump(self) -> bool:
        """Let time jump to the next timer, as no step can run; False: there is none, and code outside has called."""
        timers = self._timers
        while timers and timers[0][2].gone:
            heapq.heappop(timers)
        if timers:
            if timers[0][0] > self._now_s:
                self._now_s = timers[0][0]
                self._at_rest()
            return True
        if not self.wait_for_outsiders():
            raise Stuck
        return False

    def _at_rest(self) -> None:
        """Count steps anew, as there was none to take."""
        self._busy_until = self.steps + self.busy_steps_max if self.busy_steps_max is not None else sys.maxsize
        self._next_odd = min(self._busy_until + 1, *self.long_steps, sys.maxsize)

    def _odd_step(self, handle: SimHandle) -> None:
        """Let a step take longer, if it is to; raise if it is one too many."""
        if self.steps > self._busy_until:
            raise self._livelock(handle)
        self._now_s += self.long_steps.pop(self.steps, 0.0)
        self._next_odd = min(self._busy_until + 1, *self.long_steps, sys.maxsize)

    def _livelock(self, now: SimHandle) -> Livelock:
        """Name the steps that go on without end: the due one, and the ready ones behind it."""
        going = dict.fromkeys(_whose(each) for each in (now, *self._ready) if not each.gone)
        shown = "; ".join(islice(going, TOLD_MAX))
        more = f"; and {len(going) - TOLD_MAX} more" if len(going) > TOLD_MAX else ""
        return Livelock(
            f"{self.busy_steps_max} steps were taken, and there was always another one, so that time does not get on. "
            f"Ready are: {shown}{more}"
        )

    def wait_for_outsiders(self) -> bool:
        """Wait until a thread has called, as nothing is left that could happen; False if none will."""
        return False

    def _choose(self, order: StepOrder) -> int:
        ready = self._ready
        at = order.choose(ready)
        if at and not ready[at].number:
            # Plain callbacks keep their order: futures and protocols depend on it. Tasks have no such promise.
            at = next(number for number, other in enumerate(ready) if not other.number)
        return at

    def _set_aside(self, handle: SimHandle, life: int) -> None:
        """Keep a step of a stopped life until it goes on, and of a dead one until the end, when all is collected."""
        (self._graveyard if life in self.dead else self.held[life]).append(handle)


def _whose(handle: SimHandle) -> str:
    """The coroutine of a step, and the place in it or below it where the code stands."""
    task = getattr(handle.callback, "__self__", None)
    if not isinstance(task, SimTask):
        return handle.where
    return f"{getattr(task.get_coro(), '__qualname__', 'a task')} (at {handle.where})"


class _Never:
    """Awaited by code that was killed in the middle of a step: it goes no further."""

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.get_running_loop().create_future().__await__()


def never() -> _Never:
    """Go no further. For code of a life that has just been killed."""
    return _Never()
