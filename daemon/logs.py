"""The log of a daemon: text or JSON, one line a message, on standard error.

The rule: standard output is left to the ready line. Each process of a daemon configures its log once, before it does
anything that may fail.
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

# Libraries that log much, and the least level of theirs that is shown.
CHATTY = {"aiosqlite": logging.INFO, "asyncio": logging.INFO, "uvicorn": logging.WARNING}

# Loggers of libraries that write a traceback for what a client has sent. (Bugs of ours are logged by our own.)
JUNK = ("grpc._cython.cygrpc",)

# The attributes of every record. A caller has given the others with `extra=`.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def configure_logging(level: str, form: str, *, host: str | None = None) -> StandardError:
    """Send every message of this process to standard error.

    Args:
        level: debug, info, warning or error.
        form: text or json.
        host: The name of this process, if it is one of several that write to the same standard error.

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
    """Makes one line of a record with a traceback, and lets one of its kind pass in an interval, with a count."""

    INTERVAL_S = 10.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[str, tuple[float, int]] = {}  # by the text: when it last passed, and how many did not since

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the traceback into the line, and let the record pass unless one of its kind has passed lately."""
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
    """Send printed lines to standard error, by the way of the log.

    A program that waits for the ready line reads standard output, so the print() of an app goes to standard error.
    """
    stream = stream_of(handler, sys.stderr)
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        try:
            yield
        finally:
            with contextlib.suppress(OSError, ValueError):  # code of the app has closed the stream below it
                stream.flush()


class SafeLine(logging.Formatter):
    """Formats any exception, also one whose own methods raise."""

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Format an exception; if its own methods raise, describe it without them."""
        try:
            return clean(super().formatException(ei))
        except BaseException:
            # Its cause, its notes or its class are user code, and raise something themselves.
            return described(ei[1])


class TextLine(SafeLine):
    """`2026-11-23T07:16:01.123Z INFO perdure.daemon.daemon: message`, a traceback below; a host behind the level.

    The fields that a caller has given with `extra=` follow the message: `… instance_id=order-1 activity=charge
    attempt=2`.
    """

    def __init__(self, host: str | None) -> None:
        origin = "%(name)s" if host is None else f"{host} %(name)s"
        super().__init__(f"%(asctime)s %(levelname)s {origin}: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """The time of a record, as ISO 8601 in UTC with milliseconds."""
        return timestamp(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line, with the fields of `extra=` behind the message."""
        fields = "".join(f" {name}={plain(value)}" for name, value in fields_of(record).items())
        return f"{super().formatMessage(record)}{fields}"


class JsonLine(SafeLine):
    """One object a line: time, level, host if there are several, logger, message, error if there is one, `extra=`."""

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
            line["error"] = record.exc_text  # of a record from the process of an activity
        line |= {name: value for name, value in fields_of(record).items() if name not in line}
        return json.dumps(line, ensure_ascii=False, default=str)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that were given with `extra=`."""
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


def plain(value: object) -> str:
    """A value behind `name=`: as it is, or in the quotes of JSON where its end could not be seen otherwise."""
    text = value if isinstance(value, str) else text_of(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


PLAIN = re.compile(r"[^\s\"'=\x00-\x1f]+")


def timestamp(record: logging.LogRecord) -> str:
    """The time of a record in UTC, in RFC 3339 with milliseconds, like every time that Perdure shows."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"
