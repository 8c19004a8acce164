"""What an engine on PostgreSQL has of what it has on SQLite, in the same run.

`benchmarks/cli.py` prints it under the report.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import click

from .postgres_driver import SHARE_MIN, check_address
from .results import Results, is_of
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
    """A line for each workload that was run on both stores.

    The first run on PostgreSQL is compared with the first on SQLite, the second with the second, and so on: what else
    the machine did hit both.
    """
    lines = []
    for workload in workloads:
        rates = {
            driver: [
                result.outcome.figures[FIGURE]
                for result in results.results
                if result.run.driver == driver and is_of(workload, result.run) and FIGURE in result.outcome.figures
            ]
            for driver in (PROCESS, POSTGRES)
        }
        shares = [ours / theirs for ours, theirs in zip(rates[POSTGRES], rates[PROCESS], strict=False)]
        if not shares:
            continue
        pairs = f", median of {len(shares)} pairs from {min(shares):.2f} to {max(shares):.2f}" if shares[1:] else ""
        mark = f" (mark: at least {SHARE_MIN})" if (workload.name, workload.in_flight) == OF_MARK else ""
        lines.append(
            f"{workload.name} with {workload.in_flight} in flight: on PostgreSQL {median(shares):.2f} of SQLite"
            f"{pairs}{mark}"
        )
    return "\n".join(lines)
