"""The report: results as tables for a terminal.

It computes nothing: what stands here was measured, and a dash is what was not.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .machine import Machine
from .results import Results, Row, rows
from .workloads import HTTP, PROCESS, Mark, Shape, Workload

DRIVER_TITLES = {PROCESS: "in process", HTTP: "over HTTP"}


class Column(NamedTuple):
    """One figure of a table."""

    title: str
    figure: str
    digits: int  # behind the point


LOAD_COLUMNS = (
    Column("per second", "units_per_s", 0),
    Column("p50\nms", "p50_ms", 1),
    Column("p95\nms", "p95_ms", 1),
    Column("p99\nms", "p99_ms", 1),
    Column("max\nms", "max_ms", 1),
    Column("CPU ms\neach", "cpu_ms_per_unit", 3),
    Column("load's\nCPU ms", "load_cpu_ms_per_unit", 3),
    Column("RSS\nMiB", "rss_mib", 0),
    Column("commits\n/s", "commits_per_s", 0),
    Column("each\ncommit", "units_per_commit", 1),
)
SLEEP_COLUMNS = (
    Column("asleep", "instances", 0),
    Column("KiB\neach", "kib_per_sleeper", 2),
    Column("RSS\nMiB", "rss_mib", 0),
    Column("late p50\nms", "late_p50_ms", 1),
    Column("late p99\nms", "late_p99_ms", 1),
    Column("late max\nms", "late_max_ms", 1),
    Column("put to sleep\n/s", "instances_per_s", 0),
)
CRASH_COLUMNS = (
    Column("acknow-\nledged", "instances", 0),
    Column("in flight\nat the kill", "in_flight_at_kill", 0),
    Column("ready\ns", "ready_s", 2),
    Column("all complete\ns", "recovered_s", 2),
    Column("steps\nlost", "steps_lost", 0),
    Column("bodies\nrepeated", "steps_repeated", 0),
)
NOTES = {
    PROCESS: (
        "in process: the load is a part of the engine's process, and its CPU is counted. "
        "Latency: from the call that starts an instance to its result in hand."
    ),
    HTTP: (
        "over HTTP: the load is another process on the same machine, over keep-alive connections; its CPU stands "
        "apart. Latency: from sending the request to the last turn of the instance as the daemon records it, so "
        "without that turn's flush; with one in flight, to the answer that shows it completed. "
        "The next one is started when the workflow has run to its last line."
    ),
}


def report(workloads: Sequence[Workload], results: Results) -> RenderableType:
    """Show results.

    Args:
        workloads: As they were run: those with another number in flight have no marks.
    """
    found = rows(workloads, results)
    parts: list[RenderableType] = [machine_lines(results)]
    for title, shapes, columns in (
        ("Load", (Shape.LOOP, Shape.EVENTS), LOAD_COLUMNS),
        ("Sleep", (Shape.SLEEP,), SLEEP_COLUMNS),
        ("Recovery after kill -9", (Shape.CRASH,), CRASH_COLUMNS),
    ):
        chosen = [row for row in found if row.workload.shape in shapes]
        if chosen:
            parts.append(table(title, chosen, columns))
    loaded = {row.driver for row in found if row.workload.shape in (Shape.LOOP, Shape.EVENTS)}
    parts.extend(Text(NOTES[driver], style="dim") for driver in NOTES if driver in loaded)
    return Group(*parts)


def print_report(workloads: Sequence[Workload], results: Results, console: Console) -> None:
    console.print(report(workloads, results))


def machine_lines(results: Results) -> Text:
    run = results.results[0].run
    replay = ", every turn replayed" if run.always_replay else ""
    return Text(
        f"{described(results.machine)}\n"
        f"SQLite {results.machine.sqlite} with durability {run.durability}{replay}; "
        f"appending 4 KiB and flushing it takes this disk {results.machine.flush_ms:.2f} ms"
    )


def described(machine: Machine) -> str:
    return (
        f"Perdure {machine.perdure} on {machine.python}, uvloop {machine.uvloop}, {machine.system}; "
        f"{machine.cores} cores of {machine.processor}"
    )


def table(title: str, chosen: Sequence[Row], columns: Sequence[Column]) -> Table:
    repeated = any(row.runs > 1 for row in chosen)
    marked = any(list(row.marks()) for row in chosen)
    runs = max(row.runs for row in chosen)
    made = Table(title=f"{title}, medians of {runs} runs" if repeated else title, title_justify="left")
    made.add_column("")
    made.add_column("")
    for column in columns:
        made.add_column(column.title, justify="right")
    if repeated:
        made.add_column("spread", justify="right")
    if marked:
        made.add_column("mark")
    for row in chosen:
        cells: list[str | Text] = [f"{row.workload.name} {row.workload.title}", DRIVER_TITLES[row.driver]]
        cells += [figure(row, column) for column in columns]
        if repeated:
            cells.append(spread(row, columns))
        if marked:
            cells.append(marks(row))
        made.add_row(*cells)
    return made


def figure(row: Row, column: Column) -> str:
    value = row.figures.get(column.figure)
    if value is None:
        return "-"
    text = f"{value:,.{column.digits}f}".replace(",", " ")
    return f"{text} {row.workload.unit}" if column.figure == "units_per_s" else text


def spread(row: Row, columns: Sequence[Column]) -> str:
    """How far the runs lie apart in the first figure that can tell."""
    for column in columns:
        if column.figure in row.spreads:
            return f"{row.spreads[column.figure]:.0%}"
    return "-"


def marks(row: Row) -> Text:
    """What should be reached, green if it was."""
    text = Text()
    for mark, reached in row.marks():
        if text:
            text.append("\n")
        text.append(wanted(mark) + (" reached" if reached else " missed"), style="green" if reached else "red")
    return text


def wanted(mark: Mark) -> str:
    if mark.at_least is not None:
        return f"{mark.figure} ≥ {mark.at_least:,.0f}".replace(",", " ")
    return f"{mark.figure} ≤ {mark.at_most:g}"
