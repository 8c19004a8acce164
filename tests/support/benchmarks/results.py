"""Results that nobody measured, for the tests of what becomes of results."""

from dataclasses import replace

from perdure.benchmarks.drivers.measure import RunOutcome
from perdure.benchmarks.machine import Machine
from perdure.benchmarks.report.results import Result, Results
from perdure.benchmarks.run import Run
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


def result(workload: str, driver: str, **figures: float) -> Result:
    run = Run(
        workload=workload,
        driver=driver,
        in_flight=BY_NAME[workload].in_flight,
        seconds=4.0,
        instances=None,
        durability="full",
        always_replay=False,
    )
    return Result(run=run, outcome=RunOutcome(figures=figures, latencies_us=[1, 2]))


def in_flight(number: int, found: Result) -> Result:
    """The same with so many under way."""
    return replace(found, run=replace(found.run, in_flight=number))


def arriving(rate: float, found: Result) -> Result:
    """The same at a rate."""
    return replace(found, run=replace(found.run, rate=rate))


def on_processes(number: int, found: Result) -> Result:
    """The same by so many processes."""
    return replace(found, run=replace(found.run, processes=number))


def results(*found: Result) -> Results:
    return Results(machine=MACHINE, began_at="2026-01-02T03:04:05+00:00", results=list(found))
