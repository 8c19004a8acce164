"""A line of the log, and a note that asks for one.

The rule: a line is data. Its level, its sentence and its fields stand in one table, `journal/vocabulary.py`, and the
code that has something to tell names a line and gives the values.

`journal/journal.py` writes lines. Modules that only decide make notes, which are written once the commit is durable.
"""

from typing import Any, NamedTuple

BURST = 100  # lines of one kind that are written in an interval; the others are counted


class LogLine(NamedTuple):
    """One entry of the vocabulary."""

    event: str  # the field `event`, by which a program finds the line
    level: int  # as `logging` has it
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


# With its type: a compiled build would take an empty tuple for one that stays empty.
NO_NOTES: tuple[Note, ...] = ()
