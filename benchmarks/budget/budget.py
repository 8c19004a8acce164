"""The budget for the counts of the fixed load of `counts.py`, in a file that is checked in.

The rule: a count rises past its budget only by decision. The author of a change accepts the new count, and commits the
file together with the change and the reason. Limits cannot be changed: a second flush for one group is never accepted.
"""

import platform
import sqlite3
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ..terminal import Line, table
from .counts import CountedLoad

if TYPE_CHECKING:
    from rich.table import Table

Budget: TypeAlias = Mapping[str, Mapping[str, int]]

DEFAULT_PATH = Path("benchmarks") / "budget" / "budget.toml"  # of a clone, from its root

# The allowed rise of a count, as a share of its budget; other counts are exact. Twenty runs on a busy machine differed
# by 0.7 % in calls and not at all in bytes.
TOLERANCES = {"python_calls": 0.02, "wal_bytes": 0.02, "blocks_in_flight": 0.05}
# The allowed rise of a count around zero: less than one block for each instance that ran.
SLACK = {"blocks_retained": 150}

HEADER = """\
# What a fixed load may cost, in counts. `perdure bench gate` compares, and `perdure bench gate --accept` writes this
# file anew; docs/performance.md lists the counts. Accepted with {python}, SQLite {sqlite}.
"""


KEPT, ROSE, FELL, NEW = "as accepted", "rose", "fell", "new"
STYLES = {KEPT: "", FELL: "green", ROSE: "red", NEW: "yellow"}


@dataclass(frozen=True, slots=True)
class Comparison:
    counted: CountedLoad
    count: str
    accepted: int | None
    found: int

    @property
    def verdict(self) -> str:
        if self.accepted is None:
            return NEW
        room = self.accepted * TOLERANCES.get(self.count, 0) + SLACK.get(self.count, 0)
        if abs(self.found - self.accepted) <= room:
            return KEPT
        return ROSE if self.found > self.accepted else FELL

    def __str__(self) -> str:
        each = f"{self.found / self.counted.units:.4g} a {self.counted.unit}"
        if self.accepted is None:
            return f"{self.counted.name}: {self.count} is {self.found:,} ({each}) and has no budget yet"
        change = f"{self.verdict} from {self.accepted:,} to {self.found:,}"
        return f"{self.counted.name}: {self.count} {change} ({each}; {self.counted.what})"


def compared(budget: Budget, found: Sequence[CountedLoad]) -> list[Comparison]:
    """Compare every count with its budget. A missing count is zero."""
    return [
        Comparison(counted, count, accepted=budget.get(counted.name, {}).get(count), found=counted.counts.get(count, 0))
        for counted in found
        for count in dict.fromkeys((*counted.counts, *budget.get(counted.name, {})))
    ]


def beyond_limits(found: Sequence[CountedLoad]) -> Iterator[str]:
    """Yield a sentence for each limit that is exceeded."""
    for counted in found:
        counts = counted.counts
        flushes, groups, turns = counts["commits"], counts["batches"], counts["turns"]
        rows = counts.get("rows_insert_log", 0)
        limits = {
            f"{flushes} flushes for {groups} groups": flushes <= groups,
            "a transaction that comes back to a table which it has already written in the same way": (
                counts["runs_in_a_commit_max"] <= 1
            ),
            f"{rows} rows of history for {turns} turns": rows <= turns,
        }
        yield from (f"{counted.name}: {what}; at most one is allowed" for what, holds in limits.items() if not holds)


def failures(budget: Budget, found: Sequence[CountedLoad]) -> list[str]:
    # A new count has no budget yet, so it fails too.
    risen = [str(comparison) for comparison in compared(budget, found) if comparison.verdict in (ROSE, NEW)]
    return [*beyond_limits(found), *risen]


def read_budget(path: Path) -> Budget:
    return tomllib.loads(path.read_text()) if path.exists() else {}


def write_budget(path: Path, found: Sequence[CountedLoad]) -> None:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    header = HEADER.format(python=python, sqlite=sqlite3.sqlite_version)
    path.write_text("\n".join((header, *(section(counted) for counted in found))))


def section(counted: CountedLoad) -> str:
    """Format a load as a TOML table; names and numbers need no quotes."""
    lines = [f"[{counted.name}] # {counted.what}; units: {counted.units} {counted.unit}s"]
    lines += [f"{count} = {number}" for count, number in counted.counts.items()]
    return "\n".join(lines) + "\n"


def counts_table(comparisons: Sequence[Comparison]) -> "Table":
    lines: list[Line] = []
    load = ""
    for each in comparisons:
        name = each.counted.name if each.counted.name != load else ""
        load = each.counted.name
        accepted = f"{each.accepted:,}" if each.accepted is not None else "-"
        found = (f"{each.found:,}", f"{each.found / each.counted.units:.4g}", each.verdict)
        lines.append(Line((name, each.count, accepted, *found), STYLES[each.verdict], begins_section=bool(name)))
    return table(("", "", "budget", "found", "each", ""), lines, texts=2)
