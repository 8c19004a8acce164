"""Made-up results, and a receiver of progress, for the tests of the benchmarks."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from perdure.benchmarks.drivers.measure import RunOutcome
from perdure.benchmarks.performing import perform
from perdure.benchmarks.report.machine import Machine
from perdure.benchmarks.report.results import Result, Results
from perdure.benchmarks.workloads.run import Run
from perdure.benchmarks.workloads.table import BY_NAME

MACHINE = Machine(
    perdure="1.2.3",
    python="CPython 3.11.7",
    sqlite="3.40.1",
    uvloop="0.21.0",
    system="Linux 6",
    processor="a processor",
    cores=2,
    flush_ms=0.25,
)
OPTIONS = {field.name for field in fields(Run)}


def run_of(workload: str = "W1", driver: str = "process", **options: Any) -> Run:
    usual = {"in_flight": BY_NAME[workload].in_flight, "seconds": 4.0}
    return Run(workload=workload, driver=driver, **(usual | options))


def measured(
    workload: str = "W1",
    driver: str = "process",
    *,
    latencies_us: Sequence[int] = (),
    series: dict[str, list[float]] | None = None,
    figures: Mapping[str, float] | None = None,
    **values: Any,
) -> Result:
    """A run with options, and its results; `figures` are those with the name of an option."""
    run = run_of(workload, driver, **{name: value for name, value in values.items() if name in OPTIONS})
    found = {name: value for name, value in values.items() if name not in OPTIONS} | dict(figures or {})
    return Result(run=run, outcome=RunOutcome(figures=found, latencies_us=list(latencies_us), series=series or {}))


def results(*found: Result) -> Results:
    return Results(machine=MACHINE, began_at="2026-01-02T03:04:05+00:00", results=list(found))


async def performed(
    folder: Path, workload: str, driver: str = "process", *, parts: "Parts | None" = None, **options: Any
) -> RunOutcome:
    """Carry out a run, in this process; `options` are those of `run_of`."""
    return await perform(run_of(workload, driver, **options), folder, parts or Parts())


class Parts:
    """Receives the progress of a run."""

    def __init__(self) -> None:
        self.told: list[tuple[float, int]] = []

    def part(self, share: float, units: int) -> None:
        assert 0 <= share <= 1
        self.told.append((share, units))
