"""Ratios of speed or cost between two ways to run a workload.

The rule: only consecutive runs are compared, which other work of the machine affects equally.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple, TypeAlias

from ..peers.peers import DBOS_POSTGRES, DBOS_SQLITE, PEERS, RESTATE
from ..workloads.run import Run
from ..workloads.table import LONG_CHAIN
from ..workloads.workload import DRIVERS, POSTGRES, PROCESS, SDK, STUB, Bound
from .results import Case, Range, Results, build_of, cases_of, range_of

Figures: TypeAlias = Mapping[str, float]


def rate(figures: Figures) -> float:
    return figures["units_per_s"]


def cpu(figures: Figures) -> float:
    """The CPU of a unit, with the server's if that can be seen."""
    return figures["cpu_ms_per_unit"] + figures.get("server_cpu_ms_per_unit", 0.0)


def engine_growth(ours: Figures, stub: Figures) -> float:
    """The growth of the engine's part of a turn with the history, relative to the stub's."""
    first, last = (ours[f"host_{end}_ms"] - stub[f"host_{end}_ms"] for end in ("first", "last"))
    return last / first


def ratio_of(figure: Callable[[Figures], float]) -> Callable[[Figures, Figures], float]:
    return lambda ours, theirs: figure(ours) / figure(theirs)


class Pairing(NamedTuple):
    """Two ways that are compared."""

    what: str  # the text of the ratio
    driver: str  # of our run
    other: str  # of the counterpart
    value: Callable[[Figures, Figures], float] = ratio_of(rate)
    several: bool = False  # our run has several processes or hosts, and the counterpart one
    workload: str | None = None  # of both; None: any

    def counterpart(self, run: Run) -> Run | None:
        """The counterpart of a run of ours; None for other runs."""
        if run.driver != self.driver or run.rate is not None or self.several != (run.processes > 1):
            return None
        if self.workload is not None and run.workload != self.workload:
            return None
        return replace(run, driver=self.other, processes=1)

    def values(self, ours: Case, theirs: Case) -> Iterator[float]:
        """Yield the ratio of each pair of runs that have the figures."""
        for our, their in zip(ours.outcomes, theirs.outcomes, strict=False):
            with suppress(KeyError):
                yield self.value(our.figures, their.figures)


PAIRINGS = (
    *(Pairing("times as fast", driver, peer) for peer in PEERS for driver in (*DRIVERS, POSTGRES)),
    Pairing("of its rate", POSTGRES, PROCESS),
    Pairing("of the CPU of one host", POSTGRES, POSTGRES, ratio_of(cpu), several=True),
    *(Pairing("of its rate", SDK, STUB, workload=workload) for workload in ("W1", "W2")),
    Pairing("times the steps of one", SDK, SDK, several=True),
    Pairing("times, what the engine adds to a turn in the end", SDK, STUB, engine_growth, workload=LONG_CHAIN.name),
)


# The expected ratio on two cores with default durability, by workload, number in flight, our driver, the other driver,
# and our number of processes.
MARKS: Mapping[tuple[str, int, str, str, int], Bound] = {
    ("W1", 50, PROCESS, RESTATE, 1): Bound(at_least=15),
    ("W1", 50, PROCESS, DBOS_SQLITE, 1): Bound(at_least=100),
    ("W1", 50, PROCESS, DBOS_POSTGRES, 1): Bound(at_least=100),
    ("W1", 50, POSTGRES, DBOS_POSTGRES, 1): Bound(at_least=25),  # on the same server
    ("W1", 50, POSTGRES, PROCESS, 1): Bound(at_least=0.6, digits=1),
    ("W1", 50, POSTGRES, POSTGRES, 4): Bound(at_most=1.2, digits=1),
    ("W1", 50, SDK, STUB, 1): Bound(at_least=0.9, digits=1),
    ("W2", 10, SDK, STUB, 1): Bound(at_least=0.9, digits=1),
    # A cost that grows with the history would be many times this; noise is less.
    (LONG_CHAIN.name, 1, SDK, STUB, 1): Bound(at_most=1.5, digits=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """The ratios of two ways."""

    what: str
    ours: Case
    theirs: Case
    values: list[float]  # one for each pair, in the order of the runs; at least one

    @property
    def range(self) -> Range:
        return range_of(self.values)

    @property
    def mark(self) -> Bound | None:
        """Its mark, if there is one; for a peer, only for runs with a time."""
        run, other = self.ours.run, self.theirs.run.driver
        counted = run.plain and run.instances is not None and other not in PEERS
        key = (run.workload, run.in_flight, run.driver, other, run.processes)
        return MARKS.get(key) if run.marked or counted else None


def ratios_of(documents: Iterable[Results]) -> list[Ratio]:
    """Compare the first run of each way with the first of the other, and so on.

    A pair is of one document; pairs of one build are combined.
    """
    found: dict[tuple[Pairing, Run, str], Ratio] = {}
    for document in documents:
        # Only some of the compared ways use the named database.
        cases = {replace(case.run, database=None): case for case in cases_of([document])}
        for pairing, (run, ours) in product(PAIRINGS, cases.items()):
            theirs = cases.get(other) if (other := pairing.counterpart(run)) is not None else None
            if theirs is not None and (values := list(pairing.values(ours, theirs))):
                ratio = Ratio(what=pairing.what, ours=ours, theirs=theirs, values=[])
                found.setdefault((pairing, run, build_of(document.machine)), ratio).values.extend(values)
    return list(found.values())
