"""Results: everything that was measured, as one document.

The one law: the raw figures of every run are kept, with what is needed to
repeat it; what is shown is computed from them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import msgspec

from ..drivers.measure import RunOutcome, medians, spreads
from ..machine import Machine
from ..run import Run
from ..workloads.workload import Mark, Workload
from .machine_load import MachineLoad

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A run and what it came to."""

    run: Run
    outcome: RunOutcome
    machine_load: MachineLoad | None = None  # documents of older releases have none


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A document of results."""

    format: int = FORMAT
    machine: Machine
    began_at: str  # ISO 8601, UTC
    results: list[Result] = field(default_factory=list)
    peers: dict[str, str] = field(default_factory=dict)  # other engines: what their figures are of

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read a document.

        Raises:
            msgspec.ValidationError: It is none of this format.
        """
        return msgspec.json.decode(path.read_bytes(), type=cls)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """All runs of one workload by one driver, summed up for a table."""

    workload: Workload
    driver: str
    runs: int
    figures: dict[str, float]  # medians over the runs
    spreads: dict[str, float]  # (highest - lowest) / median; empty for a single run

    def marks(self) -> Iterator[tuple[Mark, bool]]:
        """The marks that were measured, and whether each was reached."""
        for mark in self.workload.marks:
            holds = mark.driver == self.driver and mark.in_flight in (None, self.workload.in_flight)
            if holds and mark.figure in self.figures:
                yield mark, mark.reached(self.figures[mark.figure])


def interleaved(workloads: Iterable[Workload], drivers: Sequence[str], repeat: int) -> list[tuple[Workload, str]]:
    """The order of runs: all once, then all again, so that what else the machine does hits them alike."""
    once = [(workload, driver) for workload, driver in product(workloads, drivers) if driver in workload.drivers]
    return once * repeat


def rows(workloads: Iterable[Workload], results: Results) -> list[ResultRow]:
    """Sum up runs, in the order of the workloads; those with another load, or number of processes, stand apart."""
    found = []
    for workload in workloads:
        for driver in workload.drivers:
            runs = [
                result.outcome.figures
                for result in results.results
                if result.run.driver == driver and is_of(workload, result.run)
            ]
            if runs:
                found.append(
                    ResultRow(
                        workload=workload,
                        driver=driver,
                        runs=len(runs),
                        figures=medians(runs),
                        spreads=spreads(runs),
                    )
                )
    return found


def is_of(workload: Workload, run: Run) -> bool:
    """Whether a run is of this workload, as it is run here."""
    return (run.workload, run.in_flight, run.rate, run.processes) == (
        workload.name,
        workload.in_flight,
        workload.rate,
        workload.processes,
    )
