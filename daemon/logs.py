"""The log of a daemon: text or JSON, one line a message, on standard error.

The rule: standard output is left to the ready line. Each process of a daemon configures its log once, before it does
anything that may fail.
"""

import json
import logging
import time
from typing import Any

from ..actors.text import clean, described

# Libraries that log much, and the least level of theirs that is shown.
CHATTY = {"aiosqlite": logging.INFO, "asyncio": logging.INFO, "uvicorn": logging.WARNING}

# The attributes of every record. A caller has given the others with `extra=`.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def configure_logging(level: str, form: str, *, host: str | None = None) -> None:
    """Send every message of this process to standard error.

    Args:
        level: debug, info, warning or error.
        form: text or json.
        host: The name of this process, if it is one of several that write to the same standard error.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLine(host) if form == "json" else TextLine(host))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name, least in CHATTY.items():
        logging.getLogger(name).setLevel(max(least, logging.getLogger().level))


class SafeLine(logging.Formatter):
    """Formats any exception, also one whose own methods raise."""

    def formatException(self, ei: Any) -> str:  # noqa: N802
        try:
            return clean(super().formatException(ei))
        except BaseException:
            # Its cause, its notes or its class are user code, and raise something themselves.
            return described(ei[1])


class TextLine(SafeLine):
    """`2026-11-23T07:16:01.123Z INFO perdure.daemon.daemon: message`, a traceback below; a host behind the level."""

    def __init__(self, host: str | None) -> None:
        origin = "%(name)s" if host is None else f"{host} %(name)s"
        super().__init__(f"%(asctime)s %(levelname)s {origin}: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return timestamp(record)


class JsonLine(SafeLine):
    """One object a line: time, level, host if there are several, logger, message, error if there is one, `extra=`."""

    def __init__(self, host: str | None) -> None:
        super().__init__()
        self._origin = {} if host is None else {"host": host}

    def format(self, record: logging.LogRecord) -> str:
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
        line |= {name: value for name, value in vars(record).items() if name not in STANDARD and name not in line}
        return json.dumps(line, ensure_ascii=False, default=str)


def timestamp(record: logging.LogRecord) -> str:
    """The time of a record in UTC, in RFC 3339 with milliseconds, like every time that Perdure shows."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"
