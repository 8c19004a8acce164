"""The report: results as tables for a terminal of 80 columns.

The rule: it computes nothing. What stands here was measured, and a dash is what was not.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..terminal import Line, colored, table, written
from ..workloads.workload import HTTP, POSTGRES, PROCESS, SDK, Mark, Shape
from .ratios import Ratio, marked, ratios_of
from .results import DRIVER_TITLES, Case, Results, cases_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


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
    spread_of: str  # the figure by which one sees how far runs lie apart
    columns: tuple[Column, ...]


def columns(text: str) -> tuple[Column, ...]:
    """Read columns, a line each: title (`~` breaks it), figure, digits behind the point; `?` only where some has it."""
    found = []
    for line in text.strip().splitlines():
        title, figure, digits, *rest = (part.strip() for part in line.split("|"))
        found.append(Column(title.replace("~", "\n"), figure, int(digits), not rest))
    return tuple(found)


LOADS = (Shape.LOOP, Shape.EVENTS, Shape.TURNS)
SECTIONS = (
    Section("Throughput and latency", LOADS, "units_per_s", columns("""
        a second | units_per_s | 0
        p50 ms   | p50_ms | 1
        p95 ms   | p95_ms | 1
        p99 ms   | p99_ms | 1
        max ms   | max_ms | 1
    """)),
    Section("At a rate of arrivals", (Shape.OPEN,), "p99_ms", columns("""
        due a~second   | offered_per_s | 0
        ended a~second | instances_per_s | 0
        p50~ms       | p50_ms | 1
        p99~ms       | p99_ms | 1
        most~waiting | backlog_max | 0
        sent~late ms | sent_late_p99_ms | 1
    """)),
    Section("What one of them costs", (*LOADS, Shape.OPEN), "cpu_ms_per_unit", columns("""
        CPU ms           | cpu_ms_per_unit | 3
        load's~CPU ms    | load_cpu_ms_per_unit | 3
        server's~CPU ms  | server_cpu_ms_per_unit | 3 | ?
        in one~commit    | units_per_commit | 1
        commits~a second | commits_per_s | 0
        RSS~MiB          | rss_mib | 0
    """)),
    Section("The first turns and the last, and the bytes of their items", (Shape.TURNS,), "host_last_ms", columns("""
        host's~ms at first | host_first_ms | 2
        in the~end         | host_last_ms | 2
        worker's~at first  | worker_first_ms | 2
        in the~end         | worker_last_ms | 2
        bytes~at first     | item_first_bytes | 0
        in the~end         | item_last_bytes | 0
    """)),
    Section("Asleep, beyond what may be in memory", (Shape.SLEEP,), "late_p99_ms", columns("""
        instances   | instances | 0
        KiB~each    | kib_per_sleeper | 2
        RSS~MiB     | rss_mib | 0
        late~p50 ms | late_p50_ms | 1
        late~p99 ms | late_p99_ms | 1
        late~max ms | late_max_ms | 1
    """)),
    Section("Recovery after kill -9", (Shape.CRASH,), "recovered_s", columns("""
        started         | instances | 0
        in~flight       | in_flight_at_kill | 0
        ready~s         | ready_s | 2
        complete~s      | recovered_s | 2
        steps~lost      | steps_lost | 0
        bodies~repeated | steps_repeated | 0
    """)),
    Section("All due at once", (Shape.TIMER_STORM, Shape.REMINDER_STORM), "reminders_per_s", columns("""
        due              | instances | 0
        a second         | reminders_per_s | 0
        last one~late ms | late_max_ms | 0
        CPU ms           | cpu_ms_per_unit | 3
        in one~commit    | units_per_commit | 0
    """)),
    Section("One turn, beside so many events: p50 ms", (Shape.HISTORY,), "at_50000_p50_ms", columns("""
        10     | at_10_p50_ms | 2
        100    | at_100_p50_ms | 2
        1 000  | at_1000_p50_ms | 2
        10 000 | at_10000_p50_ms | 2
        50 000 | at_50000_p50_ms | 2
        times  | turn_growth_times | 2
    """)),
    Section("Histories rebuilt, events a second", (Shape.HISTORY,), "cold_50000_events_per_s", columns("""
        1 000         | cold_1000_events_per_s | 0
        10 000        | cold_10000_events_per_s | 0
        50 000        | cold_50000_events_per_s | 0
        only~read     | load_50000_events_per_s | 0
        only~decoded  | decode_50000_events_per_s | 0
        only~replayed | replay_50000_events_per_s | 0
    """)),
    Section("A fleet asleep, and some of it due at once", (Shape.FLEET,), "awake_s", columns("""
        asleep          | instances | 0
        put to~sleep /s | instances_per_s | 0
        RSS~MiB         | rss_mib | 0
        disk~bytes each | disk_bytes_per_sleeper | 0
        due             | wakers | 0
        awake~s         | awake_s | 2
    """)),
    Section("Nothing to do", (Shape.IDLE,), "cpu_percent", columns("""
        asleep                 | instances | 0
        % of~a core            | cpu_percent | 2
        commits~a second       | commits_per_s | 2
        bytes written~a second | written_bytes_per_s | 0
        RSS~MiB                | rss_mib | 0
    """)),
    Section("Recovery after kill -9, all in the middle of their work", (Shape.RECOVERY,), "moving_s", columns("""
        at work         | instances | 0
        ready~s         | ready_s | 2
        all moving~s    | moving_s | 2
        steps~lost      | steps_lost | 0
        bodies~repeated | steps_repeated | 0
    """)),
    Section("A long run; slopes in % an hour, and how far they may be off", (Shape.SOAK,), "units_per_s", columns("""
        s        | elapsed_s | 0
        a second | units_per_s | 0
        slope    | throughput_slope_percent_per_h | 1
        +-       | throughput_slope_error_percent_per_h | 1
        RSS~MiB  | rss_mib | 0
        slope    | rss_slope_percent_per_h | 1
        +-       | rss_slope_error_percent_per_h | 1
    """)),
)  # fmt: skip
KEPT_UP = 0.95  # of the arrivals' rate; what is missing may have been the end of the last ones
SENT_LATE_MS_MAX = 5.0  # more than the timer's millisecond and a busy machine's part explain

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
    SDK: (
        "SDK: a worker on Dapr's Python SDK is its own load; the load's CPU is the worker's. The stub is the daemon's "
        "gRPC server in front of lists in memory: no daemon behind that server can be faster."
    ),
}
OPEN_NOTE = (
    "At a rate: latency runs from when an instance was due, whether or not it could be sent then. Sent late: by how "
    "much the load itself was behind, 99 of 100 not more. Most waiting: due and not ended, at the worst moment."
)
PROCESSES_NOTE = (
    "x2: two processes, and so on, each with a part of the store, or hosts that share the database. CPU, commits and "
    "RSS are of all of them together. In process each has its share of the load, on a database as much as one alone, "
    "and starts instances that are its own; over HTTP any of them is asked."
)
RATIOS_NOTE = (
    "Ratios are medians over pairs of runs next to each other. A peer's CPU is that of all its processes, its "
    "database's server too, without the load's; Perdure's is without that of a server."
)


def report(results: Results) -> "Iterator[RenderableType]":
    """Show results, a table or a line at a time."""
    cases, ratios = cases_of([results]), ratios_of([results])
    run, machine = results.results[0].run, results.machine
    replay = ", every turn replayed" if run.always_replay else ""
    yield (
        f"{machine}\nSQLite {machine.sqlite}, durability {run.durability}{replay}; "
        f"this disk takes {machine.flush_ms:.2f} ms to append 4 KiB and flush them\n"
    )
    for section in SECTIONS:
        if chosen := [case for case in cases if case.run.variant.shape in section.shapes]:
            yield section_table(section, chosen)
    if ratios:
        yield ratios_table(ratios)
        yield from (f"{DRIVER_TITLES.get(name, name)}: {about}" for name, about in results.peers.items())
    loaded = {case.run.driver for case in cases if case.run.variant.shape in (*LOADS, Shape.OPEN)}
    notes = [NOTES[driver] for driver in NOTES if driver in loaded]
    notes += [OPEN_NOTE] * any(case.run.rate is not None for case in cases)
    notes += [PROCESSES_NOTE] * any(case.run.processes > 1 for case in cases)
    notes += [RATIOS_NOTE] * bool(ratios)
    yield from (colored(note + "\n", "dim") for note in notes)
    yield from (colored(line, "yellow") for line in doubts(cases))
    yield from (colored(line, "green" if reached else "red") for line, reached in mark_lines(cases, ratios))


def section_table(section: Section, cases: Sequence[Case]) -> "Table":
    runs = max(len(case.outcomes) for case in cases)
    shown = [each for each in section.columns if each.always or any(case.has(each.figure) for case in cases)]
    heads = ["", "", *(column.title for column in shown), *(["spread"] if runs > 1 else [])]
    lines = []
    for case in cases:
        cells = [case.title, case.driver_title, *(cell(case, column) for column in shown)]
        if runs > 1:
            spread = case.figure(section.spread_of).spread if case.has(section.spread_of) else None
            cells.append("-" if spread is None else f"{spread:.0%}")
        lines.append(Line(cells))
    return table(heads, lines, title=f"{section.title}, medians of {runs} runs" if runs > 1 else section.title, texts=2)


def cell(case: Case, column: Column) -> str:
    if not case.has(column.figure):
        return "-"
    value = case.figure(column.figure).median
    # Of a second, nobody wants tenths of a millisecond, and a row has 80 columns.
    text = written(value, column.digits if value < 1000 else 0)
    return f"{text} {case.run.variant.unit}" if column.figure == "units_per_s" else text


def ratios_table(ratios: Sequence[Ratio]) -> "Table":
    """Ways side by side, a line for each pair of them."""
    heads = ("Side by side", "", "", "ratio", "from", "to", "pairs")
    lines = [
        Line(
            (
                f"{one.ours.title}: {one.what}",
                *(one.ours.driver_title, one.theirs.driver_title),
                *(written(value, 2 if one.range.median < 10 else 1) for value in one.range[:3]),
                str(len(one.values)),
            )
        )
        for one in ratios
    ]
    return table(heads, lines, texts=3)


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


def mark_lines(cases: Iterable[Case], ratios: Sequence[Ratio]) -> Iterator[tuple[str, bool]]:
    """What should be reached, and whether it was."""
    for case in cases:
        for mark, found, reached in case.marks():
            what = f"{written(found, mark.digits)} {mark.what}, {wanted(mark)}"
            yield f"{case.title}, {case.driver_title}: {what}: {verdict(reached)}", reached
    for one, of_ratio, reached in marked(ratios):
        what = f"{one.range.median:.2f} {one.what} beside {one.theirs.driver_title}, {of_ratio}"
        yield f"{one.ours.title}, {one.ours.driver_title}: {what}: {verdict(reached)}", reached


def verdict(reached: bool) -> str:
    return "reached" if reached else "missed"


def wanted(mark: Mark) -> str:
    value, words = (mark.at_most, "at most") if mark.at_least is None else (mark.at_least, "at least")
    assert value is not None
    return f"{words} {written(value, 0 if value == int(value) else mark.digits)}"
