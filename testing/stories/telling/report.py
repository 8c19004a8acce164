"""The report of a failure: its error, its story, the usual remedy, and the line that replays it.

The rule: it is plain text for a person who has not seen this world before.
"""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...simulation.choices import told
from ...simulation.search.attempt import Attempt, text_of
from ...simulation.trace import TracedLine
from ..errors import InvariantFailed
from ..trial.trying import Finding, Tried
from .hints import hint

LINES_MAX = 60  # of a story
MARK = "<- fails here"


def report(name: str, finding: Finding, tried: Tried, *, confirmed: str, node: str | None, file: Path | None) -> str:
    """Write the report of a failure.

    Args:
        name: Of the test.
        confirmed: The outcome of a run in a process of its own.
        node: The name of the test in pytest; None: it is not run by pytest.
        file: Where its schedule is kept.
    """
    failure = finding.failure
    attempt = failure.attempt
    assert attempt is not None
    parts = [headline(name, failure.error), "", story(attempt)]
    if (advice := hint(failure.error, attempt.facts)) is not None:
        parts += ["", f"  {advice}"]
    line = told(failure.schedule)
    parts += ["", f"Found {_found(finding, tried)}"]
    if finding.others:
        shown = ", ".join(repr(told(schedule)) for schedule in finding.others[:6])
        parts.append(f"Also: {shown}{', ...' if len(finding.others) > 6 else ''}")
    parts.append(f"Confirmed: {confirmed}")
    if node is not None and file is not None:
        parts.append(f"Replay: pytest '{node}' --perdure-schedule {_short(file)}")
    if line:
        parts.append(f'Keep: @schedule("{line}")')
    parts.append(versions())
    return "\n".join(parts)


def headline(name: str, error: Exception) -> str:
    """The failure, in a line."""
    text = text_of(error).split("\nassert ")[0] or repr(error)
    if isinstance(error, InvariantFailed):
        return f"{error.name}: {error.what.split(chr(10) + 'assert ')[0]}"
    kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
    return f"{name}: {kind}{text}"


def story(attempt: Attempt) -> str:
    """The events of a world; the place of its failure is marked."""
    lines = [_line(line) for line in attempt.lines]
    if lines and attempt.error is not None:
        lines[-1] = f"{lines[-1]:<75} {MARK}"
    if len(lines) > LINES_MAX:
        cut = len(lines) - LINES_MAX
        lines = [*lines[:10], f"    ... {cut} more ...", *lines[10 + cut :]]
    return "\n".join(lines)


def versions() -> str:
    """The versions with which the schedule was found."""
    found = [f"Python {platform.python_version()}"]
    for name in ("anyio", "perdure"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def story_of(lines: Sequence[TracedLine]) -> str:
    """The lines of a world, one below the other."""
    return "\n".join(map(_line, lines))


def _line(line: TracedLine) -> str:
    return f"  {'!' if line.fault else ' '} {line.at_s:>12.6f} s  {line.who:<8} {line.what}"


def _found(finding: Finding, tried: Tried) -> str:
    small = finding.failure
    shrunk = ""
    if finding.before is not None:
        shrunk = f", and made smaller from {finding.before} choices to {len(small.schedule)} in {small.runs} worlds"
    return f"{finding.how}{shrunk} ({tried.worlds} worlds in {tried.seconds:.1f} s)."


def _short(file: Path) -> str:
    try:
        return str(file.relative_to(Path.cwd()))
    except ValueError:
        return str(file)
