"""A line of the log, and a note for a line to be written later.

The rule: a line is data. Its level, its sentence and its fields are in one table, `journal/vocabulary.py`; code that
logs an event names the line and passes the values.

`journal/journal.py` writes lines. Modules that only decide make notes, which are written once the commit is durable.
"""

from typing import Any, NamedTuple

BURST = 100  # lines of one kind that are written in an interval; further lines are counted


class LogLine(NamedTuple):
    """One entry of the vocabulary."""

    event: str  # the field `event`, by which a program finds the line
    level: int  # a level of `logging`
    text: str  # the sentence: a template of str.format, filled with the values
    fields: tuple[str, ...] = ()  # the values that are fields of the record too; None is left out
    burst: int = BURST

    def fields_of(self, values: dict[str, Any]) -> dict[str, Any]:
        """The fields of a line with these values."""
        found: dict[str, Any] = {"event": self.event}
        for name in self.fields:
            value = values.get(name)
            if value is not None:
                found[name] = value
        return found


class Note(NamedTuple):
    """A line that is written after a commit, with its values."""

    line: LogLine
    values: dict[str, Any]


# With its type, because a compiled build would assume that a variable with an empty tuple is always empty.
NO_NOTES: tuple[Note, ...] = ()
