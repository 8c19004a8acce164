"""What an engine on PostgreSQL has of what it has on SQLite in the same run, and what several hosts cost beside one.

`benchmarks/cli.py` prints it under the report.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import click

from ..drivers.postgres_driver import SHARE_MIN, check_address
from ..workloads.workload import POSTGRES, PROCESS, Workload
from .results import Results, is_of

FIGURE = "units_per_s"
ENGINE_CPU, SERVER_CPU = "cpu_ms_per_unit", "server_cpu_ms_per_unit"
# How many times the CPU of one host a step may take on so many, hosts and server together.
GROWTH_MAX, GROWTH_HOSTS = 1.2, 4
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


def lines_of(workloads: Sequence[Workload], results: Results) -> str:
    """What stands under the report of a run on a database, a line for each comparison."""
    return "\n".join((*shares_of(workloads, results), *growths_of(workloads, results)))


def shares_of(workloads: Sequence[Workload], results: Results) -> list[str]:
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
        pairs = _pairs(shares)
        mark = f" (mark: at least {SHARE_MIN})" if (workload.name, workload.in_flight) == OF_MARK else ""
        lines.append(
            f"{workload.name} with {workload.in_flight} in flight: on PostgreSQL {median(shares):.2f} of SQLite"
            f"{pairs}{mark}"
        )
    return lines


def growths_of(workloads: Sequence[Workload], results: Results) -> list[str]:
    """A line for each workload that was run on several hosts: what a step takes of the CPU, beside one host.

    Hosts and server together; hosts alone, if the server cannot be seen.
    """
    alone = {(one.name, one.in_flight): one for one in workloads if one.processes == 1}
    lines = []
    for workload in workloads:
        hosts = workload.processes
        if hosts == 1:
            continue
        first, several = (_cpus(one, results) for one in (alone[workload.name, workload.in_flight], workload))
        growths = [theirs / ours for ours, theirs in zip(first, several, strict=False)]
        if not growths:
            continue
        of_mark = (workload.name, workload.in_flight, hosts) == (*OF_MARK, GROWTH_HOSTS)
        mark = f" (mark: at most {GROWTH_MAX})" if of_mark else ""
        whose = "hosts and server together" if _server_seen(results) else "hosts alone"
        what = (
            f"a {workload.unit.removesuffix('s')} takes {median(growths):.2f} of the CPU that it takes on one, {whose}"
        )
        lines.append(
            f"{workload.name} with {workload.in_flight} in flight on each of {hosts} hosts: {what}"
            f"{_pairs(growths)}{mark}"
        )
    return lines


def _cpus(workload: Workload, results: Results) -> list[float]:
    """The CPU of a unit in each run on the database, milliseconds."""
    found = (
        result.outcome.figures
        for result in results.results
        if result.run.driver == POSTGRES and is_of(workload, result.run)
    )
    return [figures[ENGINE_CPU] + figures.get(SERVER_CPU, 0.0) for figures in found if ENGINE_CPU in figures]


def _server_seen(results: Results) -> bool:
    of_database = [result for result in results.results if result.run.driver == POSTGRES]
    return all(SERVER_CPU in result.outcome.figures for result in of_database)


def _pairs(ratios: Sequence[float]) -> str:
    """How far the ratios of several pairs lie apart."""
    return f", median of {len(ratios)} pairs from {min(ratios):.2f} to {max(ratios):.2f}" if ratios[1:] else ""
