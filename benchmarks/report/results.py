"""Results: all measurements as one document; and cases: runs of documents with the same options.

The rule: a document keeps the raw figures of every run, with the options that repeat it. Every shown figure is computed
from them, with the spread of the runs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec

from ..drivers.measure import RunOutcome
from ..peers.peers import PEER_TITLES
from ..workloads.run import Run
from ..workloads.table import BY_NAME
from ..workloads.workload import DRIVERS, HTTP, POSTGRES, PROCESS, SDK, SDK_FORGETFUL, STUB, Mark
from .machine import Machine, MachineLoad

FORMAT = 1
DRIVER_TITLES = {
    PROCESS: "process",
    HTTP: "HTTP",
    POSTGRES: "PostgreSQL",
    **PEER_TITLES,
    STUB: "SDK, stub",
    SDK: "SDK",
    SDK_FORGETFUL: "SDK, forgetful",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    run: Run
    outcome: RunOutcome
    machine_load: MachineLoad | None = None  # documents of older releases have none


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    format: int = FORMAT
    machine: Machine
    began_at: str  # ISO 8601, UTC
    results: list[Result] = field(default_factory=list)
    peers: dict[str, str] = field(default_factory=dict)  # descriptions of the other engines

    def write(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read a document; `msgspec.DecodeError` if it has another format."""
        return msgspec.json.decode(path.read_bytes(), type=cls)


class Range(NamedTuple):
    median: float
    low: float
    high: float
    runs: int

    @property
    def spread(self) -> float | None:
        """(highest - lowest) / median; None for a single run or a median around zero."""
        return (self.high - self.low) / self.median if self.runs > 1 and self.median > 0 else None

    def overlaps(self, other: "Range") -> bool:
        return self.low <= other.high and other.low <= self.high


def range_of(values: Sequence[float]) -> Range:
    return Range(median(values), min(values), max(values), len(values))


def figures_of(outcomes: Sequence[RunOutcome]) -> dict[str, Range]:
    values: dict[str, list[float]] = {}
    for outcome in outcomes:
        for name, value in outcome.figures.items():
            values.setdefault(name, []).append(value)
    return {name: range_of(found) for name, found in values.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Runs with the same options on the same build and machine."""

    run: Run
    machine: Machine
    outcomes: list[RunOutcome]
    # The differences from the other cases of a report.
    way: str = ""  # the driver, with options and machine if there are several
    extent: str = ""  # if its workload has several
    color: int = 0  # the same in every chart for its driver and number of processes

    @property
    def label(self) -> str:
        return f"{self.way}, {self.extent}" if self.extent else self.way

    @property
    def title(self) -> str:
        return f"{self.run.workload} {self.run.variant.title}"

    @property
    def driver_title(self) -> str:
        """The driver, with the number of processes if there are several."""
        title = DRIVER_TITLES.get(self.run.driver, self.run.driver)
        return title if self.run.processes == 1 else f"{title} x{self.run.processes}"

    @property
    def name(self) -> str:
        return f"{self.title}, {self.driver_title}"

    @property
    def figures(self) -> dict[str, Range]:
        return figures_of(self.outcomes)

    def marks(self) -> list[Mark]:
        """The marks that apply and were measured."""
        run, figures = self.run, self.figures
        return [
            mark
            for mark in (run.variant.marks if run.marked else ())
            if mark.driver == run.driver and mark.in_flight in (None, run.in_flight) and mark.figure in figures
        ]


def cases_of(documents: Iterable[Results]) -> list[Case]:
    """Group runs with the same options, ordered by workload, load and driver."""
    found: dict[tuple[Run, str], Case] = {}
    for document in documents:
        for result in document.results:
            run = result.run.anywhere()
            key = (run, build_of(document.machine))
            case = found.setdefault(key, Case(run=run, machine=document.machine, outcomes=[]))
            case.outcomes.append(result.outcome)
    workloads, drivers = list(BY_NAME), list(DRIVER_TITLES)

    def place(case: Case) -> tuple[float, ...]:
        run = case.run
        return (
            *(workloads.index(run.workload), run.rate or 0.0, run.in_flight, run.processes),
            drivers.index(run.driver) if run.driver in drivers else len(drivers),
        )

    return told_apart(sorted(found.values(), key=place))


def build_of(machine: Machine) -> str:
    """The part of the machine that must be equal within a case."""
    what = (machine.perdure, machine.python, machine.sqlite, machine.uvloop, machine.processor, machine.cores)
    return ", ".join(str(each) for each in what)


def extent_of(case: Case) -> str:
    return f"{case.run.seconds:g} s" if case.run.instances is None else f"{case.run.instances} instances"


def told_apart(cases: Sequence[Case]) -> list[Case]:
    """Set the differences of each case from the others."""
    builds = list(dict.fromkeys(build_of(case.machine) for case in cases))
    drivers = list(dict.fromkeys(case.driver_title for case in cases))
    options = {(case.run.durability, case.run.always_replay) for case in cases}
    extents: dict[tuple[str, float | None], set[str]] = {}
    for case in cases:
        extents.setdefault((case.run.workload, case.run.rate), set()).add(extent_of(case))
    found = []
    for case in cases:
        words = [case.driver_title]
        if len(options) > 1:
            words += [case.run.durability, *(["replayed"] if case.run.always_replay else [])]
        if len(builds) > 1:
            words.append(f"machine {builds.index(build_of(case.machine)) + 1}")
        extent = extent_of(case) if len(extents[case.run.workload, case.run.rate]) > 1 else ""
        found.append(replace(case, way=", ".join(words), extent=extent, color=drivers.index(case.driver_title)))
    return found


# The first options on the command line; the others have the names of their fields.
SAID_FIRST = {"workload", "driver", "in_flight", "rate"}


def commands_of(cases: Sequence[Case]) -> list[str]:
    """The commands that repeat these cases; commands that differ only in workload and load are combined."""
    loads: dict[tuple[str, bool, str, str], list[Run]] = {}
    for case in cases:
        run = case.run
        # A rate excludes a number in flight.
        loads.setdefault((run.workload, run.rate is None, reached_by(run), options_of(case)), []).append(run)
    found: dict[str, list[str]] = {}
    for (workload, _, driver, options), runs in loads.items():
        found.setdefault(" ".join((driver, *load_of(runs), options)), []).append(workload)
    return [
        f"perdure bench {' '.join(f'--workload {name}' for name in workloads)} {rest}"
        for rest, workloads in found.items()
    ]


def reached_by(run: Run) -> str:
    if run.driver == POSTGRES:
        return f"--driver {PROCESS}"  # and an address, which stands among the options
    if run.driver in (STUB, SDK, SDK_FORGETFUL):
        return "--driver sdk --sdk-python PYTHON"
    return f"--driver {run.driver}" if run.driver in DRIVERS else f"--peers DIR --peer {run.driver}"


def load_of(runs: Sequence[Run]) -> list[str]:
    """The options for the load of runs of one workload; empty for the workload's own load."""
    if rates := [f"--rate {run.rate:g}" for run in runs if run.rate is not None]:
        return rates
    numbers = dict.fromkeys(run.in_flight for run in runs)
    own = {variant.in_flight for variant in BY_NAME[runs[0].workload].variants()}
    return [] if numbers.keys() == own else [f"--in-flight {number}" for number in numbers]


def options_of(case: Case) -> str:
    """The options besides workload, driver and load."""
    said = asdict(case.run)
    if case.run.instances == BY_NAME[case.run.workload].instances:
        del said["instances"]
    processes, database = said.pop("processes"), said.pop("database")
    if processes != 1:
        said["processes" if database is None else "hosts"] = processes
    said["data"] = database
    words = [option(name, value) for name, value in said.items() if name not in SAID_FIRST and value]
    if len(case.outcomes) > 1:
        words.append(f"--repeat {len(case.outcomes)}")
    return " ".join(words)


def option(name: str, value: Any) -> str:
    flag = f"--{name.replace('_', '-')}"
    if value is True:
        return flag
    return f"{flag} {value:g}" if isinstance(value, float) else f"{flag} {value}"
