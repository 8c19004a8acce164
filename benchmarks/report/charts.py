"""The charts of a report.

The rule: charts show all measurements and nothing else. A point is a median with its range, a distribution has all
latencies of all runs, and figures that were not measured have no chart.

`vega.py` draws the panels; `page.py` and `perdure bench report` write charts.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, groupby
from math import log10
from pathlib import Path
from statistics import median

from ..drivers.measure import percentile
from ..terminal import short
from ..workloads.table import BY_NAME
from .results import Case, Range, build_of, extent_of
from .vega import LINES_MAX, Point, Spec, bar_panel, line, panel, png_of, svg_of

CURVE_POINTS_MIN = 2
LATENCIES_MIN = 10  # fewer have no p90
QUANTILES = 200  # points of a distribution's curve
LINEAR_TIMES_MAX = 20  # larger growth is drawn on a logarithmic axis
SMOOTHED_OVER = 0.02  # half of the window of a series' running median, as a share of its length
PERCENTILES = (
    "So many of all instances took no longer than this; all runs together. "
    "Each step to the right leaves out nine tenths of the rest."
)
MEDIANS = "Medians of the runs, with their range."
# Bar charts: name, title, figures, note. The second rate is of timers and reminders that are due together.
BARS = (
    ("throughput", "Throughput", ("units_per_s", "reminders_per_s"),
     "More is better. The thin line is the range of the runs. Each workload has a scale of its own."),
    ("cpu", "CPU time of a step", ("cpu_ms_per_unit",),
     "Less is better. User and system time of all threads of the engine, for each unit counted. In process, the load's "
     "own part is in it."),
)  # fmt: skip
LATENCIES = {"p50_ms": "p50", "p99_ms": "p99"}
PER_SLEEPER = {
    "kib_per_sleeper": "KiB of RSS for each",
    "rss_bytes_per_sleeper": "bytes of RSS for each",
    "disk_bytes_per_sleeper": "bytes on the disk for each",
}
SERIES_TITLES = {"units_per_s": "a second", "rss_mib": "RSS, MiB"}
# A figure at several sizes: `at_10_p50_ms`, `cold_1000_events_per_s`.
AT_SIZE = re.compile(r"([a-z]+)_(\d+)_([a-z]\w*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    name: str  # of the file
    title: str
    note: str  # how to read it
    panels: Sequence[Spec]
    cases: Sequence[Case] = field(repr=False)  # the measurements

    def svg(self) -> str:
        return svg_of(self.panels, self.name)

    def write_png(self, folder: Path) -> Path:
        path = folder / f"{self.name}.png"
        path.write_bytes(png_of(self.panels, self.title))
        return path


def charts(cases: Sequence[Case]) -> list[Chart]:
    """All charts of these cases, with unique names."""
    found: dict[str, Chart] = {}
    for chart in (chart for plotter in PLOTTERS for chart in plotter(cases)):
        names = (chart.name if number == 1 else f"{chart.name}-{number}" for number in count(1))
        name = next(name for name in names if name not in found)
        found[name] = replace(chart, name=name)
    return list(found.values())


def bars(cases: Sequence[Case]) -> Iterator[Chart]:
    """A panel for each workload, with a bar for each driver."""
    for name, title, figures, note in BARS:
        panels: list[Spec] = []
        used: list[Case] = []
        for figure in figures:
            having = [case for case in cases if case.run.rate is None and figure in case.figures]
            for _, of_workload in by_workload(usual_cases(having)):
                unit = "CPU ms each" if name == "cpu" else f"{of_workload[0].run.variant.unit} a second"
                ways = [(case.label, case.color, case.figures[figure]) for case in of_workload]
                panels.append(bar_panel(f"{of_workload[0].title}: {unit}", ways))
                used += of_workload
        if panels:
            yield Chart(name=name, title=title, note=note, panels=panels, cases=used)


def concurrency(cases: Sequence[Case]) -> Iterator[Chart]:
    closed = [case for case in cases if case.run.rate is None and "units_per_s" in case.figures]
    for name, of_workload in by_workload(closed):
        if groups := curves(of_workload, in_flight_of):
            x_title = "instances in flight"
            rows = [lines(groups, in_flight_of, figures) for figures in ({"units_per_s": ""}, LATENCIES)]
            yield Chart(
                name=f"concurrency-{name}",
                title=f"{titled(name)}: throughput and latency against concurrency",
                note=f"{MEDIANS} Each number of instances in flight was run by itself; when one completes, the next is "
                "started.",
                panels=[
                    panel(f"{BY_NAME[name].unit} a second", x_title, rows[0], x="log"),
                    panel("latency, ms", x_title, rows[1], x="log", y="log"),
                ],
                cases=[case for group in groups for case in group],
            )


def rates(cases: Sequence[Case]) -> Iterator[Chart]:
    for name, of_workload in by_workload([case for case in cases if case.run.rate is not None]):
        groups, x_title = alike(of_workload), "instances due, a second"
        rows = [lines(groups, rate_of, figures) for figures in (LATENCIES, {"instances_per_s": ""})]
        yield Chart(
            name=f"rate-{name}",
            title=f"{titled(name)}: latency against a rate of arrivals",
            note="Instances arrive whether or not others have ended, and their latency runs from when they were due. "
            "Where the engine cannot keep up, the points on the right fall below the grey line.",
            panels=[
                panel("latency, ms", x_title, rows[0], y="log"),
                panel("instances ended, a second", x_title, rows[1], diagonal=True),
            ],
            cases=of_workload,
        )


def distributions(cases: Sequence[Case]) -> Iterator[Chart]:
    """A chart of all loops with a line for each driver, and one of each workload with a line for each rate."""
    having = [case for case in cases if sum(len(each.latencies_us) for each in case.outcomes) >= LATENCIES_MIN]
    panels, used = [], []
    for _, of_workload in by_workload(usual_cases([case for case in having if case.run.rate is None])):
        what = "lateness" if "late_p50_ms" in of_workload[0].figures else "latency"
        labelled = [(case.label, case.color, case) for case in of_workload]
        panels.append(percentile_panel(f"{of_workload[0].title}: {what}, ms", labelled))
        used += of_workload
    if panels:
        yield Chart(name="distribution", title="Latency distribution", note=PERCENTILES, panels=panels, cases=used)
    for name, at_rates in by_workload([case for case in having if case.run.rate is not None]):
        panels = [
            percentile_panel(
                f"{group[0].label}: latency, ms",
                [(f"{short(rate_of(case))} a second", place, case) for place, case in enumerate(group[:LINES_MAX])],
            )
            for group in alike(at_rates)
        ]
        title = f"{titled(name)}: latency distribution at each rate"
        yield Chart(name=f"rate-distribution-{name}", title=title, note=PERCENTILES, panels=panels, cases=at_rates)


def growth(cases: Sequence[Case]) -> Iterator[Chart]:
    """Charts of figures at several sizes."""
    for case in cases:
        sizes: dict[str, dict[str, list[Point]]] = {}
        for figure, found in case.figures.items():
            if match := AT_SIZE.fullmatch(figure):
                what, size, rest = match.groups()
                timed = rest.endswith("_ms")
                unit = "latency, ms" if timed else rest.replace("_per_s", " a second").replace("_", " ")
                label = rest.removesuffix("_ms") if timed else what
                sizes.setdefault(unit, {}).setdefault(label, []).append((float(size), found))
        x_title = "events in the history" if "events" in case.figures else "size"
        panels = []
        for unit, by_label in sizes.items():
            medians = [found.median for points in by_label.values() for _, found in points]
            # Linear from zero, unless small values could not be told from zero.
            y = "linear" if max(medians) < LINEAR_TIMES_MAX * min(medians) else "log"
            rows = [row for place, (label, points) in enumerate(by_label.items()) for row in line(label, place, points)]
            panels.append(panel(unit, x_title, rows, x="log", y=y))
        if panels:
            note = f"{MEDIANS} A level line: the size costs nothing."
            title = f"{case.title}: how cost grows with size"
            yield Chart(name=f"growth-{case.run.workload}", title=title, note=note, panels=panels, cases=[case])


def sleepers(cases: Sequence[Case]) -> Iterator[Chart]:
    for name, of_workload in by_workload(cases):
        panels = []
        for figure, what in PER_SLEEPER.items():
            having = [case for case in of_workload if {figure, "instances"} <= case.figures.keys()]
            if groups := curves(having, asleep_in, of_any_extent=True):
                panels.append(
                    panel(what, "instances asleep", lines(groups, asleep_in, {figure: ""}, of_any_extent=True), x="log")
                )
        if panels:
            title = f"{titled(name)}: what a sleeper costs"
            yield Chart(name=f"sleepers-{name}", title=title, note=MEDIANS, panels=panels, cases=of_workload)


def series(cases: Sequence[Case]) -> Iterator[Chart]:
    for case in cases:
        sampled = [outcome.series for outcome in case.outcomes if outcome.series.get("at_s")]
        panels = []
        for name in dict.fromkeys(name for found in sampled for name in found if name != "at_s"):
            rows = [
                row
                for run, found in enumerate(sampled)
                for row in line(
                    f"run {run + 1}" if len(sampled) > 1 else "", run, running_median(found["at_s"], found[name])
                )
            ]
            panels.append(panel(SERIES_TITLES.get(name, name), "seconds since the start", rows, raw=True))
        if panels:
            title, note = f"{case.title}: over time", "A running median, in a band that holds 8 of 10 samples."
            yield Chart(name=f"series-{case.run.workload}", title=title, note=note, panels=panels, cases=[case])


PLOTTERS: tuple[Callable[[Sequence[Case]], Iterator[Chart]], ...] = (
    *(bars, concurrency, rates, distributions, growth, sleepers, series),
)


def lines(
    groups: Iterable[Sequence[Case]],
    x_of: Callable[[Case], float],
    figures: Mapping[str, str],
    *,
    of_any_extent: bool = False,
) -> list[Spec]:
    """A line for each group and figure; the second figure is dashed."""
    return [
        row
        for group in groups
        for place, (figure, what) in enumerate(figures.items())
        for row in line(
            f"{group[0].way if of_any_extent else group[0].label} {what}".strip(),
            group[0].color,
            [(x_of(case), case.figures[figure]) for case in group if figure in case.figures],
            dashed=place > 0,
        )
    ]


def percentile_curve(ordered_us: Sequence[int]) -> list[Point]:
    """A percentile curve from p1 on, over the nines of the percentile: 1 for 90 %, 3 for 99.9 %.

    It ends at the last value: of 1000 values, at p99.9.
    """
    nines_max = log10(len(ordered_us))
    found = []
    for step in range(QUANTILES + 1):
        nines = nines_max * step / QUANTILES
        at_ms = percentile(ordered_us, min(100.0, max(1.0, 100 * (1 - 10**-nines)))) / 1000
        found.append((nines, Range(at_ms, at_ms, at_ms, 1)))
    return found


def percentile_panel(title: str, labelled: Sequence[tuple[str, int, Case]]) -> Spec:
    rows: list[Spec] = []
    for label, color, case in labelled:
        ordered_us = sorted(latency for outcome in case.outcomes for latency in outcome.latencies_us)
        rows += line(label, color, percentile_curve(ordered_us))
    return panel(title, "percentile", rows, x="nines", y="log", raw=True)


def running_median(at_s: Sequence[float], values: Sequence[float]) -> list[Point]:
    half = max(1, int(len(values) * SMOOTHED_OVER))
    windows = (sorted(values[max(0, at - half) : at + half + 1]) for at in range(len(values)))
    return [
        (x, Range(median(window), percentile(window, 10), percentile(window, 90), len(window)))
        for x, window in zip(at_s, windows, strict=True)
    ]


def titled(workload: str) -> str:
    return f"{workload} {BY_NAME[workload].title}"


def in_flight_of(case: Case) -> float:
    return case.run.in_flight


def rate_of(case: Case) -> float:
    return case.run.rate or 0.0


def asleep_in(case: Case) -> float:
    return case.figures["instances"].median


def by_workload(cases: Iterable[Case]) -> list[tuple[str, list[Case]]]:
    return [(name, list(group)) for name, group in groupby(cases, key=lambda case: case.run.workload)]


def curves(cases: Sequence[Case], x_of: Callable[[Case], float], *, of_any_extent: bool = False) -> list[list[Case]]:
    """The groups with several positions on the axis."""
    groups = alike(cases, of_any_extent=of_any_extent)
    return [group for group in groups if len({x_of(case) for case in group}) >= CURVE_POINTS_MIN]


def alike(cases: Iterable[Case], *, of_any_extent: bool = False) -> list[list[Case]]:
    """Groups that differ only in their load; with `of_any_extent` also in their extent."""
    groups: dict[tuple[object, ...], list[Case]] = {}
    for case in cases:
        run = case.run
        key = (run.workload, run.driver, run.processes, run.durability, run.always_replay, build_of(case.machine))
        groups.setdefault(key if of_any_extent else (*key, extent_of(case)), []).append(case)
    return list(groups.values())


def usual_cases(cases: Sequence[Case]) -> list[Case]:
    """For each workload and driver the cases with its own number in flight, or else with the least."""
    found: list[Case] = []
    for group in alike(cases):
        usual = BY_NAME[group[0].run.workload].in_flight
        numbers = {case.run.in_flight for case in group}
        chosen = usual if usual in numbers else min(numbers)
        found += [case for case in group if case.run.in_flight == chosen]
    return sorted(found, key=cases.index)
