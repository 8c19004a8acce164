"""The output of a command, compared with the output on a page.

The rule: text that differs from run to run is left out of the comparison (ids that the daemon makes, moments, lengths
of
time and of texts, ports, the widths of columns), and nothing else. A line `...` of a page stands for any number of
lines, and `…` in it for any text. JSON is compared by its values.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

ANY = "..."
ELLIPSIS = "…"


def compared(lines: Sequence[str]) -> list[str]:
    """Lines without the text that differs from run to run."""
    kept = []
    for line in lines:
        text = re.sub(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b[0-9a-f]{32}\b", "<id>", line)
        text = re.sub(r"\d{4}-\d\d-\d\d[ T][\d:]{8}(\.\d+)?Z?", "<moment>", text)
        text = re.sub(r"(?<![\w-])(\d+(\.\d+)?[dhms])+\b", "<time>", text)
        text = re.sub(r"[\d,]+ bytes", "<size>", text)
        text = re.sub(r"\b\d{16}\b", "<moment>", text)
        text = re.sub(r"\b127\.0\.0\.1:\d+", "<address>", text)
        if text := re.sub(r"\s+", " ", text).strip():
            kept.append(text)
    return kept


def shows(printed: Sequence[str], shown: Sequence[str]) -> bool:
    """Whether an output matches a page."""
    try:
        said, real = json.loads("".join(shown)), json.loads("".join(printed))
    except ValueError:
        pattern = "".join(r"(?:.*\n)*?" if line == ANY else _pattern(line) + r"\n" for line in compared(shown))
        return re.fullmatch(pattern, "".join(f"{line}\n" for line in compared(printed))) is not None
    return fits(real, said)


def _pattern(line: str) -> str:
    return ".*".join(map(re.escape, line.split(ELLIPSIS)))


def fits(real: Any, said: Any) -> bool:
    """Whether a value matches a page: the same keys, and the same texts but for parts that differ from run to run."""
    if isinstance(said, dict):
        return isinstance(real, dict) and real.keys() == said.keys() and all(fits(real[key], said[key]) for key in said)
    if isinstance(said, list):
        return isinstance(real, list) and len(real) == len(said) and all(map(fits, real, said))
    if isinstance(said, str):
        return isinstance(real, str) and shows_text(real, said)
    return bool(real == said)


def shows_text(real: str, said: str) -> bool:
    """Whether a text matches a page."""
    pattern = "\n".join(map(_pattern, compared(said.splitlines())))
    return re.fullmatch(pattern, "\n".join(compared(real.splitlines()))) is not None
