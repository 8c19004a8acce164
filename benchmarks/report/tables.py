"""The report as tables for a terminal of 80 columns, with reasons to doubt them.

The rule: tables show measurements and compute nothing. A dash means not measured.

`page.py` has the same tables.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ..terminal import Line, colored, table, written
from ..workloads.workload import HTTP, POSTGRES, PROCESS, SDK, Bound, Shape
from .ratios import Ratio, ratios_of
from .results import DRIVER_TITLES, Case, Range, Results, cases_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


class Amount(NamedTuple):
    """A figure over runs, for display."""

    over: Range
    digits: int = 0  # after the point
    unit: str = ""

    def __str__(self) -> str:
        return self._number(self.over.median) + self.unit

    @property
    def ends(self) -> str:
        """The lowest and the highest; empty for a single run."""
        return f"{self._number(self.over.low)} to {self._number(self.over.high)}" if self.over.runs > 1 else ""

    def _number(self, value: float) -> str:
        # From a second on tenths of a millisecond are noise, and a row has 80 columns.
        return written(value, self.digits if value < 1000 else 0)


Cell: TypeAlias = str | Amount


class Sheet(NamedTuple):
    """A table, whose first columns are text and whose others are numbers."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    texts: int  # the number of text columns
    cases: Sequence[Case]


class Judgement(NamedTuple):
    name: str
    what: str
    wanted: Bound
    found: Amount

    @property
    def reached(self) -> bool:
        return self.wanted.reached(self.found.over.median)

    @property
    def verdict(self) -> str:
        return "reached" if self.reached else "missed"


class Column(NamedTuple):
    """A figure of a sheet."""

    title: str
    figure: str
    digits: int = 0
    always: bool = True  # False: only if a run has it


class Section(NamedTuple):
    """A sheet of the workloads of some shapes."""

    title: str
    shapes: tuple[Shape, ...]
    spread_of: str  # the figure whose spread is shown
    columns: list[Column]


def section(title: str, shapes: tuple[Shape, ...], spread_of: str, columns: str) -> Section:
    """Parse columns, `head = figure:digits`: `~` breaks a head, digits default to 0, `?` means only if a run has it."""
    found = re.findall(r"\s*([^=,]+) = (\w+)(?::(\d))?(\?)?", columns)
    read = [
        Column(head.replace("~", "\n"), figure, int(digits or 0), not seldom) for head, figure, digits, seldom in found
    ]
    return Section(title, shapes, spread_of, read)


LOADS = (Shape.LOOP, Shape.EVENTS, Shape.TURNS)
SECTIONS = (
    section("Throughput and latency", LOADS, "units_per_s",
        "a second = units_per_s, p50 ms = p50_ms:1, p95 ms = p95_ms:1, p99 ms = p99_ms:1, max ms = max_ms:1"),
    section("At a rate of arrivals", (Shape.OPEN,), "p99_ms",
        "due a~second = offered_per_s, ended a~second = instances_per_s, p50~ms = p50_ms:1, p99~ms = p99_ms:1, "
        "most~waiting = backlog_max, sent~late ms = sent_late_p99_ms:1"),
    section("What one of them costs", (*LOADS, Shape.OPEN), "cpu_ms_per_unit",
        "CPU ms = cpu_ms_per_unit:3, load's~CPU ms = load_cpu_ms_per_unit:3, "
        "server's~CPU ms = server_cpu_ms_per_unit:3?, in one~commit = units_per_commit:1, "
        "commits~a second = commits_per_s, RSS~MiB = rss_mib"),
    section("The first turns and the last, and the bytes of their items", (Shape.TURNS,), "host_last_ms",
        "host's~ms at first = host_first_ms:2, in the~end = host_last_ms:2, worker's~at first = worker_first_ms:2, "
        "in the~end = worker_last_ms:2, bytes~at first = item_first_bytes, in the~end = item_last_bytes"),
    section("Asleep, beyond what may be in memory", (Shape.SLEEP,), "late_p99_ms",
        "instances = instances, KiB~each = kib_per_sleeper:2, RSS~MiB = rss_mib, late~p50 ms = late_p50_ms:1, "
        "late~p99 ms = late_p99_ms:1, late~max ms = late_max_ms:1"),
    section("Recovery after kill -9", (Shape.CRASH,), "recovered_s",
        "started = instances, in~flight = in_flight_at_kill, ready~s = ready_s:2, complete~s = recovered_s:2, "
        "steps~lost = steps_lost, bodies~repeated = steps_repeated"),
    section("All due at once", (Shape.TIMER_STORM, Shape.REMINDER_STORM), "reminders_per_s",
        "due = instances, a second = reminders_per_s, last one~late ms = late_max_ms, CPU ms = cpu_ms_per_unit:3, "
        "in one~commit = units_per_commit"),
    section("One turn, beside so many events: p50 ms", (Shape.HISTORY,), "at_50000_p50_ms",
        "10 = at_10_p50_ms:2, 100 = at_100_p50_ms:2, 1 000 = at_1000_p50_ms:2, 10 000 = at_10000_p50_ms:2, "
        "50 000 = at_50000_p50_ms:2, times = turn_growth_times:2"),
    section("Histories rebuilt, events a second", (Shape.HISTORY,), "cold_50000_events_per_s",
        "1 000 = cold_1000_events_per_s, 10 000 = cold_10000_events_per_s, 50 000 = cold_50000_events_per_s, "
        "only~read = load_50000_events_per_s, only~decoded = decode_50000_events_per_s, "
        "only~replayed = replay_50000_events_per_s"),
    section("A fleet asleep, and some of it due at once", (Shape.FLEET,), "awake_s",
        "asleep = instances, put to~sleep /s = instances_per_s, RSS~MiB = rss_mib, "
        "disk~bytes each = disk_bytes_per_sleeper, due = wakers, awake~s = awake_s:2"),
    section("Nothing to do", (Shape.IDLE,), "cpu_percent",
        "asleep = instances, % of~a core = cpu_percent:2, commits~a second = commits_per_s:2, "
        "bytes written~a second = written_bytes_per_s, RSS~MiB = rss_mib"),
    section("Recovery after kill -9, all in the middle of their work", (Shape.RECOVERY,), "moving_s",
        "at work = instances, ready~s = ready_s:2, all moving~s = moving_s:2, steps~lost = steps_lost, "
        "bodies~repeated = steps_repeated"),
    section("A long run; slopes in % an hour, and how far they may be off", (Shape.SOAK,), "units_per_s",
        "s = elapsed_s, a second = units_per_s, slope = throughput_slope_percent_per_h:1, "
        "+- = throughput_slope_error_percent_per_h:1, RSS~MiB = rss_mib, slope = rss_slope_percent_per_h:1, "
        "+- = rss_slope_error_percent_per_h:1"),
)  # fmt: skip


def section_sheets(cases: Sequence[Case]) -> Iterator[Sheet]:
    for each in SECTIONS:
        chosen = [case for case in cases if case.run.variant.shape in each.shapes]
        if not chosen:
            continue
        shown = [one for one in each.columns if one.always or any(one.figure in case.figures for case in chosen)]
        several = max(len(case.outcomes) for case in chosen) > 1
        rows = [
            (
                *(case.title, case.label, *(cell(case, column) for column in shown)),
                *([spread(case, each.spread_of)] if several else []),
            )
            for case in chosen
        ]
        heads = ("", "", *(column.title for column in shown), *(["spread"] if several else []))
        yield Sheet(each.title, heads, rows, 2, chosen)


def cell(case: Case, column: Column) -> Cell:
    found = case.figures.get(column.figure)
    unit = f" {case.run.variant.unit}" if column.figure == "units_per_s" else ""
    return "-" if found is None else Amount(found, column.digits, unit)


def spread(case: Case, figure: str) -> str:
    found = case.figures.get(figure)
    return "-" if found is None or found.spread is None else f"{found.spread:.0%}"


def ratios_sheet(ratios: Sequence[Ratio]) -> Sheet:
    rows = [
        (
            f"{one.ours.title}: {one.what}",
            *(one.ours.driver_title, one.theirs.driver_title),
            *(str(amount_of(one)), amount_of(one).ends, str(len(one.values))),
        )
        for one in ratios
    ]
    return Sheet("Side by side", ("", "", "", "ratio", "from, to", "pairs"), rows, 3, [one.ours for one in ratios])


def amount_of(ratio: Ratio) -> Amount:
    return Amount(ratio.range, 2 if ratio.range.median < 10 else 1)


def judgements(cases: Iterable[Case], ratios: Sequence[Ratio]) -> Iterator[Judgement]:
    for case in cases:
        for mark in case.marks():
            yield Judgement(case.name, mark.what, mark, Amount(case.figures[mark.figure], mark.digits))
    for one in ratios:
        if one.mark is not None:
            what = f"{one.what} beside {one.theirs.driver_title}"
            yield Judgement(one.ours.name, what, one.mark, amount_of(one))


KEPT_UP = 0.95  # of the rate of arrivals; the rest may be the end of the last instances
SENT_LATE_MS_MAX = 5.0  # more than the timer's millisecond and a busy machine explain

AT_A_RATE, SEVERAL, RATIOS = "rate", "x2", "ratios"
# How to read the figures of each driver; docs/performance.md says more.
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
    cases, ratios = cases_of([results]), ratios_of([results])
    run, machine = results.results[0].run, results.machine
    replay = ", every turn replayed" if run.always_replay else ""
    yield (
        f"{machine}\nSQLite {machine.sqlite}, durability {run.durability}{replay}; "
        f"this disk takes {machine.flush_ms:.2f} ms to append 4 KiB and flush them\n"
    )
    for sheet in section_sheets(cases):
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
    said = {case.run.driver for case in cases if case.run.variant.shape in (*LOADS, Shape.OPEN)}
    said |= {AT_A_RATE for case in cases if case.run.rate is not None}
    said |= {SEVERAL for case in cases if case.run.processes > 1}
    said |= {RATIOS} if ratios else set()
    return (note for name, note in NOTES.items() if name in said)


def doubts(cases: Iterable[Case]) -> Iterator[str]:
    """Yield warnings about the figures of rates."""
    for case in cases:
        figures = {figure: found.median for figure, found in case.figures.items()}
        if figures.get("instances_per_s", 0.0) < figures.get("offered_per_s", 0.0) * KEPT_UP:
            waiting = written(figures["backlog_end"])
            yield f"{case.name}: did not keep up; {waiting} were waiting when the last one came"
        if case.run.driver == HTTP and figures.get("sent_late_p99_ms", 0.0) > SENT_LATE_MS_MAX:
            yield f"{case.name}: the load was late itself, so these latencies are not the daemon's alone"
