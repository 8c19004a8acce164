"""Cases that nobody measured, for the tests of what is drawn and compared."""

from collections.abc import Sequence
from dataclasses import replace

from perdure.benchmarks.drivers.measure import RunOutcome
from perdure.benchmarks.report.results import Result

from .results import result


def measured(
    workload: str = "W1",
    driver: str = "process",
    *,
    in_flight: int = 50,
    rate: float | None = None,
    latencies_us: Sequence[int] = (),
    series: dict[str, list[float]] | None = None,
    **figures: float,
) -> Result:
    usual = result(workload, driver)
    run = replace(usual.run, in_flight=in_flight, rate=rate)
    outcome = RunOutcome(figures=figures, latencies_us=list(latencies_us), series=series or {})
    return Result(run=run, outcome=outcome)


def with_figures(found: Result, figures: dict[str, float]) -> Result:
    return replace(found, outcome=replace(found.outcome, figures=figures))


def with_options(found: Result, *, durability: str = "full", seconds: float = 4.0) -> Result:
    return replace(found, run=replace(found.run, durability=durability, seconds=seconds))
