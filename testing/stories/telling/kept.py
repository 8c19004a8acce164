"""Failures that are kept from one run of a test to the next, so that it begins with them.

The rule: a file holds the schedules of one test, as people can read and send them.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ...simulation.choices import Schedule, read_schedule, told
from ..errors import SimulationMisuse

FOLDER = Path(".perdure") / "failures"
NAME_MAX = 200  # of the 255 bytes that a name has in most file systems; parameters can be long texts
FORMAT = "perdure-schedules-1"


def failures_file(root: Path, node: str) -> Path:
    """The file of a test.

    Args:
        root: The folder of pytest.
        node: The name of the test in pytest.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", node).strip("-")
    if len(name) > NAME_MAX:
        mark = hashlib.sha256(node.encode(errors="surrogatepass")).hexdigest()
        name = f"{name[:NAME_MAX]}-{mark[:8]}"
    return root / FOLDER / f"{name}.json"


def write_schedules(file: Path, node: str, schedules: Iterable[Schedule], why: str) -> None:
    """Write schedules down; without any, delete the file."""
    lines = [told(schedule) for schedule in schedules]
    if not lines:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"format": FORMAT, "test": node, "why": why, "schedules": lines}
    file.write_text(json.dumps(content, indent=2) + "\n")


class KeptSchedules(NamedTuple):
    """The content of a file of schedules.

    Args:
        test: What pytest called the test that has failed.
        schedules: One at least.
    """

    test: str
    schedules: list[Schedule]


def read_schedules(file: Path) -> KeptSchedules:
    """Read the schedules of kept failures.

    Raises:
        SimulationMisuse: The file does not exist, or has another format.
    """
    try:
        content = json.loads(file.read_text())
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}")
        lines = content["schedules"]
        if not isinstance(lines, list) or not lines or not all(isinstance(line, str) for line in lines):
            raise ValueError("its schedules are no list of lines")
        return KeptSchedules(str(content.get("test")), [read_schedule(line) for line in lines])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise SimulationMisuse(
            f"{file} holds no schedules ({FORMAT}): {error}. Give --perdure-schedule the file that a failure names; if "
            "this is that file, delete it, and the next failure writes it again"
        ) from error
