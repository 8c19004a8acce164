"""Exported histories: an instance as lines of JSON, and back.

The rule: an export is read again as it was written, event for event. So an instance that is exported, imported and
exported again gives the same lines, and the history of native code can be replayed.

The first line is the header: the format, the id and the record. Each further line is an event, with the number of its
turn from 0 on; the first line of a turn says when it was taken. A turn without any event has a line too.

`runtime/operations/steering/transfer.py` uses it. It depends on nothing but its arguments.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ...errors import InvalidRequest, RequestRefused
from ...history.event import TAGS, Event, failure_in
from ...history.record import InstanceRecord
from ...history.row import Row, RowPacker
from ...history.status import Status
from ..tags import checked_tags

FORMAT = "perdure-instance-1"
MOMENT_MAX_US = 2**62

# Of the record: messages on their way to others, and the reason of a stall, stay with the daemon.
LEFT_OUT = {"outbox", "stall", "set_aside"}
KINDS: Mapping[str, Any] = {kind.__name__: kind for kind in TAGS}


class ImportMalformed(RequestRefused):
    """A line does not have the form of an export."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(line, why)
        self.line = line  # from 1 on
        self.why = why

    def __str__(self) -> str:
        return f"line {self.line} is not of an export of Perdure: {self.why}. Nothing was imported."


class ExportHeader(NamedTuple):
    """The first line of an export."""

    instance_id: str
    record: InstanceRecord
    changed_us: int  # the last change of its status, custom status or generation; Unix time, microseconds


def header_line(header: ExportHeader) -> bytes:
    """The first line of an export."""
    record = {
        name: value
        for name, value in header.record._asdict().items()
        if name not in LEFT_OUT and value != InstanceRecord._field_defaults.get(name, ...)
    }
    record["status"] = header.record.status.name
    return _line(
        {"format": FORMAT, "id": header.instance_id, "changed_us": header.changed_us, "record": _written(record)}
    )


def turn_lines(number: int, row: Row) -> Iterator[bytes]:
    """The lines of a turn.

    Args:
        number: Of the row, from 0 on.
    """
    head: dict[str, Any] = {"turn": number, "at_us": row.at_us}
    if row.turn is None:
        head["ran"] = False
    if row.consumed is not None:
        head["consumed"] = row.consumed
    if row.waits is not None:
        head["waits"] = list(row.waits)
    events = [(event, False) for event in row.turn or ()] + [(event, True) for event in row.held]
    if not events:
        yield _line(head)
    for event, held in events:
        yield _line({**head, **({"held": True} if held else {}), "event": _event(event)})
        head = {"turn": number}


def _event(event: Event) -> dict[str, Any]:
    kind = type(event)
    given = {
        name: _written(value) for name, value in event._asdict().items() if value != kind._field_defaults.get(name, ...)
    }
    return {"type": kind.__name__, **given}


def _written(value: Any) -> Any:
    """A value as JSON has it. Bytes are an object with one key."""
    match value:
        case bytes():
            return {"base64": b64encode(value).decode()}
        case tuple() | list():
            return [_written(each) for each in value]
        case dict():
            return {name: _written(each) for name, each in value.items()}
    return value


def _line(values: Mapping[str, Any]) -> bytes:
    # ASCII: payloads may hold lone surrogates, which no UTF-8 has.
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


class ExportReader:
    """Reads an export, line by line."""

    def __init__(self) -> None:
        self.header: ExportHeader | None = None
        self.entries: list[bytes] = []  # the rows that are whole, packed
        self._packer = RowPacker()
        self._line = 0
        self._row: Row | None = None
        self._started = False
        self._completed = False

    def feed(self, line: bytes) -> None:
        """Take the next line; an empty one is passed over.

        Raises:
            ImportMalformed: An export has no such line here.
        """
        self._line += 1
        if not line.strip():
            return
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise TypeError("it is no object")
            if self.header is None:
                self.header = _header(values)
            else:
                self._take(values)
        except (ValueError, TypeError, LookupError, OverflowError, RecursionError, InvalidRequest) as error:
            raise ImportMalformed(self._line, _why(error)) from None

    def end(self) -> ExportHeader:
        """Finish after the last line.

        Raises:
            ImportMalformed: The export is not whole.
        """
        if self.header is None:
            raise ImportMalformed(self._line + 1, "the header is missing")
        try:
            self._close_row()
        except (ValueError, TypeError, OverflowError) as error:
            raise ImportMalformed(self._line, _why(error)) from None
        if not self._started:
            raise ImportMalformed(self._line, "the history does not begin with ExecutionStarted")
        if self.header.record.status.terminal and not self._completed:
            raise ImportMalformed(
                self._line, "the history of what has ended has no ExecutionCompleted in its last turn"
            )
        return self.header

    def _take(self, values: dict[str, Any]) -> None:
        number = values["turn"]
        known = len(self.entries) - (self._row is None)
        if number == known + 1:
            self._close_row()
            self._row = _row(values)
            self._completed = False
        elif number != known or self._row is None or "at_us" in values:
            raise ValueError(f"turn {known} or {known + 1} was expected, and turn {number!r} was found")
        if "event" in values:
            self._add(_read_event(values["event"]), held=values.get("held", False) is True)

    def _add(self, event: Event, *, held: bool) -> None:
        row = self._row
        assert row is not None
        if not held and row.turn is None:
            raise ValueError("a turn that did not run has an event that was fed")
        if not self._started and type(event).__name__ != "ExecutionStarted":
            raise ValueError("the history does not begin with ExecutionStarted")
        self._started = True
        self._completed = self._completed or type(event).__name__ == "ExecutionCompleted"
        events = row.held if held else row.turn
        assert isinstance(events, list)
        events.append(event)

    def _close_row(self) -> None:
        if self._row is not None:
            self.entries.append(self._packer.pack(*self._row))
            self._row = None


def _header(values: dict[str, Any]) -> ExportHeader:
    if values.get("format") != FORMAT:
        raise ValueError(f"the format is {values.get('format')!r}, and this release reads {FORMAT!r}")
    given = _read(values["record"])
    if not isinstance(given, dict):
        raise TypeError("the record is no object")
    given["status"] = Status[given["status"]]
    if unknown := given.keys() - set(InstanceRecord._fields) | given.keys() & LEFT_OUT:
        raise ValueError(f"the record has a field {min(unknown)!r}, which an export does not have")
    # In their order; absent ones have their defaults: of a tuple, msgspec checks each field.
    defaults = InstanceRecord._field_defaults
    fields = [given[name] if name in given else defaults[name] for name in InstanceRecord._fields]
    record = msgspec.convert(fields, InstanceRecord)
    header = ExportHeader(msgspec.convert(values["id"], str), record, _moment(values["changed_us"]))
    for moment in (record.created_us, record.first_us or 0, record.started_us or 0):
        _moment(moment)
    # Values that cannot be written are found here, and not in the turn that writes them.
    record.pack()
    header.instance_id.encode()
    checked_tags(dict(record.tags))
    return header


def _moment(value: Any) -> int:
    moment = msgspec.convert(value, int)
    if not -MOMENT_MAX_US <= moment <= MOMENT_MAX_US:
        raise ValueError(f"{moment} is no time in microseconds")
    return moment


def _row(values: dict[str, Any]) -> Row:
    at_us = _moment(values["at_us"])
    consumed = msgspec.convert(values.get("consumed"), int | None)
    waits = msgspec.convert(values.get("waits"), tuple[str | int, ...] | None)
    return Row(at_us, [] if values.get("ran", True) is True else None, [], consumed, waits)


def _read_event(values: Any) -> Event:
    if not isinstance(values, dict):
        raise TypeError("the event is no object")
    given = {name: _read(value) for name, value in values.items()}
    kind = KINDS.get(given.pop("type"))
    if kind is None:
        raise ValueError(f"there is no event of the type {values['type']!r}")
    if unknown := given.keys() - set(kind._fields):
        raise ValueError(f"a {kind.__name__} has no field {min(unknown)!r}")
    fields = [given[name] if name in given else kind._field_defaults[name] for name in kind._fields]
    event: Event = msgspec.convert(fields, kind)
    if getattr(event, "failure", None) is not None:
        failure_in(event)  # type: ignore[arg-type]  # all that have one
    return event


def _read(value: Any) -> Any:
    """A value of JSON as events have it."""
    if isinstance(value, list):
        return tuple(_read(each) for each in value)
    if isinstance(value, dict):
        if value.keys() == {"base64"}:
            return b64decode(value["base64"], validate=True)
        return {name: _read(each) for name, each in value.items()}
    return value


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing, or is not one of the known values"
    return str(error) or type(error).__name__


def lines_of(header: ExportHeader, rows: Iterable[Row]) -> Sequence[bytes]:
    """All lines of an export."""
    lines = [header_line(header)]
    for number, row in enumerate(rows):
        lines.extend(turn_lines(number, row))
    return lines
