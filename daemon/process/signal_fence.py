"""A fence around signal handlers of the app: an exception of a handler reaches only the step that has set the handler.

The rule: a handler is called whenever its signal comes, because profilers need that. Its exception reaches only the
step of user code in which the handler was set (a timeout around a call, for example). Anywhere else the exception would
break the work of the daemon, and becomes a line in the log. The signals that the daemon needs keep the daemon's
handlers, and a signal of a timer never gets the kernel's default, which ends the process.

Python code sets handlers with `signal.signal`, so the daemon replaces that function while it serves. A library may have
taken a reference to it before: `daemon/process/signal_guard.py` finds such a handler, and fences it within 0.5 s.
`daemon/serve.py` puts the fence up.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ...actors.text import text_of, type_name
from ...actors.waiting.ownership import CodeOwner, owner
from ...runtime.activities.steps import CodeStep, outwards, step_in
from .early_signals import STOP_SIGNALS

logger = logging.getLogger(__name__)

# SIGPIPE would end the process at the first connection that a client has closed.
GUARDED = (*STOP_SIGNALS, signal.SIGPIPE, signal.SIGCHLD)
# Signals of timers (setitimer(2)), for timeouts and profilers. Without a handler they end the process.
TIMERS = (signal.SIGALRM, signal.SIGPROF, signal.SIGVTALRM)

PACKAGE = __name__.partition(".")[0] + "."


class SignalFence:
    """Knows whether the app is being imported. During the import its handlers raise as in any program.

    Attributes:
        imported: To be set after the import: a daemon that has stopped has no event loop either, so a loop alone does
            not tell.
    """

    def __init__(self) -> None:
        self.imported = False

    @property
    def importing(self) -> bool:
        """Whether the app is being imported."""
        return not self.imported and not _serving()


class FencedHandler:
    """A signal handler of the app.

    Args:
        handler: The app's handler.
        step: The step that has set it; None: no step of user code.
        fence: None: the handler was set after the import of the app.
    """

    def __init__(
        self,
        handler: Callable[[int, FrameType | None], Any],
        step: CodeStep | None = None,
        fence: SignalFence | None = None,
    ) -> None:
        self.handler = handler
        self._step = step
        self._fence = fence
        self._raised: BaseException | None = None

    def __call__(self, number: int, stack: FrameType | None) -> Any:
        try:
            return self.handler(number, stack)
        except BaseException as error:
            if self._reaches_its_code(stack):
                raise
            self._raised = error
            return None

    def _reaches_its_code(self, stack: FrameType | None) -> bool:
        if self._fence is not None and self._fence.importing:
            return True
        return self._step is not None and any(frame is self._step.frame for frame in outwards(stack))

    def tell(self, number: int) -> None:
        """Log the error. A handler itself does not log, because it may run in the middle of another line."""
        if self._raised is not None:
            error, self._raised = self._raised, None
            logger.warning(
                "a handler of %s that code of the app has set raised %s: %s, and the code for which it was set was not "
                "running; nothing was done",
                name_of(number),
                type_name(error),
                text_of(error),
            )


class UnawaitedAlarm:
    """The handler of an alarm that no code waits for any more. Without a handler the alarm would end the process."""

    def __init__(self) -> None:
        self._came = False

    def __call__(self, number: int, frame: object) -> None:
        self._came = True

    def tell(self, number: int) -> None:
        """Log that an alarm came. A handler itself does not log, because it may run in the middle of another line."""
        if self._came:
            self._came = False
            logger.warning("%s came, because code of the app has set an alarm; nothing was done", name_of(number))


@contextmanager
def handlers_fenced() -> Iterator[SignalFence]:
    """Fence each handler that code of the app sets from now on, until the block ends."""
    fence = SignalFence()
    # A name of type Any, because `signal.signal` is declared more narrowly than any function that could replace it.
    module: Any = signal
    original = module.signal

    def set_handler(number: Any, handler: Any) -> Any:
        step = step_in(sys._getframe(1))
        if step is not None or owner() is not CodeOwner.PROCESS:
            if number in GUARDED and _serving():
                tell_taken_back(number)
                return signal.getsignal(number)
            if is_foreign(handler):
                handler = FencedHandler(handler, step, fence)
            elif number in TIMERS and handler == signal.SIG_DFL:
                handler = UnawaitedAlarm()
        return original(number, handler)

    module.signal = set_handler
    try:
        yield fence
    finally:
        module.signal = original
        _ignore_timers_of_the_app()


def _ignore_timers_of_the_app() -> None:
    """Ignore timers that the app left behind: at its end the interpreter removes all handlers."""
    for number in TIMERS:
        if isinstance(signal.getsignal(number), FencedHandler | UnawaitedAlarm):
            signal.signal(number, signal.SIG_IGN)


def _serving() -> bool:
    # Before and after its event loop the daemon itself sets handlers.
    return asyncio._get_running_loop() is not None


def tell_taken_back(number: int) -> None:
    """Log that a handler of the daemon was not replaced."""
    logger.warning("code of the app had replaced the handler of %s; the daemon has taken it back", name_of(number))


def is_foreign(handler: object) -> bool:
    """Whether a handler is a function of the app without a fence."""
    kind: Any = type(handler)
    if not callable(handler) or kind is FencedHandler:
        return False
    try:
        module = getattr(handler, "__module__", None)
        return not (type(module) is str and module.startswith(PACKAGE))
    except BaseException:  # it is an object of user code, whose methods may raise
        return True


def name_of(number: int) -> str:
    """The name of a signal, for people."""
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals between the first and the last have no name
        return f"signal {number}"
