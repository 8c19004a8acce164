"""The log of a daemon: text or JSON on standard error, one line for each message.

The rule: standard output has the ready line only. Each process of a daemon configures its log once, before any step
that may fail.
"""

import contextlib
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..actors.text import clean, described, text_of
from .process.standard_error import StandardError, stream_of

# Libraries that log much, and the lowest level of their messages that is shown.
CHATTY = {"aiosqlite": logging.INFO, "asyncio": logging.INFO, "uvicorn": logging.WARNING}

# Loggers of libraries that write a traceback when a client sends garbage. (Our own loggers log our bugs.)
JUNK = ("grpc._cython.cygrpc",)

# The attributes that every record has. All others were given with `extra=`.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def configure_logging(level: str, form: str, *, host: str | None = None) -> StandardError:
    """Send every message of this process to standard error.

    Args:
        level: debug, info, warning or error.
        form: text or json.
        host: The name of this process, if several processes write to the same standard error.

    Returns:
        The handler, which never waits for the reader of standard error.
    """
    handler = StandardError(sys.stderr)
    handler.setFormatter(JsonLine(host) if form == "json" else TextLine(host))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name, least in CHATTY.items():
        logging.getLogger(name).setLevel(max(least, logging.getLogger().level))
    for name in JUNK:
        library = logging.getLogger(name)
        for known in [each for each in library.filters if isinstance(each, OneLine)]:
            library.removeFilter(known)
        library.addFilter(OneLine())
    return handler


class OneLine(logging.Filter):
    """Makes one line of a record with a traceback, and passes one record of each kind in an interval, with a count."""

    INTERVAL_S = 10.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[str, tuple[float, int]] = {}  # text: (when one last passed, number held back since)

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the traceback into the line, and pass the record unless one of its kind has passed lately."""
        if not record.exc_info:
            return True
        now_s = self._clock()
        kind, error = record.msg, record.exc_info[1]
        last_s, held_back = self._seen.get(kind, (None, 0))
        if last_s is not None and now_s - last_s < self.INTERVAL_S:
            self._seen[kind] = (last_s, held_back + 1)
            return False
        self._seen[kind] = (now_s, 0)
        more = f" ({held_back} more such lines before)" if held_back else ""
        record.msg, record.args = "%s: %s: %s%s", (record.getMessage(), type(error).__name__, error, more)
        record.exc_info = record.exc_text = None
        return True


@contextlib.contextmanager
def prints_to(handler: StandardError) -> Iterator[None]:
    """Send printed lines to standard error through the log's handler.

    A program that waits for the ready line reads standard output, so the print() of an app goes to standard error.
    """
    stream = stream_of(handler, sys.stderr)
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        try:
            yield
        finally:
            with contextlib.suppress(OSError, ValueError):  # code of the app has closed the stream below
                stream.flush()


class SafeLine(logging.Formatter):
    """Formats any exception, also an exception whose own methods raise."""

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Format an exception; if its own methods raise, describe it without them."""
        try:
            return clean(super().formatException(ei))
        except BaseException:
            # The cause, the notes or the class of the exception are user code, and may raise.
            return described(ei[1])


class TextLine(SafeLine):
    """`2026-11-23T07:16:01.123Z INFO perdure.daemon.daemon: message`, with the traceback below it.

    The name of a host, if there are several, follows the level. The fields of `extra=` follow the message: `…
    instance_id=order-1 activity=charge attempt=2`.
    """

    def __init__(self, host: str | None) -> None:
        origin = "%(name)s" if host is None else f"{host} %(name)s"
        super().__init__(f"%(asctime)s %(levelname)s {origin}: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """Return the time of a record as ISO 8601 in UTC with milliseconds."""
        return timestamp(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line, with the fields of `extra=` after the message."""
        fields = "".join(f" {name}={plain(value)}" for name, value in fields_of(record).items())
        return f"{super().formatMessage(record)}{fields}"


class JsonLine(SafeLine):
    """A JSON object a line: time, level, host of several, logger, message, error if any, fields of `extra=`."""

    def __init__(self, host: str | None) -> None:
        super().__init__()
        self._origin = {} if host is None else {"host": host}

    def format(self, record: logging.LogRecord) -> str:
        """Make the object of a record. Fields of `extra=` do not replace the fields named above."""
        line: dict[str, Any] = {
            "time": timestamp(record),
            "level": record.levelname,
            **self._origin,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        elif record.exc_text:
            line["error"] = record.exc_text  # a record from the process of an activity
        line |= {name: value for name, value in fields_of(record).items() if name not in line}
        return json.dumps(line, ensure_ascii=False, default=str)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that were given with `extra=`."""
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


def plain(value: object) -> str:
    """Format a value after `name=`: as it is, or as a JSON string where its end would not be visible otherwise."""
    text = value if isinstance(value, str) else text_of(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


PLAIN = re.compile(r"[^\s\"'=\x00-\x1f]+")


def timestamp(record: logging.LogRecord) -> str:
    """Return the time of a record in UTC, in RFC 3339 with milliseconds, like every time that Perdure shows."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"
