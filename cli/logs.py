"""What the process says while it runs: one line a message, on standard error, in one of two forms."""

import json
import logging
import time
from typing import Any

# Libraries that say much which buries what a person looks for, and from which level on they are heard.
CHATTY = {"aiosqlite": logging.INFO, "asyncio": logging.INFO, "uvicorn": logging.WARNING}

# What every record carries; the rest was given by the caller with `extra=`.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def configure_logging(level: str, form: str) -> None:
    """Send every message of this process to standard error.

    Args:
        level: debug, info, warning or error.
        form: text or json.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLine() if form == "json" else TextLine())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name, least in CHATTY.items():
        logging.getLogger(name).setLevel(max(least, logging.getLogger().level))


class TextLine(logging.Formatter):
    """`2026-11-23T07:16:01.123Z INFO perdure.cli.daemon: message`, a traceback below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return timestamp(record)


class JsonLine(logging.Formatter):
    """One object a line: time, level, logger, message, error if there is one, and whatever `extra=` held."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": timestamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        line |= {name: value for name, value in vars(record).items() if name not in STANDARD and name not in line}
        return json.dumps(line, ensure_ascii=False, default=str)


def timestamp(record: logging.LogRecord) -> str:
    """UTC in RFC 3339, with milliseconds: the form of every other time that Perdure shows."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"
