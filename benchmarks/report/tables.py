"""The report for a terminal of 80 columns: the sheets, how they were measured, and reasons to doubt them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..terminal import Line, colored, table, written
from ..workloads.workload import HTTP, POSTGRES, PROCESS, SDK, Shape
from .ratios import Ratio, ratios_of
from .results import DRIVER_TITLES, Case, Results, cases_of, names_of
from .sheets import LOADS, Sheet, judgements, ratios_sheet, section_sheets

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

KEPT_UP = 0.95  # of the arrivals' rate; the rest may have been the end of the last ones
SENT_LATE_MS_MAX = 5.0  # more than the timer's millisecond and a busy machine's part explain

AT_A_RATE, SEVERAL, RATIOS = "rate", "x2", "ratios"
# How to read what was measured in some way; docs/performance.md says more.
NOTES = {
    POSTGRES: "PostgreSQL: as process, with the store on a database. Its server's CPU stands apart, if it can be seen.",
    PROCESS: "process: the load is a part of the engine's process, and its CPU is counted. "
    "Latency: from the call that starts an instance to its result in hand.",
    HTTP: "HTTP: the load is another process; its CPU stands apart. Latency: from sending the request to the last turn "
    "of the instance, without its flush; with one in flight, to the answer that shows the result.",
    SDK: "SDK: a worker on Dapr's Python SDK is its own load; the load's CPU is the worker's. The stub is the daemon's "
    "gRPC server in front of lists in memory.",
    AT_A_RATE: "At a rate: latency runs from when an instance was due. Sent late: how far the load itself was behind, "
    "99 of 100 not more. Most waiting: due and not ended, at the worst moment.",
    SEVERAL: "x2: two processes, and so on, each with a part of the store, or hosts that share the database. CPU, "
    "commits and RSS are of all of them together.",
    RATIOS: "Ratios are medians over pairs of runs next to each other. A peer's CPU is that of all its processes, its "
    "database's server too; Perdure's is without that of a server.",
}


def report(results: Results) -> "Iterator[RenderableType]":
    """Show results, a table or a line at a time."""
    cases, ratios = cases_of([results]), ratios_of([results])
    run, machine = results.results[0].run, results.machine
    replay = ", every turn replayed" if run.always_replay else ""
    yield (
        f"{machine}\nSQLite {machine.sqlite}, durability {run.durability}{replay}; "
        f"this disk takes {machine.flush_ms:.2f} ms to append 4 KiB and flush them\n"
    )
    for sheet in section_sheets(cases, names_of(cases)):
        runs = max(len(case.outcomes) for case in sheet.cases)
        yield drawn(sheet, f", medians of {runs} runs" if runs > 1 else "")
    if ratios:
        yield drawn(ratios_sheet(ratios))
        yield from (f"{DRIVER_TITLES.get(name, name)}: {about}" for name, about in results.peers.items())
    yield from (colored(note + "\n", "dim") for note in notes(cases, ratios))
    yield from (colored(line, "yellow") for line in doubts(cases))
    for one in judgements(cases, ratios):
        line = f"{one.name}: {one.found} {one.what}, {one.wanted}: {one.verdict}"
        yield colored(line, "green" if one.reached else "red")


def drawn(sheet: Sheet, of_what: str = "") -> "Table":
    lines = (Line([str(cell) for cell in row]) for row in sheet.rows)
    return table(sheet.heads, lines, title=f"{sheet.title}{of_what}", texts=sheet.texts)


def notes(cases: Sequence[Case], ratios: Sequence[Ratio]) -> Iterator[str]:
    """How it was measured, as far as something was."""
    said = {case.run.driver for case in cases if case.run.variant.shape in (*LOADS, Shape.OPEN)}
    said |= {AT_A_RATE for case in cases if case.run.rate is not None}
    said |= {SEVERAL for case in cases if case.run.processes > 1}
    said |= {RATIOS} if ratios else set()
    return (note for name, note in NOTES.items() if name in said)


def doubts(cases: Iterable[Case]) -> Iterator[str]:
    """What must be known before the figures of a rate are believed."""
    for case in cases:
        name = f"{case.title}, {case.driver_title}"
        figures = {figure: found.median for figure, found in case.figures().items()}
        if figures.get("instances_per_s", 0.0) < figures.get("offered_per_s", 0.0) * KEPT_UP:
            waiting = written(figures["backlog_end"])
            yield f"{name}: did not keep up; {waiting} were waiting when the last one came"
        if case.run.driver == HTTP and figures.get("sent_late_p99_ms", 0.0) > SENT_LATE_MS_MAX:
            yield f"{name}: the load was late itself, so these latencies are not the daemon's alone"
