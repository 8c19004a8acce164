"""The report: results as tables for a terminal of 80 columns.

It computes nothing: what stands here was measured, and a dash is what was not.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..machine import Machine
from ..peers.peers import PEER_TITLES
from ..workloads.workload import HTTP, POSTGRES, PROCESS, Mark, Shape, Workload
from .results import ResultRow, Results, rows

DRIVER_TITLES = {PROCESS: "process", HTTP: "HTTP", POSTGRES: "PostgreSQL"} | PEER_TITLES


def driver_title(driver: str, processes: int = 1) -> str:
    """How an engine is reached, and of how many processes it is if of several."""
    title = DRIVER_TITLES.get(driver, driver)
    return title if processes == 1 else f"{title} x{processes}"


class Column(NamedTuple):
    """One figure of a table."""

    title: str
    figure: str
    digits: int = 0  # behind the point
    always: bool = True  # else only where some run has it


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
        "At a rate of arrivals",
        (Shape.OPEN,),
        (
            Column("due\n/s", "offered_per_s"),
            Column("ended\n/s", "instances_per_s"),
            Column("p50\nms", "p50_ms", 1),
            Column("p99\nms", "p99_ms", 1),
            Column("most\nwaiting", "backlog_max"),
            Column("sent\nlate ms", "sent_late_p99_ms", 1),
        ),
        "p99_ms",
    ),
    Section(
        "What one of them costs",
        (*LOADS, Shape.OPEN),
        (
            Column("CPU ms", "cpu_ms_per_unit", 3),
            Column("load's\nCPU ms", "load_cpu_ms_per_unit", 3),
            Column("server's\nCPU ms", "server_cpu_ms_per_unit", 3, always=False),
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
    Section(
        "All due at once",
        (Shape.TIMER_STORM, Shape.REMINDER_STORM),
        (
            Column("due", "instances"),
            Column("a second", "reminders_per_s"),
            Column("last one\nlate ms", "late_max_ms"),
            Column("CPU ms", "cpu_ms_per_unit", 3),
            Column("in one\ncommit", "units_per_commit"),
        ),
        "reminders_per_s",
    ),
    Section(
        "One turn, beside so many events: p50 ms",
        (Shape.HISTORY,),
        (
            Column("10", "at_10_p50_ms", 2),
            Column("100", "at_100_p50_ms", 2),
            Column("1 000", "at_1000_p50_ms", 2),
            Column("10 000", "at_10000_p50_ms", 2),
            Column("50 000", "at_50000_p50_ms", 2),
            Column("times", "turn_growth_times", 2),
        ),
        "at_50000_p50_ms",
    ),
    Section(
        "Histories rebuilt from the store: events a second",
        (Shape.HISTORY,),
        (
            Column("1 000", "cold_1000_events_per_s"),
            Column("10 000", "cold_10000_events_per_s"),
            Column("50 000", "cold_50000_events_per_s"),
            Column("only\nread", "load_50000_events_per_s"),
            Column("only\ndecoded", "decode_50000_events_per_s"),
            Column("only\nreplayed", "replay_50000_events_per_s"),
        ),
        "cold_50000_events_per_s",
    ),
    Section(
        "A fleet asleep, and some of it due at once",
        (Shape.FLEET,),
        (
            Column("asleep", "instances"),
            Column("put to\nsleep /s", "instances_per_s"),
            Column("RSS\nMiB", "rss_mib"),
            Column("disk\nbytes each", "disk_bytes_per_sleeper"),
            Column("due", "wakers"),
            Column("awake\ns", "awake_s", 2),
        ),
        "awake_s",
    ),
    Section(
        "Nothing to do",
        (Shape.IDLE,),
        (
            Column("asleep", "instances"),
            Column("% of\na core", "cpu_percent", 2),
            Column("commits\na second", "commits_per_s", 2),
            Column("bytes written\na second", "written_bytes_per_s"),
            Column("RSS\nMiB", "rss_mib"),
        ),
        "cpu_percent",
    ),
    Section(
        "Recovery after kill -9, all in the middle of their work",
        (Shape.RECOVERY,),
        (
            Column("at work", "instances"),
            Column("ready\ns", "ready_s", 2),
            Column("all moving\ns", "moving_s", 2),
            Column("steps\nlost", "steps_lost"),
            Column("bodies\nrepeated", "steps_repeated"),
        ),
        "moving_s",
    ),
    Section(
        "A long run; slopes in % an hour, and how far they may be off",
        (Shape.SOAK,),
        (
            Column("s", "elapsed_s"),
            Column("a second", "units_per_s"),
            Column("slope", "throughput_slope_percent_per_h", 1),
            Column("+-", "throughput_slope_error_percent_per_h", 1),
            Column("RSS\nMiB", "rss_mib"),
            Column("slope", "rss_slope_percent_per_h", 1),
            Column("+-", "rss_slope_error_percent_per_h", 1),
        ),
        "units_per_s",
    ),
)
KEPT_UP = 0.95  # of the arrivals' rate; what is missing may have been the end of the last ones
SENT_LATE_MS_MAX = 5.0  # more than the timer's millisecond and a busy machine's part explain

OPEN_NOTE = (
    "At a rate: latency runs from when an instance was due, whether or not it could be sent then. Sent late: by how "
    "much the load itself was behind, 99 of 100 not more. Most waiting: due and not ended, at the worst moment."
)
PROCESSES_NOTE = (
    "x2: two processes, and so on, each with a part of the store, or hosts that share the database. CPU, commits and "
    "RSS are of all of them together. In process each has its share of the load, on a database as much as one alone, "
    "and starts instances that are its own; over HTTP any of them is asked."
)
NOTES = {
    POSTGRES: (
        "PostgreSQL: as process, with the store on a database. The CPU of its server stands apart, if it is on this "
        "machine; whatever else it does is in it. Each run has a schema of its own."
    ),
    PROCESS: (
        "process: the load is a part of the engine's process, and its CPU is counted. Python's garbage collector is "
        "calmed there as `perdure run` calms its own. "
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
    loaded = {row.driver for row in found if row.workload.shape in (*LOADS, Shape.OPEN)}
    parts.extend(Text(NOTES[driver] + "\n", style="dim") for driver in NOTES if driver in loaded)
    if any(row.workload.shape is Shape.OPEN for row in found):
        parts.append(Text(OPEN_NOTE + "\n", style="dim"))
    if any(row.workload.processes > 1 for row in found):
        parts.append(Text(PROCESSES_NOTE + "\n", style="dim"))
    parts.extend(doubt_lines(found))
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


def table(section: Section, chosen: Sequence[ResultRow]) -> Table:
    runs = max(row.runs for row in chosen)
    title = f"{section.title}, medians of {runs} runs" if runs > 1 else section.title
    made = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    # The only column that may take two lines, where a row is too long for one.
    made.add_column("", overflow="fold")
    made.add_column("", vertical="bottom", no_wrap=True)
    columns = [each for each in section.columns if each.always or any(each.figure in row.figures for row in chosen)]
    for heading in (*(column.title for column in columns), *(["spread"] if runs > 1 else [])):
        made.add_column(heading, justify="right", vertical="bottom", no_wrap=True)
    for row in chosen:
        cells = [f"{row.workload.name} {row.workload.title}", driver_title(row.driver, row.workload.processes)]
        cells += [cell(row, column) for column in columns]
        if runs > 1:
            cells.append(spread(row, section.spread_of))
        made.add_row(*cells)
    return made


def cell(row: ResultRow, column: Column) -> str:
    value = row.figures.get(column.figure)
    if value is None:
        return "-"
    # Of a second, nobody wants tenths of a millisecond, and a row has 80 columns.
    text = written(value, column.digits if value < 1000 else 0)
    return f"{text} {row.workload.unit}" if column.figure == "units_per_s" else text


def spread(row: ResultRow, of: str) -> str:
    """How far the runs of a row lie apart."""
    return f"{row.spreads[of]:.0%}" if of in row.spreads else "-"


def doubt_lines(found: Iterable[ResultRow]) -> list[Text]:
    """What must be known before the figures of a rate are believed."""
    lines = []
    for row in found:
        name = f"{row.workload.name} {row.workload.title}, {driver_title(row.driver, row.workload.processes)}"
        figures = row.figures
        if figures.get("instances_per_s", 0.0) < figures.get("offered_per_s", 0.0) * KEPT_UP:
            waiting = written(figures["backlog_end"])
            lines.append(f"{name}: did not keep up; {waiting} were waiting when the last one came")
        if row.driver == HTTP and figures.get("sent_late_p99_ms", 0.0) > SENT_LATE_MS_MAX:
            lines.append(f"{name}: the load was late itself, so these latencies are not the daemon's alone")
    return [Text(line, style="yellow") for line in lines]


def mark_lines(found: Iterable[ResultRow]) -> list[Text]:
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
        return f"at least {limit(mark.at_least, mark.digits)}"
    assert mark.at_most is not None
    return f"at most {limit(mark.at_most, mark.digits)}"


def limit(value: float, digits: int) -> str:
    return written(value, 0 if value == int(value) else digits)


def written(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}".replace(",", " ")
