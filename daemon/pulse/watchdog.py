"""The pulse: a thread that watches the event loop and the store, and logs and answers while they cannot.

The rule: it only reads frames and single attributes, so that a turn, a step and a commit do no extra work. It acts on
the event loop in one way: it raises an exception in user code that blocks the loop.

`daemon/daemon.py` runs one. An embedded engine has none.
"""

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

from ...journal.journal import Journal
from ...journal.vocabulary import COMMIT_HANGS, COMMIT_WAITS, LOOP_BLOCKED, LOOP_FREE, PROCESS_ENDED, STEP_INTERRUPTED
from ...runtime.activities.steps import CodeStep, StepKind, line_of, step_in
from ..config import END_AFTER_S
from ..process.standard_error import write_out_log
from .cpu_timer import END, INTERRUPTION, CpuTimer
from .last_resort import LastResort
from .stand_in import StandIn
from .thread_cpu import ThreadCpu

logger = logging.getLogger(__name__)

TICK_S = 0.5
WARN_S = 1.0  # a longer block of the event loop, or a longer commit, is logged as a warning
BEAT_S = 1.0
LOOK_S = 1.0  # between two checks of the store's files
AGAIN_S = 1.0  # between two interruptions, if the code ignored the first
LEAST_S = 0.01  # the shortest time of a timer; 0 would switch it off
# If a tick is later than this, the pulse itself did not run, and ignores the time in between.
LATE_S = 2 * TICK_S


class Watched(Protocol):
    """The attributes and methods of the engine that another thread may use."""

    @property
    def commit_under_way(self) -> int | None:
        """The number of the commit under way; None: no commit is."""
        ...

    @property
    def store_intact(self) -> bool:
        """Whether the store's files are still at their paths."""
        ...

    def set_hanging(self, hanging: bool) -> None:
        """Set whether a commit hangs: while it does, the engine is not ready and refuses new work."""
        ...

    def tell_blocked(self) -> None:
        """Notify the engine that the log says which code blocks the event loop."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseLimits:
    """Time limits in seconds; 0: no limit."""

    workflow_step_s: float = 10.0
    activity_step_s: float = 60.0
    commit_s: float = 5.0

    def of(self, step: CodeStep) -> float:
        """Return how long a step of user code may last, in seconds."""
        return self.workflow_step_s if step.kind is StepKind.WORKFLOW else self.activity_step_s


class Pulse:
    """Watches one event loop, in a thread of its own.

    Args:
        beat: In a host of several: called once a second with the time since the event loop last answered, in seconds.
        stopping: Whether the daemon is stopping, so that its port must become free.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        watched: Watched,
        stand_in: StandIn,
        limits: PulseLimits,
        *,
        beat: Callable[[float], None] | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._loop = loop
        self._watched = watched
        self._stand_in = stand_in
        self._limits = limits
        self._beat = beat
        self._told_to_stop = stopping
        self._journal = Journal(__name__)
        self._left = False  # the port
        self._main = threading.get_ident()
        self._cpu = ThreadCpu(threading.get_native_id())
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._ticked_s = time.monotonic()
        self._beaten_s = 0.0
        self._looked_s = 0.0
        self._timers: _Timers | None = None  # None: the signals of this process belong to the program around the daemon
        # The event loop.
        self._answered = True
        self._blocked_s = 0.0
        self._warned = False
        self._step: CodeStep | None = None
        self._step_s = 0.0
        self._told_s = 0.0  # the age of the step at its last interruption
        self._target: CodeStep | None = None
        # The commit.
        self._commit: int | None = None
        self._commit_s = 0.0
        self._hanging = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch until the block ends. To be called in the thread of the event loop."""
        with self._signals():
            self._thread.start()
            try:
                yield
            finally:
                self._stopping.set()
                self._thread.join()
                self._stand_in.close()

    @property
    def signals(self) -> tuple[int, ...]:
        """The signals that the pulse uses while it runs."""
        return self._timers.signals if self._timers is not None else ()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Take the two signals, if this is the main thread and the program does not use them itself."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        timers = _Timers()
        if any(signal.getsignal(number) is not signal.SIG_DFL for number in timers.signals):
            timers.close()
            yield
            return
        interruption, end = timers.signals
        signal.signal(interruption, self._interrupt)
        with contextlib.suppress(OSError, ValueError, AttributeError):  # standard error is no file
            faulthandler.register(end, all_threads=True, chain=True)
        self._timers = timers
        try:
            yield
        finally:
            self._timers = None
            timers.close()
            faulthandler.unregister(end)
            signal.signal(interruption, signal.SIG_DFL)

    # In the pulse's own thread.

    def _run(self) -> None:
        nesting = sys.getrecursionlimit()
        while not self._stopping.is_set():
            # Code of the app may have set a limit at which neither this thread nor the event loop can call a function.
            sys.setrecursionlimit(max(nesting, sys.getrecursionlimit()))
            try:
                self._tick()
            except Exception:
                # The pulse goes on after an error, because nothing else watches.
                with contextlib.suppress(Exception):
                    logger.exception("the pulse stumbled")
            if not self._left and self._told_to_stop():
                self._left = True
                self._stand_in.leave()
            if self._blocked_s >= WARN_S or self._stand_in.busy:
                began_s = time.monotonic()
                self._stand_in.work(TICK_S, why="the event loop is blocked", blocked=lambda: not self._answered)
                self._stopping.wait(max(0.0, TICK_S - (time.monotonic() - began_s)))
            else:
                self._stopping.wait(TICK_S)
        if self._hanging:
            self._watched.set_hanging(False)

    def _tick(self) -> None:
        now_s = time.monotonic()
        elapsed_s, self._ticked_s = now_s - self._ticked_s, now_s
        # The main thread is runnable and gets no CPU: the machine is the cause, not the code.
        starved = self._cpu.starved(elapsed_s)
        counts = elapsed_s <= LATE_S and not starved
        self._wind_up()
        self._look_at_loop(elapsed_s if counts else 0.0)
        self._look_at_commit(elapsed_s if counts and self._blocked_s == 0 else 0.0)
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            # The store itself logs that its files are missing, and health asks it too.
            _ = self._watched.store_intact
        if self._beat is not None and now_s - self._beaten_s >= BEAT_S:
            self._beaten_s = now_s
            self._beat(self._blocked_s)

    def _wind_up(self) -> None:
        """Restart the timers. They expire only if this thread does not run while the process uses CPU time."""
        limits_s = [each for each in (self._limits.workflow_step_s, self._limits.activity_step_s) if each]
        if limits_s and self._timers is not None:
            self._timers.wind_up(min(limits_s), max(limits_s))

    def _look_at_loop(self, elapsed_s: float) -> None:
        if self._answered:
            if self._warned:
                self._journal.write(LOOP_FREE, blocked_s=self._blocked_s, duration_ms=round(self._blocked_s * 1e3))
            self._blocked_s, self._warned, self._step, self._target = 0.0, False, None, None
            self._answered = False
            with contextlib.suppress(RuntimeError):  # the event loop has ended
                self._loop.call_soon_threadsafe(self._answer)
            return
        self._blocked_s += elapsed_s
        stack = sys._current_frames().get(self._main)
        step = step_in(stack)
        if step is None or not step.same(self._step):
            self._step, self._step_s, self._told_s = step, 0.0, 0.0
        else:
            self._step_s += elapsed_s
        if self._blocked_s >= WARN_S and not self._warned:
            self._warned = True
            self._watched.tell_blocked()
            self._journal.write(
                LOOP_BLOCKED,
                step=step or "code that is no step of a workflow or an activity",
                blocked_s=self._blocked_s,
                duration_ms=round(self._blocked_s * 1e3),
                place=line_of(stack),
                **fields_of(step),
            )
        if step is not None and self._step_s > 0:
            self._end_step(step, stack)

    def _end_step(self, step: CodeStep, stack: FrameType | None) -> None:
        """Interrupt a step that lasts too long; end the process if the step goes on."""
        limit_s = self._limits.of(step)
        timers = self._timers
        if not limit_s or self._step_s < limit_s or timers is None:
            return
        if self._step_s >= limit_s + END_AFTER_S:
            self._journal.write(
                PROCESS_ENDED, step=step, blocked_s=self._step_s, place=line_of(stack), **fields_of(step)
            )
            with contextlib.suppress(OSError, ValueError, AttributeError):
                faulthandler.dump_traceback()
            write_out_log()
            os._exit(1)
        if self._step_s - self._told_s >= AGAIN_S or not self._told_s:
            if not self._told_s:
                self._tell_interrupted(step, limit_s, stack)
            self._told_s = self._step_s
            self._target = step
            signal.pthread_kill(self._main, timers.interruption.number)

    def _tell_interrupted(self, step: CodeStep, limit_s: float, stack: FrameType | None) -> None:
        self._journal.write(
            STEP_INTERRUPTED,
            step=step,
            limit_s=limit_s,
            place=line_of(stack),
            limit=LIMITS[step.kind],
            **fields_of(step),
        )

    def _look_at_commit(self, elapsed_s: float) -> None:
        commit = self._watched.commit_under_way
        if commit is None or commit != self._commit:
            self._commit, self._commit_s = commit, 0.0
            if self._hanging:
                self._hanging = False
                self._watched.set_hanging(False)
            return
        before_s = self._commit_s
        self._commit_s += elapsed_s
        if before_s < WARN_S <= self._commit_s:
            self._journal.write(COMMIT_WAITS, took_s=self._commit_s, duration_ms=round(self._commit_s * 1e3))
        limit_s = self._limits.commit_s
        if limit_s and self._commit_s >= limit_s and not self._hanging:
            self._hanging = True
            self._watched.set_hanging(True)
            self._journal.write(
                COMMIT_HANGS, took_s=self._commit_s, duration_ms=round(self._commit_s * 1e3), limit="commit_max"
            )

    # In the thread of the event loop.

    def _answer(self) -> None:
        self._answered = True

    def _interrupt(self, number: int, stack: FrameType | None) -> None:
        """Raise an exception in the step that is to be interrupted.

        Raises:
            CodeInterrupted: The step is running.
        """
        target, self._target = self._target, None
        if target is not None:
            target.interrupt(stack, self._limits.of(target))
            return
        # A timer has expired because the pulse could not run: one call of the code holds Python's lock.
        step = step_in(stack)
        limit_s = self._limits.of(step) if step is not None else 0
        if step is not None and limit_s and self._timers is not None:
            lasted_s = time.monotonic() - self._ticked_s
            if lasted_s >= limit_s:
                self._tell_interrupted(step, limit_s, stack)
                # Interrupt again if the code ignores this exception.
                self._timers.interruption.set(AGAIN_S)
                step.interrupt(stack, limit_s)
            else:
                self._timers.interruption.set(max(limit_s - lasted_s, LEAST_S))


class _Timers:
    """The timers of the pulse. They expire if code holds Python's lock, so that the pulse cannot run.

    The signal of the first timer runs the handler that interrupts code; the pulse itself sends this signal too. The
    signal of the second timer ends a process in which no handler can run. The last resort ends one that uses no CPU.
    """

    def __init__(self) -> None:
        self.interruption = CpuTimer(INTERRUPTION)
        self.end = CpuTimer(END)
        self.last_resort = LastResort()
        self.signals = (self.interruption.number, self.end.number)

    def wind_up(self, interruption_s: float, end_s: float) -> None:
        """Restart the timers.

        Args:
            interruption_s: The CPU time until the interruption.
            end_s: The CPU time until 10 s before the end of the process.
        """
        self.interruption.set(interruption_s)
        self.end.set(end_s + END_AFTER_S)
        self.last_resort.wind_up(end_s, END_AFTER_S)

    def close(self) -> None:
        for timer in (self.interruption, self.end, self.last_resort):
            timer.close()


# The name of the limit for each kind of step.
LIMITS = {StepKind.WORKFLOW: "workflow_step_max", StepKind.ACTIVITY: "activity_step_max"}


def fields_of(step: CodeStep | None) -> dict[str, Any]:
    """Return the fields of a log line about a step."""
    if step is None:
        return {}
    return {"instance_id": step.instance_id, step.kind.value: step.name}
