"""The report: results as tables for a terminal of 80 columns.

It computes nothing: what stands here was measured, and a dash is what was not.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .machine import Machine
from .peers import PEER_TITLES
from .results import Results, Row, rows
from .workloads import HTTP, PROCESS, Mark, Shape, Workload

DRIVER_TITLES = {PROCESS: "process", HTTP: "HTTP"} | PEER_TITLES


class Column(NamedTuple):
    """One figure of a table."""

    title: str
    figure: str
    digits: int = 0  # behind the point


class Section(NamedTuple):
    """One table: the workloads of some shapes, and some of their figures."""

    title: str
    shapes: tuple[Shape, ...]
    columns: tuple[Column, ...]
    spread_of: str  # the figure by which one sees how far runs lie apart


LOADS = (Shape.LOOP, Shape.EVENTS)
SECTIONS = (
    Section(
        "Throughput and latency",
        LOADS,
        (
            Column("a second", "units_per_s"),
            Column("p50 ms", "p50_ms", 1),
            Column("p95 ms", "p95_ms", 1),
            Column("p99 ms", "p99_ms", 1),
            Column("max ms", "max_ms", 1),
        ),
        "units_per_s",
    ),
    Section(
        "What one of them costs",
        LOADS,
        (
            Column("CPU ms", "cpu_ms_per_unit", 3),
            Column("load's\nCPU ms", "load_cpu_ms_per_unit", 3),
            Column("in one\ncommit", "units_per_commit", 1),
            Column("commits\na second", "commits_per_s"),
            Column("RSS\nMiB", "rss_mib"),
        ),
        "cpu_ms_per_unit",
    ),
    Section(
        "Asleep, beyond what may be in memory",
        (Shape.SLEEP,),
        (
            Column("instances", "instances"),
            Column("KiB\neach", "kib_per_sleeper", 2),
            Column("RSS\nMiB", "rss_mib"),
            Column("late\np50 ms", "late_p50_ms", 1),
            Column("late\np99 ms", "late_p99_ms", 1),
            Column("late\nmax ms", "late_max_ms", 1),
        ),
        "late_p99_ms",
    ),
    Section(
        "Recovery after kill -9",
        (Shape.CRASH,),
        (
            Column("started", "instances"),
            Column("in\nflight", "in_flight_at_kill"),
            Column("ready\ns", "ready_s", 2),
            Column("complete\ns", "recovered_s", 2),
            Column("steps\nlost", "steps_lost"),
            Column("bodies\nrepeated", "steps_repeated"),
        ),
        "recovered_s",
    ),
)
NOTES = {
    PROCESS: (
        "process: the load is a part of the engine's process, and its CPU is counted. "
        "Latency: from the call that starts an instance to its result in hand."
    ),
    HTTP: (
        "HTTP: the load is another process on this machine, with keep-alive connections; its CPU stands apart. "
        "Latency: from sending the request to the last turn of the instance as the daemon records it, without the "
        "flush of that turn; with one in flight, to the answer that shows the result. The workflow itself tells the "
        "load, in its last line, to start the next one."
    ),
}


def report(workloads: Sequence[Workload], results: Results) -> RenderableType:
    """Show results.

    Args:
        workloads: As they were run; marks are those of these.
    """
    found = rows(workloads, results)
    parts: list[RenderableType] = [machine_lines(results)]
    for section in SECTIONS:
        chosen = [row for row in found if row.workload.shape in section.shapes]
        if chosen:
            parts.append(table(section, chosen))
    loaded = {row.driver for row in found if row.workload.shape in LOADS}
    parts.extend(Text(NOTES[driver] + "\n", style="dim") for driver in NOTES if driver in loaded)
    parts.extend(mark_lines(found))
    return Group(*parts)


def print_report(workloads: Sequence[Workload], results: Results, console: Console) -> None:
    console.print(report(workloads, results))


def machine_lines(results: Results) -> Text:
    run = results.results[0].run
    replay = ", every turn replayed" if run.always_replay else ""
    return Text(
        f"{described(results.machine)}\n"
        f"SQLite {results.machine.sqlite}, durability {run.durability}{replay}; "
        f"this disk takes {results.machine.flush_ms:.2f} ms to append 4 KiB and flush them\n"
    )


def described(machine: Machine) -> str:
    return (
        f"Perdure {machine.perdure}, {machine.python}, uvloop {machine.uvloop}, {machine.system}, "
        f"{machine.cores} cores ({machine.processor})"
    )


def table(section: Section, chosen: Sequence[Row]) -> Table:
    runs = max(row.runs for row in chosen)
    title = f"{section.title}, medians of {runs} runs" if runs > 1 else section.title
    made = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    made.add_column("", no_wrap=True)
    made.add_column("", no_wrap=True)
    for heading in (*(column.title for column in section.columns), *(["spread"] if runs > 1 else [])):
        made.add_column(heading, justify="right", vertical="bottom", no_wrap=True)
    for row in chosen:
        cells = [f"{row.workload.name} {row.workload.title}", DRIVER_TITLES[row.driver]]
        cells += [cell(row, column) for column in section.columns]
        if runs > 1:
            cells.append(spread(row, section.spread_of))
        made.add_row(*cells)
    return made


def cell(row: Row, column: Column) -> str:
    value = row.figures.get(column.figure)
    if value is None:
        return "-"
    text = written(value, column.digits)
    return f"{text} {row.workload.unit}" if column.figure == "units_per_s" else text


def spread(row: Row, of: str) -> str:
    """How far the runs of a row lie apart."""
    return f"{row.spreads[of]:.0%}" if of in row.spreads else "-"


def mark_lines(found: Iterable[Row]) -> list[Text]:
    """What should be reached, and whether it was."""
    lines = []
    for row in found:
        for mark, reached in row.marks():
            value = written(row.figures[mark.figure], mark.digits)
            lines.append(
                Text(
                    f"{row.workload.name} {row.workload.title}, {DRIVER_TITLES[row.driver]}: {value} {mark.what}, "
                    f"{wanted(mark)}: {'reached' if reached else 'missed'}",
                    style="green" if reached else "red",
                )
            )
    return lines


def wanted(mark: Mark) -> str:
    if mark.at_least is not None:
        return f"at least {written(mark.at_least)}"
    assert mark.at_most is not None
    return f"at most {written(mark.at_most)}"


def written(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}".replace(",", " ")
