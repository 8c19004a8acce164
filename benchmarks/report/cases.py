"""Cases: the runs of a results document that were alike, and what they came to together.

The one law: what is shown is computed from the raw figures of the runs, and
always with how far they lie apart. A single run has no spread, and nothing here
makes one up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from ..drivers.measure import RunOutcome, medians, spreads
from ..machine import Machine
from ..run import Run
from ..workloads.table import BY_NAME
from ..workloads.workload import DRIVERS, POSTGRES, PROCESS, Workload
from .results import ResultRow, Results


@dataclass(frozen=True, slots=True)
class Range:
    """A figure over several runs."""

    median: float
    low: float
    high: float
    runs: int

    def overlaps(self, other: "Range") -> bool:
        return self.low <= other.high and other.low <= self.high


def range_of(values: Sequence[float]) -> Range:
    return Range(median(values), min(values), max(values), len(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Runs with the same options on the same build and machine."""

    run: Run
    machine: Machine
    outcomes: list[RunOutcome]

    @property
    def rate(self) -> float | None:
        """Instances a second that arrive; None where each is started in the place of another."""
        return self.run.rate

    @property
    def workload(self) -> Workload:
        """As it was run, with the marks that hold for that."""
        run, found = self.run, self.run.variant
        plain = run.durability == "full" and not run.always_replay
        marked = plain and found.marks_hold(seconds=run.seconds, instances=run.instances)
        return found if marked else found.without_marks()

    def row(self) -> ResultRow:
        """The same as a row of a table."""
        figures = [outcome.figures for outcome in self.outcomes]
        return ResultRow(
            workload=self.workload,
            driver=self.run.driver,
            runs=len(figures),
            figures=medians(figures),
            spreads=spreads(figures),
        )

    def figures(self) -> dict[str, Range]:
        names = dict.fromkeys(name for outcome in self.outcomes for name in outcome.figures)
        return {name: self.figure(name) for name in names}

    def figure(self, name: str) -> Range:
        return range_of([outcome.figures[name] for outcome in self.outcomes if name in outcome.figures])

    def has(self, name: str) -> bool:
        return any(name in outcome.figures for outcome in self.outcomes)


def cases_of(documents: Iterable[Results]) -> list[Case]:
    """Put like to like, in the order of the workloads, the drivers and the load."""
    found: dict[tuple[Run, str], Case] = {}
    for document in documents:
        for result in document.results:
            run = replace(result.run, peers=None)  # in whichever folder they are installed
            key = (run, build_of(document.machine))
            case = found.setdefault(key, Case(run=run, machine=document.machine, outcomes=[]))
            case.outcomes.append(result.outcome)
    workloads = list(BY_NAME)
    return sorted(
        found.values(),
        key=lambda case: (
            workloads.index(case.run.workload),
            DRIVERS.index(case.run.driver) if case.run.driver in DRIVERS else len(DRIVERS),
            case.rate or 0.0,
            case.run.in_flight,
            case.run.processes,
        ),
    )


def build_of(machine: Machine) -> str:
    """What has to be the same for runs to be put together."""
    what = (machine.perdure, machine.python, machine.sqlite, machine.uvloop, machine.processor, machine.cores)
    return ", ".join(str(each) for each in what)


# What stands in front of a run's other options on the command line; those are named like their fields.
SAID_FIRST = {"workload", "driver", "in_flight", "rate"}


def commands_of(cases: Sequence[Case]) -> list[str]:
    """The commands that measure these again; those that differ in workload and load only are one."""
    loads: dict[tuple[str, bool, str, str], list[Run]] = {}
    for case in cases:
        run = case.run
        # A rate and a number in flight exclude each other.
        key = (run.workload, run.rate is None, reached_by(run), options_of(case))
        loads.setdefault(key, []).append(run)
    found: dict[str, list[str]] = {}
    for (workload, _, driver, options), runs in loads.items():
        command = " ".join((driver, *load_of(runs), options))
        found.setdefault(command, []).append(workload)
    return [
        f"perdure bench {' '.join(f'--workload {name}' for name in workloads)} {rest}"
        for rest, workloads in found.items()
    ]


def reached_by(run: Run) -> str:
    if run.driver == POSTGRES:
        return f"--driver {PROCESS}"  # and an address, which stands among the options
    return f"--driver {run.driver}" if run.driver in DRIVERS else f"--peers DIR --peer {run.driver}"


def load_of(runs: Sequence[Run]) -> list[str]:
    """What is put onto the engine by runs of one workload; nothing, if that is all that it has of its own."""
    if rates := [f"--rate {run.rate:g}" for run in runs if run.rate is not None]:
        return rates
    numbers = dict.fromkeys(run.in_flight for run in runs)
    own = {variant.in_flight for variant in BY_NAME[runs[0].workload].variants()}
    return [] if numbers.keys() == own else [f"--in-flight {number}" for number in numbers]


def options_of(case: Case) -> str:
    """All of the command that is neither its workload, nor its driver, nor its load."""
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
