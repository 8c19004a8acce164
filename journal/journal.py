"""The journal: writes lines of the vocabulary to the log, and counts lines beyond a limit instead of writing them.

The rule: frequent events cannot fill a log. Of each kind of line at most its burst is written in an interval; further
lines are counted, and the count is written with the next line of the kind or by `flush`.

Each engine has a journal, and so do the ports. It may be used from one thread.
"""

import logging
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from .line import LogLine, Note

INTERVAL_S = 10.0
FLUSH_S = 1.0  # how often to call `flush` while lines are left out
KINDS_MAX = 256  # beyond this number of kinds, all lines of an event are counted together
TEXT_CHARS_MAX = 2_000  # of one value in a sentence; the failure in the store has the whole text

Kind: TypeAlias = tuple[str, ...]


@dataclass(slots=True)
class _Counted:
    since_s: float  # when the interval began
    written: int = 0  # lines written in the interval
    left_out: int = 0
    level: int = 0  # the highest level among the lines that were left out
    # The last line that was left out.
    last: tuple[logging.Logger, LogLine, dict[str, Any]] | None = None


class Journal:
    """Writes lines, of each kind at most its burst in an interval.

    A kind is an event with its workflow and its activity, if it has them. So a workflow that fails all the time does
    not hide the failures of others.

    Args:
        name: The name of the logger for the lines.
        interval_s: The length of the interval, in seconds.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        name: str = __name__,
        *,
        interval_s: float = INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logging.getLogger(name)
        self._interval_s = interval_s
        self._clock = clock
        self._kinds: dict[Kind, _Counted] = {}
        self._listeners: list[Callable[[], None]] = []

    def at(self, name: str) -> "Journal":
        """The same journal for a module with a logger of its own: the counts are shared."""
        other = object.__new__(type(self))  # not by `copy`, which is slow: an engine has some fifteen of them
        vars(other).update(vars(self), _logger=logging.getLogger(name))
        return other

    def on_left_out(self, callback: Callable[[], None]) -> None:
        """Call a function when lines begin to be left out; `flush` need not be called before."""
        self._listeners.append(callback)

    def write(self, line: LogLine, /, *, exc_info: BaseException | None = None, **values: Any) -> None:
        """Write a line, or count it.

        Args:
            exc_info: An error of the engine, whose traceback follows the line. The traceback of a line that is left
                out is not written.
            values: The values of the sentence and of the fields.
        """
        if not self._logger.isEnabledFor(line.level):
            return
        now_s = self._clock()
        counted = self._counted(line, values, now_s)
        if counted.left_out and now_s - counted.since_s >= self._interval_s:
            self._keep(counted, line, values)
            self._write_counted(counted, now_s)
            return
        if now_s - counted.since_s >= self._interval_s:
            counted.since_s, counted.written = now_s, 0
        if counted.written < line.burst:
            counted.written += 1
            _log(self._logger, line, values, "", exc_info)
            return
        self._keep(counted, line, values)
        if counted.left_out == 1:
            for listener in self._listeners:
                listener()

    def note(self, note: Note) -> None:
        """Write the line of a note, or count it."""
        self.write(note.line, **note.values)

    def flush(self, *, now: bool = False) -> bool:
        """Write the counts whose interval is over. Call it about once a second, and with `now` at the end.

        Returns:
            Whether counts remain that are not written yet.
        """
        now_s = self._clock()
        waiting = False
        for counted in self._kinds.values():
            if not counted.left_out:
                continue
            if now or now_s - counted.since_s >= self._interval_s:
                self._write_counted(counted, now_s)
            else:
                waiting = True
        return waiting

    def _counted(self, line: LogLine, values: dict[str, Any], now_s: float) -> _Counted:
        kind: Kind = (line.event, str(values.get("workflow", "")), str(values.get("activity", "")))
        counted = self._kinds.get(kind)
        if counted is None and len(self._kinds) >= KINDS_MAX:
            kind = (line.event,)
            counted = self._kinds.get(kind)
        if counted is None:
            counted = self._kinds[kind] = _Counted(now_s)
        return counted

    def _keep(self, counted: _Counted, line: LogLine, values: dict[str, Any]) -> None:
        counted.level = max(line.level, counted.level) if counted.left_out else line.level
        counted.left_out += 1
        counted.last = self._logger, line, values

    def _write_counted(self, counted: _Counted, now_s: float) -> None:
        assert counted.last is not None
        logger, line, values = counted.last
        more = f" ({counted.left_out} such lines in {now_s - counted.since_s:.0f} s)" if counted.left_out > 1 else ""
        level = counted.level
        left_out = counted.left_out
        counted.since_s, counted.written, counted.left_out, counted.last = now_s, 1, 0, None
        _log(logger, line._replace(level=level), values, more, None, count=left_out)


def _log(
    logger: logging.Logger,
    line: LogLine,
    values: dict[str, Any],
    more: str,
    error: BaseException | None,
    count: int = 1,
) -> None:
    fields = line.fields_of(values)
    if count > 1:
        fields["count"] = count
    try:
        logger.log(line.level, "%s%s", sentence(line, values), more, exc_info=error, extra=fields)
    except Exception:
        # Of a handler, a filter or a factory of the program in which an engine is embedded. The commit or the turn that
        # has something to tell goes on, and the error is told as `logging.Handler.handleError` tells one.
        if logging.raiseExceptions:
            with suppress(Exception):
                traceback.print_exc()


def sentence(line: LogLine, values: dict[str, Any]) -> str:
    """Fill the sentence of a line. It stays one line, for any values."""
    return line.text.format_map(
        {name: _shown(value, ends=f"{{{name}}}." in line.text) for name, value in values.items()}
    )


def _shown(value: Any, *, ends: bool) -> Any:
    """A value as it is shown in a sentence.

    Args:
        ends: Whether a full stop follows the value. The full stop at the end of the value itself is then left out.
    """
    if not isinstance(value, str):
        return value
    if ends and not value.endswith(".."):
        value = value.removesuffix(".")
    if len(value) > TEXT_CHARS_MAX:
        value = f"{value[:TEXT_CHARS_MAX]}…"
    return (
        value if value.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in value)
    )
