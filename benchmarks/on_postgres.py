"""What an engine on PostgreSQL has of what it has on SQLite, in the same run.

`benchmarks/cli.py` prints it under the report.
"""

from collections.abc import Sequence
from pathlib import Path

import click

from .postgres_driver import SHARE_MIN, check_address
from .results import Results, rows
from .workload import POSTGRES, PROCESS, Workload

FIGURE = "units_per_s"
OF_MARK = ("W1", 50)  # workload, and how many are in flight


def folder_or_database(value: str | None) -> Path | str | None:
    """Read --data.

    Raises:
        click.BadParameter: It is an address that cannot be taken.
    """
    if value is None or "://" not in value:
        return Path(value) if value is not None else None
    try:
        return check_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def shares_of(workloads: Sequence[Workload], results: Results) -> str:
    """A line for each workload that was run on both stores."""
    found = rows(workloads, results)
    lines = []
    for row in found:
        same = [one for one in found if one.driver == PROCESS and one.workload == row.workload]
        if row.driver != POSTGRES or not same or FIGURE not in row.figures:
            continue
        share = row.figures[FIGURE] / same[0].figures[FIGURE]
        mark = f" (mark: at least {SHARE_MIN})" if (row.workload.name, row.workload.in_flight) == OF_MARK else ""
        lines.append(
            f"{row.workload.name} with {row.workload.in_flight} in flight: on PostgreSQL {share:.2f} of SQLite{mark}"
        )
    return "\n".join(lines)
