"""Beside other engines: what they came to in the same run, and how many times as fast Perdure was.

The one law: only runs that were next to each other are compared. What else the
machine did hit both, so the ratio of such a pair says what neither figure does.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..peers.peers import DBOS_POSTGRES, DBOS_SQLITE, PEERS, RESTATE, can_run
from ..run import Run
from ..workloads.table import BY_NAME
from ..workloads.workload import DRIVERS, POSTGRES, PROCESS, Workload
from .cases import build_of
from .results import ResultRow, Results, is_of, rows
from .tables import DRIVER_TITLES, described, written

RATE = "units_per_s"
# The ways in which Perdure is run.
OURS = (*DRIVERS, POSTGRES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How many times as fast as a peer Perdure was, run beside run."""

    workload: Workload
    driver: str  # how Perdure was reached
    peer: str
    ratios: tuple[float, ...]  # in the order of the runs; at least one

    @property
    def middle(self) -> float:
        return median(self.ratios)

    @property
    def spread(self) -> float | None:
        """(highest - lowest) / median; None for a single pair."""
        return (max(self.ratios) - min(self.ratios)) / self.middle if len(self.ratios) > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimesMark:
    """How many times as fast as a peer Perdure should be on two cores, each with its default durability."""

    workload: str
    driver: str
    peer: str
    at_least: float


MARKS = (
    TimesMark(workload="W1", driver=PROCESS, peer=RESTATE, at_least=15),
    TimesMark(workload="W1", driver=PROCESS, peer=DBOS_SQLITE, at_least=100),
    TimesMark(workload="W1", driver=PROCESS, peer=DBOS_POSTGRES, at_least=100),
    # Both on the same server.
    TimesMark(workload="W1", driver=POSTGRES, peer=DBOS_POSTGRES, at_least=25),
)


def with_peers(workloads: Iterable[Workload], peers: Sequence[str]) -> list[Workload]:
    """The workloads, with the peers as drivers of those that they have. Several hosts, or processes, stand alone."""
    return [
        replace(workload, drivers=(*workload.drivers, *peers))
        if can_run(workload) and workload.processes == 1
        else workload
        for workload in workloads
    ]


def times(workloads: Iterable[Workload], results: Results) -> list[Times]:
    """Compare the first run of Perdure with the first of each peer, the second with the second, and so on."""
    rates: dict[Run, list[float]] = {}  # a run of some driver, and what each repetition came to
    for result in results.results:
        if RATE in result.outcome.figures:
            rates.setdefault(replace(result.run, peers=None, database=None), []).append(result.outcome.figures[RATE])
    found = []
    for row in peer_rows(workloads, results):
        for driver in OURS:
            ratios = tuple(
                ours / theirs
                for run in rates
                if run.driver == row.driver and is_of(row.workload, run)
                for ours, theirs in zip(rates.get(replace(run, driver=driver), ()), rates[run], strict=False)
            )
            if ratios:
                found.append(Times(workload=row.workload, driver=driver, peer=row.driver, ratios=ratios))
    return found


def all_times(workloads: Sequence[Workload], documents: Iterable[Results]) -> list[Times]:
    """The same of several documents: pairs are of one document each, and those of one build stand together."""
    found: dict[tuple[str, int, str, str, str], Times] = {}
    for document in documents:
        for one in times(workloads, document):
            key = (one.workload.name, one.workload.in_flight, one.driver, one.peer, build_of(document.machine))
            before = found[key].ratios if key in found else ()
            found[key] = replace(one, ratios=(*before, *one.ratios))
    return list(found.values())


def peer_rows(workloads: Iterable[Workload], results: Results) -> list[ResultRow]:
    return [row for row in all_rows(workloads, results) if row.driver in PEERS]


def all_rows(workloads: Iterable[Workload], results: Results) -> list[ResultRow]:
    return rows(with_peers(workloads, (POSTGRES, *PEERS)), results)


def beside(workloads: Sequence[Workload], results: Results) -> RenderableType:
    """Show peers beside Perdure.

    Args:
        workloads: As they were run.
    """
    compared = times(workloads, results)
    lines = [Text(f"{PEERS[name].title}: {about}") for name, about in results.peers.items()]
    how = (
        f"{described(results.machine)}\n"
        f"Perdure: SQLite {results.machine.sqlite}, durability {results.results[0].run.durability}"
    )
    note = (
        "A peer's CPU is that of all its processes, its database's server too, without the load's; Perdure's is "
        "without that of a server. The ratios are medians over pairs of runs next to each other; in brackets, how far "
        "they lie apart.\n"
    )
    return Group(table(workloads, results, compared), Text(how), *lines, Text(note, style="dim"), *mark_lines(compared))


def table(workloads: Sequence[Workload], results: Results, compared: Sequence[Times]) -> Table:
    made = Table(
        title="Beside other engines",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=0,  # the box has spaces between columns
    )
    drivers = [driver for driver in OURS if any(one.driver == driver for one in compared)]
    ratios = [f"{DRIVER_TITLES[driver]},\ntimes" for driver in drivers]
    for _ in ("workload", "engine"):
        made.add_column("", overflow="fold")  # where a row is too long for one line
    for heading in ("a second", "p50 ms", "p99 ms", "CPU ms", *ratios):
        made.add_column(heading, justify="right", vertical="bottom", no_wrap=True)
    for row in all_rows(workloads, results):
        if not can_run(row.workload):
            continue
        figures = row.figures
        title = DRIVER_TITLES[row.driver] if row.driver in PEERS else f"Perdure, {DRIVER_TITLES[row.driver]}"
        made.add_row(
            name_of(row.workload),
            title,
            written(figures[RATE]),
            *(written(figures[name], 1) for name in ("p50_ms", "p99_ms")),
            written(figures["cpu_ms_per_unit"], 3),
            *(ratio_cell(row, driver, compared) for driver in drivers),
        )
    return made


def name_of(workload: Workload) -> str:
    """Its name, and the number in flight if that is not its own."""
    own = BY_NAME[workload.name].in_flight
    return workload.name if workload.in_flight == own else f"{workload.name} at {workload.in_flight}"


def ratio_cell(row: ResultRow, driver: str, compared: Sequence[Times]) -> str:
    for one in compared:
        if (one.workload, one.peer, one.driver) == (row.workload, row.driver, driver):
            return shown(one)
    return ""


def shown(one: Times) -> str:
    text = written(one.middle, 1)
    return text if one.spread is None else f"{text} ({one.spread:.0%})"


def marks_of(compared: Iterable[Times]) -> Iterator[tuple[Times, TimesMark, bool]]:
    """The marks that were measured, and whether each was reached."""
    for one in compared:
        # A workload has no marks when it is run so that none hold.
        key = (name_of(one.workload), one.driver, one.peer) if one.workload.marks else None
        for mark in MARKS:
            if key == (mark.workload, mark.driver, mark.peer):
                yield one, mark, one.middle >= mark.at_least


def mark_lines(compared: Iterable[Times]) -> list[Text]:
    """What should be reached, and whether it was."""
    return [
        Text(
            f"{one.workload.name} {one.workload.title}, {DRIVER_TITLES[one.driver]}: {written(one.middle, 1)} times "
            f"{PEERS[one.peer].title}, at least {written(mark.at_least)}: {'reached' if reached else 'missed'}",
            style="green" if reached else "red",
        )
        for one, mark, reached in marks_of(compared)
    ]
