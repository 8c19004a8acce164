"""Every line of the log stands in the vocabulary, is written somewhere, and is described for its readers."""

import logging
import re
import string

import pytest

from perdure.journal import vocabulary
from perdure.journal.line import LogLine
from perdure.journal.vocabulary import VOCABULARY

from ..support.paths import ROOT
from ..support.source import LAYERS, modules, read

LINES = sorted(VOCABULARY.values())
NAMES = {line.event: name for name, line in vars(vocabulary).items() if isinstance(line, LogLine)}

# What `logging` itself keeps in a record: a field of that name raises.
TAKEN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def test_an_event_has_one_line() -> None:
    assert (
        len(NAMES) == len(VOCABULARY) == len([each for each in vars(vocabulary).values() if isinstance(each, LogLine)])
    )


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.event)
def test_a_line_can_be_written(line: LogLine) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", line.event)
    assert line.level in (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
    assert not TAKEN & {*line.fields, "event", "count"}
    assert len(set(line.fields)) == len(line.fields)
    assert line.burst >= 1
    assert not line.text.endswith(".")
    assert "\n" not in line.text
    # Each value is named, so that a call cannot mix them up.
    assert all(name for _, name, _, _ in string.Formatter().parse(line.text) if name is not None)


def test_each_line_is_written_by_some_module() -> None:
    written = {
        name
        for module in modules()
        if module.parts[0] in LAYERS and module.name != "vocabulary.py"
        for name in re.findall(r"\b[A-Z][A-Z_]+\b", read(module))
    }
    assert set(NAMES.values()) - written == set(), "nothing writes these"


def test_the_manual_has_the_same_table() -> None:
    manual = (ROOT / "docs/logs.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([A-Z]+) \| [^|]+ \| ([^|]*) \|$", manual, re.MULTILINE)
    told = {event: (level, tuple(re.findall(r"`(\w+)`", fields))) for event, level, fields in rows}
    assert told == {line.event: (logging.getLevelName(line.level), line.fields) for line in LINES}
