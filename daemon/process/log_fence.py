"""A fence around what code of the app adds to the log: handlers, filters, formatters and the factory of records.

The rule: what these raise reaches code of the app that writes a line, as in any program, and never the daemon. It would
break the commit, the turn or the request that has something to tell, and end the process. The line goes on to the other
handlers, and the log says what failed.

Where code of the app has taken the daemon's handler away, and no other takes a line, it still goes there.
`daemon/serve.py` puts the fence up.
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

INTERVAL_S = 10.0  # between two lines that say that something fails

# Loggers by which the daemon speaks, and libraries that run in its event loop and threads.
SPEAKERS = frozenset((__name__.partition(".")[0], "aiosqlite", "anyio", "asyncio", "concurrent", "grpc"))
OF_THE_APP = (WORKFLOW_LOGGERS, ACTIVITY_LOGGERS)

# The parameters of `Logger.makeRecord` behind the name.
RECORD_OF = ("level", "fn", "lno", "msg", "args", "exc_info", "func", "extra", "sinfo")

# They are meant for the code that runs, wherever it is.
PASSED = (CodeInterrupted, StopAsked)


class LogFence:
    """The daemon's way through the log.

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
        """Whether the daemon speaks, and not code of the app.

        Args:
            name: Of the logger.
        """
        if owner() is CodeOwner.PROCESS:
            return True
        return name.partition(".")[0] in SPEAKERS and not name.startswith(OF_THE_APP)

    def make(self, make: Callable[..., Any], name: str, *args: Any, **options: Any) -> logging.LogRecord:
        """Make a record; a plain one where the app's factory makes none.

        Args:
            make: Makes it with the factory, as `Logger.makeRecord` does.
            args, options: Those of `Logger.makeRecord` behind the name.
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
            handle: That function.
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
        """The record behind the filters of its logger: another one, perhaps, or none."""
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
        """Give a record to a handler, and say whether that has not failed."""
        try:
            handler.handle(record)
            return True
        except PASSED:
            raise
        except BaseException as error:
            self._tell(f"{type_name(handler)}, a handler of the log,", error)
            if handler is self._ours:
                with suppress(BaseException):  # nothing is left to tell it
                    self._last_resort.handle(record)
            return False

    def _tell(self, what: str, error: BaseException) -> None:
        """Say that something of the app's has failed, by the daemon's own handler alone."""
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
        ours: The daemon's own handler; by default the first that there is.
    """
    handlers = (ours, *logging.getLogger().handlers, logging.lastResort, logging.NullHandler())
    fence = LogFence(next(each for each in handlers if each is not None))
    make, handle = logging.Logger.makeRecord, logging.Logger.handle

    def make_record(origin: logging.Logger, *args: Any, **options: Any) -> logging.LogRecord:
        return fence.make(lambda *given, **more: make(origin, *given, **more), *args, **options)

    def handle_record(origin: logging.Logger, record: logging.LogRecord) -> None:
        fence.handle(handle, origin, record)

    # A name of its own type: the methods are declared more narrowly than these functions.
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
    """The handlers that a logger's records go to."""
    at: logging.Logger | None = origin
    while at is not None:
        yield from at.handlers
        at = at.parent if at.propagate else None
