"""A fence around the handlers, filters, formatters and record factories that code of the app adds to the log.

The rule: an error of these reaches only code of the app that writes a line, as in any program, and never the daemon,
where it would break the commit, the turn or the request that logs, and end the process. The line goes on to the other
handlers, and the log names the failed part.

If code of the app has removed the daemon's handler, and no other handler takes a line, the daemon's handler still gets
it. `daemon/serve.py` puts the fence up.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ...actors.text import described, type_name
from ...actors.waiting.ownership import CodeOwner, owner
from ...runtime.authoring.context import ACTIVITY_LOGGERS, WORKFLOW_LOGGERS
from ...runtime.execution.interruption import CodeInterrupted
from .early_signals import StopAsked

INTERVAL_S = 10.0  # between two log lines about failures

# The loggers of the daemon, and of libraries that run in its event loop and threads.
SPEAKERS = frozenset((__name__.partition(".")[0], "aiosqlite", "anyio", "asyncio", "concurrent", "grpc"))
OF_THE_APP = (WORKFLOW_LOGGERS, ACTIVITY_LOGGERS)

# The parameters of `Logger.makeRecord` after the name.
RECORD_OF = ("level", "fn", "lno", "msg", "args", "exc_info", "func", "extra", "sinfo")

# These are raised into the code that runs, whichever it is, and pass the fence.
PASSED = (CodeInterrupted, StopAsked)


class LogFence:
    """Passes the daemon's records through the log.

    Args:
        ours: The daemon's own handler.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, ours: logging.Handler, clock: Callable[[], float] = time.monotonic) -> None:
        self._ours = ours
        self._last_resort = logging.lastResort or ours
        self._clock = clock
        self._told_s: float | None = None
        self._telling = threading.local()

    def stands_for(self, name: str) -> bool:
        """Whether the daemon writes the record, and not code of the app.

        Args:
            name: The name of the logger.
        """
        if owner() is CodeOwner.PROCESS:
            return True
        return name.partition(".")[0] in SPEAKERS and not name.startswith(OF_THE_APP)

    def make(self, make: Callable[..., Any], name: str, *args: Any, **options: Any) -> logging.LogRecord:
        """Make a record; without the app's factory if that fails.

        Args:
            make: The original `Logger.makeRecord`, which calls the factory.
            args, options: The arguments of `Logger.makeRecord` after the name.
        """
        if not self.stands_for(name):
            made: logging.LogRecord = make(name, *args, **options)
            return made
        try:
            made = make(name, *args, **options)
            if isinstance(made, logging.LogRecord):
                return made
            self._tell("the factory of log records", TypeError(f"it has made a {type_name(made)}"))
        except PASSED:
            raise
        except BaseException as error:
            self._tell("the factory of log records", error)
        return plain_record(name, *args, **options)

    def handle(self, handle: Callable[..., None], origin: logging.Logger, record: logging.LogRecord) -> None:
        """Pass a record on, as `Logger.handle` does.

        Args:
            handle: The original `Logger.handle`.
            origin: The logger.
        """
        if not self.stands_for(record.name):
            handle(origin, record)
            return
        if origin.disabled:
            return
        passed = self._passed(origin, record)
        if passed is not None:
            handlers = list(handlers_of(origin))
            written = [self._hand(each, passed) for each in handlers if passed.levelno >= each.level]
            if not any(written) and (written or not handlers) and self._ours not in handlers:
                self._hand(self._ours, passed)

    def _passed(self, origin: logging.Logger, record: logging.LogRecord) -> logging.LogRecord | None:
        """Return the record, or the record that the logger's filters put in its place; None if they drop it."""
        try:
            passed: Any = origin.filter(record)
        except PASSED:
            raise
        except BaseException as error:
            self._tell("a filter of the log", error)
            return record
        if isinstance(passed, logging.LogRecord):
            return passed
        return record if passed else None

    def _hand(self, handler: logging.Handler, record: logging.LogRecord) -> bool:
        """Give a record to a handler. Returns whether the handler took it without an error."""
        try:
            handler.handle(record)
            return True
        except PASSED:
            raise
        except BaseException as error:
            self._tell(f"{type_name(handler)}, a handler of the log,", error)
            if handler is self._ours:
                with suppress(BaseException):  # no handler is left to report it
                    self._last_resort.handle(record)
            return False

    def _tell(self, what: str, error: BaseException) -> None:
        """Log through the daemon's own handler alone that a part of the app has failed."""
        if getattr(self._telling, "begun", False) or not self._is_due():
            return
        text = "%s has raised %s; the daemon goes on, and says so at most every %d s"
        values = (what, described(error), INTERVAL_S)
        record = logging.LogRecord(__name__, logging.ERROR, __file__, 0, text, values, None)
        self._telling.begun = True
        try:
            self._hand(self._ours, record)
        finally:
            self._telling.begun = False

    def _is_due(self) -> bool:
        now_s = self._clock()
        if self._told_s is not None and now_s - self._told_s < INTERVAL_S:
            return False
        self._told_s = now_s
        return True


@contextmanager
def log_fenced(ours: logging.Handler | None = None) -> Iterator[LogFence]:
    """Put the fence up until the block ends.

    Args:
        ours: The daemon's own handler; by default the first one of the root logger.
    """
    handlers = (ours, *logging.getLogger().handlers, logging.lastResort, logging.NullHandler())
    fence = LogFence(next(each for each in handlers if each is not None))
    make, handle = logging.Logger.makeRecord, logging.Logger.handle

    def make_record(origin: logging.Logger, *args: Any, **options: Any) -> logging.LogRecord:
        return fence.make(lambda *given, **more: make(origin, *given, **more), *args, **options)

    def handle_record(origin: logging.Logger, record: logging.LogRecord) -> None:
        fence.handle(handle, origin, record)

    # A name of type Any, because the methods are declared more narrowly than these functions.
    loggers: Any = logging.Logger
    loggers.makeRecord, loggers.handle = make_record, handle_record
    try:
        yield fence
    finally:
        loggers.makeRecord, loggers.handle = make, handle


def plain_record(name: str, *given: Any, **named: Any) -> logging.LogRecord:
    """Make a record without the factory.

    Args:
        given, named: The other arguments of `Logger.makeRecord`.
    """
    values = {**dict(zip(RECORD_OF, given, strict=False)), **named}
    extra = values.pop("extra", None)
    arguments: Any = [values.get(each) for each in RECORD_OF if each != "extra"]
    record = logging.LogRecord(name, *arguments)
    vars(record).update(extra or {})
    return record


def handlers_of(origin: logging.Logger) -> Iterator[logging.Handler]:
    """Yield the handlers that get the records of a logger."""
    at: logging.Logger | None = origin
    while at is not None:
        yield from at.handlers
        at = at.parent if at.propagate else None
