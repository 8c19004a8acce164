"""The tables of a report, for the terminal and the page alike.

The rule: it computes nothing. What stands here was measured, and a dash is what was not.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ..terminal import written
from ..workloads.workload import Shape
from .ratios import Ratio, marked
from .results import Case, Range


class Amount(NamedTuple):
    """A figure over some runs, as it is shown."""

    over: Range
    digits: int = 0  # behind the point
    unit: str = ""

    def __str__(self) -> str:
        return self._number(self.over.median) + self.unit

    @property
    def ends(self) -> str:
        """The lowest and the highest; nothing of a single run."""
        return f"{self._number(self.over.low)} to {self._number(self.over.high)}" if self.over.runs > 1 else ""

    def _number(self, value: float) -> str:
        # Of a second, nobody wants tenths of a millisecond, and a row has 80 columns.
        return written(value, self.digits if value < 1000 else 0)


Cell: TypeAlias = str | Amount


class Sheet(NamedTuple):
    """A table: a column is of words where its head is, else of numbers."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    texts: int  # so many columns, the first ones, are of words
    cases: Sequence[Case]  # of which it is


class Judgement(NamedTuple):
    """What should be reached, and whether it was."""

    name: str
    what: str
    wanted: str
    found: Amount
    reached: bool

    @property
    def verdict(self) -> str:
        return "reached" if self.reached else "missed"


class Column(NamedTuple):
    """One figure of a sheet."""

    title: str
    figure: str
    digits: int = 0
    always: bool = True  # else only where some run has it


class Section(NamedTuple):
    """One sheet: the workloads of some shapes, and some of their figures."""

    title: str
    shapes: tuple[Shape, ...]
    spread_of: str  # the figure by which one sees how far runs lie apart
    columns: tuple[Column, ...]


def columns(text: str) -> tuple[Column, ...]:
    """Read columns, a line each: title (`~` breaks it), figure, digits behind the point; `?` only where some has it."""
    lines = ([part.strip() for part in line.split("|")] for line in text.strip().splitlines())
    return tuple(
        Column(title.replace("~", "\n"), figure, int(digits), not rest) for title, figure, digits, *rest in lines
    )


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


def section_sheets(cases: Sequence[Case], names: Mapping[int, str]) -> Iterator[Sheet]:
    """A sheet for each section that some cases are of; `names` are of `names_of`."""
    for section in SECTIONS:
        chosen = [case for case in cases if case.run.variant.shape in section.shapes]
        if not chosen:
            continue
        shown = [each for each in section.columns if each.always or any(case.has(each.figure) for case in chosen)]
        several = max(len(case.outcomes) for case in chosen) > 1
        rows = [
            (
                *(case.title, names[id(case)], *(cell(case, column) for column in shown)),
                *([spread(case, section.spread_of)] if several else []),
            )
            for case in chosen
        ]
        heads = ("", "", *(column.title for column in shown), *(["spread"] if several else []))
        yield Sheet(section.title, heads, rows, 2, chosen)


def cell(case: Case, column: Column) -> Cell:
    if not case.has(column.figure):
        return "-"
    unit = f" {case.run.variant.unit}" if column.figure == "units_per_s" else ""
    return Amount(case.figure(column.figure), column.digits, unit)


def spread(case: Case, figure: str) -> str:
    found = case.figure(figure).spread if case.has(figure) else None
    return "-" if found is None else f"{found:.0%}"


def ratios_sheet(ratios: Sequence[Ratio]) -> Sheet:
    """Ways side by side, a line for each pair of them."""
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
    """All marks that hold for these, and how they compare."""
    for case in cases:
        for mark, found, reached in case.marks():
            amount = Amount(found, mark.digits)
            yield Judgement(f"{case.title}, {case.driver_title}", mark.what, str(mark), amount, reached)
    for one, of_ratio, reached in marked(ratios):
        what = f"{one.what} beside {one.theirs.driver_title}"
        yield Judgement(f"{one.ours.title}, {one.ours.driver_title}", what, str(of_ratio), amount_of(one), reached)
