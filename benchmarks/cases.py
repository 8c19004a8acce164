"""Cases: the runs of a results document that were alike, and what they came to together.

The one law: what is shown is computed from the raw figures of the runs, and
always with how far they lie apart. A single run has no spread, and nothing here
makes one up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from .machine import Machine
from .measure import Outcome, medians, spreads
from .results import Results, Row
from .run import Run
from .workloads import BY_NAME, DRIVERS, Workload

SECONDS_MARKED = 3.0  # a run that is over sooner was spent warming up, and says nothing about marks


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
    outcomes: list[Outcome]

    @property
    def rate(self) -> float | None:
        """Instances a second that arrive; None where each is started in the place of another."""
        # A document of before there were rates has none.
        rate: float | None = getattr(self.run, "rate", None)
        return rate

    @property
    def workload(self) -> Workload:
        """As it was run, with the marks that hold for that."""
        found: Workload = getattr(self.run, "variant", None) or BY_NAME[self.run.workload].with_in_flight(
            self.run.in_flight
        )
        return found if self._marked(found) else found.without_marks()

    def row(self) -> Row:
        """The same as a row of a table."""
        figures = [outcome.figures for outcome in self.outcomes]
        return Row(
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

    def _marked(self, workload: Workload) -> bool:
        run = self.run
        usual = run.instances in (None, getattr(workload, "instances", None))
        return run.durability == "full" and not run.always_replay and run.seconds >= SECONDS_MARKED and usual


def cases_of(documents: Iterable[Results]) -> list[Case]:
    """Put like to like, in the order of the workloads, the drivers and the load."""
    found: dict[tuple[Run, str], Case] = {}
    for document in documents:
        for result in document.results:
            key = (result.run, build_of(document.machine))
            case = found.setdefault(key, Case(run=result.run, machine=document.machine, outcomes=[]))
            case.outcomes.append(result.outcome)
    workloads = list(BY_NAME)
    return sorted(
        found.values(),
        key=lambda case: (
            workloads.index(case.run.workload),
            DRIVERS.index(case.run.driver) if case.run.driver in DRIVERS else len(DRIVERS),
            case.rate or 0.0,
            case.run.in_flight,
        ),
    )


def build_of(machine: Machine) -> str:
    """What has to be the same for runs to be put together."""
    what = (machine.perdure, machine.python, machine.sqlite, machine.uvloop, machine.processor, machine.cores)
    return ", ".join(str(each) for each in what)


# What a run's options are on the command line. Those of later releases are named like their fields.
SAID_OTHERWISE = {"workload", "driver", "in_flight"}


def commands_of(cases: Sequence[Case]) -> list[str]:
    """The commands that measure these again; those that differ in the workload only are one."""
    found: dict[str, list[str]] = {}
    for case in cases:
        named = found.setdefault(rest_of_command(case), [])
        if case.run.workload not in named:
            named.append(case.run.workload)
    return [
        f"perdure bench {' '.join(f'--workload {name}' for name in workloads)} {rest}"
        for rest, workloads in found.items()
    ]


def rest_of_command(case: Case) -> str:
    """All of the command but its workload."""
    run = case.run
    words = [f"--driver {run.driver}" if run.driver in DRIVERS else f"--peer {run.driver}"]
    if case.rate is None and run.in_flight != BY_NAME[run.workload].in_flight:
        words.append(f"--in-flight {run.in_flight}")
    words += [option(name, value) for name, value in asdict(run).items() if name not in SAID_OTHERWISE and value]
    if len(case.outcomes) > 1:
        words.append(f"--repeat {len(case.outcomes)}")
    return " ".join(words)


def option(name: str, value: Any) -> str:
    flag = f"--{name.replace('_', '-')}"
    if value is True:
        return flag
    return f"{flag} {value:g}" if isinstance(value, float) else f"{flag} {value}"
