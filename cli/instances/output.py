"""Formats the output of commands on a running daemon: tables, JSON, lines.

The rule: a value of an instance cannot control the terminal.
"""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

GAP = "  "
# Characters that JSON does not escape: DEL and C1, line ends of Unicode, and controls of the text direction.
UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
NOTHING = "-"

COLORS = {
    "RUNNING": "blue",
    "COMPLETED": "green",
    "FAILED": "red",
    "STALLED": "magenta",
    "SET_ASIDE": "magenta",
    "SUSPENDED": "yellow",
    "TERMINATED": "bright_black",
    "CANCELED": "bright_black",
    "PENDING": "cyan",
}


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format rows as a table. The last column is not padded."""
    lines = [[str(column) for column in columns], *([cell(value) for value in row] for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    shown = []
    for number, line in enumerate(lines):
        cells = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
        cells[-1] = line[-1]
        if number and "STATUS" in columns:
            at = list(columns).index("STATUS")
            cells[at] = click.style(cells[at], fg=COLORS.get(line[at]))
        shown.append(GAP.join(cells).rstrip())
    return "\n".join(shown)


def cell(value: object) -> str:
    """Format a value in one line without control characters."""
    if value is None or value == "" or value is msgspec.UNSET:
        return NOTHING
    if isinstance(value, datetime):
        return moment(value)
    return visible(str(value))


def visible(text: str) -> str:
    """Format a text; unprintable characters are escaped."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def lines_of(text: str) -> str:
    """Format a text of several lines."""
    return "\n".join(visible(line) for line in text.splitlines())


def moment(value: datetime) -> str:
    """Format a moment in UTC."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def age(value: datetime | None, now: datetime) -> str:
    """Format the time since a moment in its largest unit or two."""
    if value is None:
        return NOTHING
    return span((now - value).total_seconds())


def span(seconds: float) -> str:
    """Format a length of time, as `5s`, `3m20s`, `4h10m`, `12d`."""
    whole = max(0, int(seconds))
    days, hours, minutes, rest = whole // 86_400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    if days >= 7:
        return f"{days}d"
    if days:
        return f"{days}d{hours}h" if hours else f"{days}d"
    if hours:
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    if minutes:
        return f"{minutes}m{rest}s" if minutes < 10 and rest else f"{minutes}m"
    return f"{rest}s" if seconds >= 1 or seconds <= 0 else f"{seconds:.1g}s"


def show_json(value: Any) -> None:
    """Print a value as JSON, with its fields in their order."""
    click.echo(json_of(value, indent=2))


def json_of(value: Any, *, indent: int | None = None) -> str:
    """Encode a value as JSON, in which characters that control a terminal are escaped."""
    return UNSEEN.sub(escape, json.dumps(msgspec.to_builtins(value), indent=indent, ensure_ascii=False))


def escape(found: re.Match[str]) -> str:
    """Return the JSON escape of a character."""
    return json.dumps(found[0])[1:-1]


def show_ids(ids: Iterable[str]) -> None:
    """Print ids, one a line: unchanged for other commands, escaped for a terminal."""
    for each in ids:
        write_line(exact(each))


def exact(an_id: str) -> str:
    """Return an id for standard output: unchanged, unless that is a terminal."""
    return visible(an_id) if sys.stdout.isatty() else an_id


def write_line(line: str) -> None:
    """Print a line unchanged. `click.echo` by itself removes color codes if the output is no terminal."""
    click.echo(line, color=True)


def done_line(shape: str, line: str, told: dict[str, Any]) -> str:
    """Format the result of an action on an instance according to `-o`.

    Args:
        line: The text for people.
        told: The values for programs; `id` is the id of the instance.
    """
    if shape == "json":
        return json_of(told)
    return exact(str(told["id"])) if shape == "ids" else visible(line)


def fields(pairs: Iterable[tuple[str, object]]) -> str:
    """Format names and values, one pair a line, without pairs that have no value."""
    shown = [(name, value) for name, value in pairs if value is not None and value != "" and value is not msgspec.UNSET]
    width = max((len(name) for name, _ in shown), default=0)
    return "\n".join(f"{name.ljust(width)}  {cell(value)}" for name, value in shown)
