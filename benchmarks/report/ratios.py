"""Side by side: how many times as fast one way was as another, or what it cost beside it, in the same minutes.

The rule: only runs that were next to each other are compared. What else the machine did hit both, so the ratio of such
a pair says what neither figure does.
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
    """The CPU of a unit, engine and server together; of the engine alone, if the server cannot be seen."""
    return figures["cpu_ms_per_unit"] + figures.get("server_cpu_ms_per_unit", 0.0)


def engine_growth(ours: Figures, stub: Figures) -> float:
    """How many times what the engine adds to a turn has grown with the history, beyond what the stub's has."""
    first, last = (ours[f"host_{end}_ms"] - stub[f"host_{end}_ms"] for end in ("first", "last"))
    return last / first


def ratio_of(figure: Callable[[Figures], float]) -> Callable[[Figures, Figures], float]:
    return lambda ours, theirs: figure(ours) / figure(theirs)


class Pairing(NamedTuple):
    """Two ways that are set side by side."""

    what: str  # the ratio in words
    driver: str  # of ours
    other: str  # of theirs
    value: Callable[[Figures, Figures], float] = ratio_of(rate)
    several: bool = False  # ours is of several processes or hosts, and theirs the same of one
    workload: str | None = None  # of both; None: any

    def counterpart(self, run: Run) -> Run | None:
        """The run that one of ours is compared with; None if it is not one of ours."""
        if run.driver != self.driver or run.rate is not None or self.several != (run.processes > 1):
            return None
        if self.workload is not None and run.workload != self.workload:
            return None
        return replace(run, driver=self.other, processes=1)

    def values(self, ours: Case, theirs: Case) -> Iterator[float]:
        """The value of each pair of runs that have what it is of."""
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


# What a ratio should be on two cores, each engine with its default durability: of a workload with so many in flight,
# between ours and theirs, where ours is of so many processes.
MARKS: Mapping[tuple[str, int, str, str, int], Bound] = {
    ("W1", 50, PROCESS, RESTATE, 1): Bound(at_least=15),
    ("W1", 50, PROCESS, DBOS_SQLITE, 1): Bound(at_least=100),
    ("W1", 50, PROCESS, DBOS_POSTGRES, 1): Bound(at_least=100),
    ("W1", 50, POSTGRES, DBOS_POSTGRES, 1): Bound(at_least=25),  # both on the same server
    ("W1", 50, POSTGRES, PROCESS, 1): Bound(at_least=0.6, digits=1),
    ("W1", 50, POSTGRES, POSTGRES, 4): Bound(at_most=1.2, digits=1),
    ("W1", 50, SDK, STUB, 1): Bound(at_least=0.9, digits=1),
    ("W2", 10, SDK, STUB, 1): Bound(at_least=0.9, digits=1),
    # A turn whose cost grows with the history would be many times this, noise is less.
    (LONG_CHAIN.name, 1, SDK, STUB, 1): Bound(at_most=1.5, digits=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Two ways side by side, run beside run."""

    what: str
    ours: Case
    theirs: Case
    values: list[float]  # of the pairs, in the order of the runs; at least one

    @property
    def range(self) -> Range:
        return range_of(self.values)

    @property
    def mark(self) -> Bound | None:
        """The mark that holds for it, if one does; beside a peer, only for runs that have a time."""
        run, other = self.ours.run, self.theirs.run.driver
        counted = run.plain and run.instances is not None and other not in PEERS
        key = (run.workload, run.in_flight, run.driver, other, run.processes)
        return MARKS.get(key) if run.marked or counted else None


def ratios_of(documents: Iterable[Results]) -> list[Ratio]:
    """Compare the first run of each way with the first of the other, the second with the second, and so on.

    Pairs are of one document each; those of one build stand together.
    """
    found: dict[tuple[Pairing, Run, str], Ratio] = {}
    for document in documents:
        # Of the ways that are compared only some are on the database that is named.
        cases = {replace(case.run, database=None): case for case in cases_of([document])}
        for pairing, (run, ours) in product(PAIRINGS, cases.items()):
            theirs = cases.get(other) if (other := pairing.counterpart(run)) is not None else None
            if theirs is not None and (values := list(pairing.values(ours, theirs))):
                ratio = Ratio(what=pairing.what, ours=ours, theirs=theirs, values=[])
                found.setdefault((pairing, run, build_of(document.machine)), ratio).values.extend(values)
    return list(found.values())
